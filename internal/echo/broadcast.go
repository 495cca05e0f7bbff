// /broadcast: a message goes to everybody who is connected there, its sender included.

package echo

import (
	"c100k/broadcast"
	"c100k/frame"
	"c100k/internal/auth"
	"c100k/internal/wsconn"
	"c100k/netpoll"
)

// Topic is what the connections of /broadcast are subscribed to. It is an ordinary topic, so that
// an operator can see it and publish to it. Its name is unlikely to be used by accident.
const Topic = "$broadcast"

// BroadcastConfig holds what a Broadcast needs of its node; immutable once it runs.
type BroadcastConfig struct {
	// WebSocket holds what all WebSocket protocols need; with Shard.
	WebSocket wsconn.Config

	// Publish sends a message to all subscribers of a topic. It must not block, and keeps payload.
	// Required.
	Publish func(topic string, kind broadcast.Kind, payload []byte) (broadcast.Result, error)

	// Form is the form without an envelope for clients with that window: see topicws.Forms. Required.
	Form func(window frame.Window) broadcast.Form
}

// Broadcast serves /broadcast on one loop; loop only.
type Broadcast struct {
	*wsconn.Endpoint
	sessions
	cfg BroadcastConfig
}

// NewBroadcast returns the handler of a role on one loop.
func NewBroadcast(cfg BroadcastConfig) *Broadcast {
	b := &Broadcast{cfg: cfg}
	b.Endpoint = wsconn.New(cfg.WebSocket, b)
	return b
}

// Open begins a session on c, which has just become this role; window is what
// frame.NegotiateDeflate has returned, who the client, nil if it was not identified.
func (b *Broadcast) Open(l *netpoll.Loop, c *netpoll.Conn, window frame.Window, who *auth.Principal) {
	b.open(c)
	b.Start(l, c, window)
	b.Speak(l, c, who)
	if _, err := b.cfg.WebSocket.Shard.Subscribe(c.Slot(), b.cfg.Form(window), Topic); err != nil {
		b.End(l, c, netpoll.ReasonPolicy, frame.CodeTryLater, "cannot subscribe: "+err.Error())
	}
}

// Message implements wsconn.Protocol.
func (b *Broadcast) Message(l *netpoll.Loop, c *netpoll.Conn, m *frame.Message) {
	kind, payload := wsconn.Published(m)
	result, err := b.cfg.Publish(Topic, kind, payload)
	if err != nil || result.Dropped > 0 && result.Queued == 0 {
		b.End(l, c, netpoll.ReasonPolicy, frame.CodeTryLater, "the message could not be passed on")
	}
}
