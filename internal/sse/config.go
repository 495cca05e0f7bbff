// What a handler is built from, and what the request says.

package sse

import (
	"time"

	"c100k/broadcast"
	"c100k/internal/auth"
	"c100k/internal/history"
)

// Config holds what a Handler needs of its node; immutable once it runs.
type Config struct {
	// Shard is the loop's part of the topics. Required.
	Shard *broadcast.Shard

	// Sink is where the shard's members are: who has caught up is told through it what it missed.
	// Required.
	Sink broadcast.Sink

	// Form is the number under which the node registered an encoder of NewEncoder.
	Form broadcast.Form

	// Several is the form of streams with several topics of which some have a history: that of
	// EncodeSeveral, made for each stream by Handler.Encode.
	Several broadcast.Form

	// Enveloped and EnvelopedSeveral are what Form and Several are, of streams whose events are
	// messages of c100k.v1: those of NewEnveloper and EncodeEnvelope.
	Enveloped        broadcast.Form
	EnvelopedSeveral broadcast.Form

	// Envelope appends a message of c100k.v1. Required where Params.Enveloped is used.
	Envelope func(dst []byte, m *broadcast.Message) []byte

	// Presence knows the members of topics. Required where Params.Watch is used.
	Presence Presence

	// Principals are those of the loop's sessions. Required where Params.Who is used.
	Principals *auth.Principals

	// PingInterval is how often a comment is sent; 0 is never.
	PingInterval time.Duration

	// PingTimeout is how long a client that has not taken all it was sent by a heartbeat may go on
	// taking nothing.
	PingTimeout time.Duration

	// Seed makes the spread of heartbeats and returns repeatable in tests.
	Seed uint64

	// Date is the wall clock of the Date header; nil is time.Now.
	Date func() time.Time
}

// Params are what the request said and was granted.
type Params struct {
	Topics           []string       // each was found valid, and allowed
	From             []history.From // where each begins; nil: now
	Watch            []string       // topics whose members it is told; each was found valid, known, and allowed
	Kept             bool           // one of the topics has a history
	Enveloped        bool           // events are messages of c100k.v1
	AllowOrigin      string         // the request's Origin if it is another and allowed, or "*"; empty without CORS
	AllowCredentials bool           // a browser may use cookies across origins
	Lines            []byte         // more header fields of the answer, each with its CRLF

	Who *auth.Principal // nil: the client was not identified
}
