// Package longpoll is the topic protocol for clients that have neither WebSocket nor Server-Sent
// Events: a GET that is answered as soon as there is a message, or after a while.
//
// A poll that waits is a record in a slab, its texts are in another one, and neither has pointers.
// It is a member of its topics until it is answered. What it is sent is gathered during phase 6 of
// a turn and answered at the end of that phase, so that a poll gets all that one turn brings. The
// answer's position ("after") is read from the messages themselves: it is that of the last one in
// it, whatever was dropped, so that the next poll brings what this one did not.
package longpoll

import (
	"time"

	"c100k/broadcast"
	"c100k/internal/auth"
	"c100k/internal/edge"
	"c100k/internal/history"
	"c100k/internal/proto"
	"c100k/netpoll"
)

// Config holds what a Handler needs of its node; immutable once it runs.
type Config struct {
	// Shard is the loop's part of the topics. Required.
	Shard *broadcast.Shard

	// Form is the number under which the node registered Encode.
	Form broadcast.Form

	// Head is the role of a connection whose next request is read, and Role that of polls.
	Head, Role netpoll.Role

	// Principals are those of the loop's sessions. Required where Params.Who is used.
	Principals *auth.Principals

	// Count counts each poll as a connection that opens and closes. Required.
	Count *proto.Count

	// Ended hears of each poll that ends. Nil: nobody does.
	Ended func(c *netpoll.Conn, who *auth.Principal, r netpoll.Reason)

	// Release gives back what Params.Holder is. Required where that is used.
	Release func(*edge.SessionHolder)

	// Keep is that of proto.Place. Required where Params.Mount is used.
	Keep func(l *netpoll.Loop, c *netpoll.Conn, m *edge.Mount, early []byte)

	// Draining tells whether the node goes down: answers then end their connections. Required.
	Draining func() bool

	// Revoked answers a poll whose client's rights were taken back while it waited. Required where
	// Params.Who is used.
	Revoked *edge.Refusal

	// Date is the wall clock of the Date header; nil is time.Now.
	Date func() time.Time
}

// Params are what the request said and was granted.
type Params struct {
	Topics []string       // each once; found valid, and allowed
	From   []history.From // where each begins; nil: now
	Kept   []bool         // of each: its client can come back to a position in it
	Wait   time.Duration  // until an answer without messages
	Keep   bool           // another request may follow on the connection
	Lines  []byte         // more header fields of the answer, each with its CRLF
	Early  []byte         // what arrived behind the request
	Mount  *edge.Mount    // where the request comes from

	Holder *edge.SessionHolder // what counts the poll where its connection does not; nil: none
	Who    *auth.Principal     // nil: the client was not identified
}
