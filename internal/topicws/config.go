// What a handler is built from, and what the upgrade knows of a connection.

package topicws

import (
	"c100k/broadcast"
	"c100k/frame"
	"c100k/internal/auth"
	"c100k/internal/history"
	"c100k/internal/wsconn"
	"c100k/netpoll"
)

// Config holds what a Handler needs of its node; immutable once it runs.
type Config struct {
	// WebSocket holds what all WebSocket protocols need; with Shard, and with Principals where
	// Params.Who or Identify is used.
	WebSocket wsconn.Config

	// Publish sends a message to all subscribers of a topic, on this node and wherever else there
	// are any; its result counts those of this node. It must not block, and keeps the payload.
	// Required.
	Publish func(topic string, post broadcast.Post) (broadcast.Result, error)

	// From is what messages of a topic say of the client that has published them, "" for nothing; who
	// is nil if it was not identified. Nil: they say nothing.
	From func(who *auth.Principal, topic string) string

	// Ask is Publish where other nodes have subscribers too: done is called once, on any goroutine,
	// perhaps before Ask returns, with the sum over all nodes; it is not called if Ask returns an
	// error. Nil: there are no other nodes, and Publish knows everything.
	Ask func(topic string, post broadcast.Post, done func(Published)) error

	// MaySubscribe and MayPublish judge one topic; who is nil for a connection whose client was not
	// identified. They must not block. Nil allows every topic.
	MaySubscribe, MayPublish func(who *auth.Principal, topic string) bool

	// MayResume judges whether a client may have kept messages of a topic, as the two above do.
	MayResume func(who *auth.Principal, topic string) bool

	// Presence knows the members of topics, and MayWatch judges who may know them, as the ones above
	// do. Nil: of no topic they are.
	Presence Presence
	MayWatch func(who *auth.Principal, topic string) bool

	// Renamed hears of a connection whose client shows another token, or its first one (old is then
	// nil). Nil: nobody does.
	Renamed func(c *netpoll.Conn, old, who *auth.Principal)

	// Prepare brings the past of topics here, as far as a subscription wants it: done is called once,
	// on any goroutine, perhaps before Prepare returns; an error means that the client is to try
	// again later. False: it is here, and done is not called. It must not block, nor keep the slices.
	// Nil: it is always here.
	Prepare func(topics []string, from []history.From, done func(error)) (waits bool)

	// DecideSubscribe and DecidePublish ask somebody else, whose verdict counts in place of
	// MaySubscribe and MayPublish. Nil: those decide.
	DecideSubscribe, DecidePublish Decide

	// Identify finds out who a client is that shows a token on its connection: done is called once
	// with its principal, or with the reason why there is none, on the loop, perhaps before Identify
	// returns. It must not block, and copies token. Nil: there are no tokens.
	Identify func(l *netpoll.Loop, c *netpoll.Conn, token []byte, done func(l *netpoll.Loop, c *netpoll.Conn, who *auth.Principal, reason string))

	// Enter counts one connection more of a client that shows its first token on the connection; the
	// reason says why it may not have it, "" if it may. It must not block. The node takes it back when
	// the connection ends. Nil: there is no limit.
	Enter func(who *auth.Principal) (reason string)

	// Forms are the numbers under which the node registered the encoders of this package.
	Forms Forms
}

// Forms number the wire forms of the topic protocol.
type Forms struct {
	Bare             broadcast.Form // EncodeBare
	BareDeflated     broadcast.Form // EncodeBareDeflated
	BareNarrow       broadcast.Form // EncodeBareNarrow
	Envelope         broadcast.Form // EncodeEnvelope
	EnvelopeDeflated broadcast.Form // EncodeEnvelopeDeflated
	EnvelopeNarrow   broadcast.Form // EncodeEnvelopeNarrow
}

// Encoders are the wire forms of the topic protocol, in the order in which FormsFrom numbers them.
func Encoders() []broadcast.Encoder {
	return []broadcast.Encoder{
		EncodeBare, EncodeBareDeflated, EncodeBareNarrow, EncodeEnvelope, EncodeEnvelopeDeflated, EncodeEnvelopeNarrow,
	}
}

// FormsFrom are the numbers of Encoders when the first of them has the number first.
func FormsFrom(first broadcast.Form) Forms {
	return Forms{
		Bare: first, BareDeflated: first + 1, BareNarrow: first + 2,
		Envelope: first + 3, EnvelopeDeflated: first + 4, EnvelopeNarrow: first + 5,
	}
}

// BareOf is the form without an envelope for a client with that window.
func (f *Forms) BareOf(window frame.Window) broadcast.Form {
	return pick(window, f.Bare, f.BareDeflated, f.BareNarrow)
}

func pick(window frame.Window, plain, deflated, narrow broadcast.Form) broadcast.Form {
	switch window {
	case frame.WindowFull:
		return deflated
	case frame.WindowNarrow:
		return narrow
	}
	return plain
}

// of picks the form of a connection.
func (f *Forms) of(p *Params) broadcast.Form {
	if p.Bare {
		return f.BareOf(p.Window)
	}
	return pick(p.Window, f.Envelope, f.EnvelopeDeflated, f.EnvelopeNarrow)
}

// Params are what the upgrade request said and was granted.
type Params struct {
	Bare   bool            // no subprotocol; otherwise c100k.v1
	Topics []string        // to be subscribed at once: the query's; each was found valid, and allowed, before the upgrade
	From   []history.From  // where each begins; nil: now
	Who    *auth.Principal // nil: the client was not identified
	Window frame.Window    // what frame.NegotiateDeflate has returned
}
