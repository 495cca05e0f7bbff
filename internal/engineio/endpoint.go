// Engine.IO on one loop: what the layer above and the owner of the loop may call.

package engineio

import (
	"c100k/internal/edge"
	"c100k/netpoll"
)

// Endpoint serves Engine.IO on one loop. Loop only.
type Endpoint struct {
	cfg      Config
	sessions netpoll.Slab[Session]
}

// New returns an endpoint.
func New(cfg Config) *Endpoint { return &Endpoint{cfg: cfg} }

// PollingHandler is the netpoll.Handler of Roles.Polling.
func (e *Endpoint) PollingHandler() netpoll.Handler { panic("unbuilt") }

// SocketHandler is the netpoll.Handler of Roles.Socket.
func (e *Endpoint) SocketHandler() netpoll.Handler { panic("unbuilt") }

// SessionHandler is the netpoll.Handler of Roles.Session.
func (e *Endpoint) SessionHandler() netpoll.Handler { panic("unbuilt") }

// Serve serves a request to the endpoint's path, whatever it is: it is what edge.Config.Route calls, and has the same arguments.
func (e *Endpoint) Serve(l *netpoll.Loop, c *netpoll.Conn, h *edge.Head, rest []byte) {
	panic("unbuilt")
}

// Flush answers the polls that wait and whose sessions were sent something. It is called at the end of phase 6 of each turn, behind
// broadcast.Shard.Deliver.
func (e *Endpoint) Flush(l *netpoll.Loop) { panic("unbuilt") }

// Lookup finds a session by its ID; nil if it has ended.
func (e *Endpoint) Lookup(l *netpoll.Loop, id netpoll.ID) *Session { panic("unbuilt") }

// SID is the session's id on the wire, 20 characters. It is a secret between us and the client.
func (e *Endpoint) SID(s *Session) string { panic("unbuilt") }

// SendText sends a text message, which is copied.
func (e *Endpoint) SendText(l *netpoll.Loop, s *Session, text []byte) { panic("unbuilt") }

// SendMessage sends a text message and the binary messages that belong to it, with nothing in between. They are copied.
func (e *Endpoint) SendMessage(l *netpoll.Loop, s *Session, text []byte, attachments ...[]byte) {
	panic("unbuilt")
}

// SendShared sends a run of messages that AppendMessage has made in the session's form, without a copy: p must never change again.
// Many sessions may be sent the same p.
func (e *Endpoint) SendShared(l *netpoll.Loop, s *Session, p []byte) { panic("unbuilt") }

// Writable tells whether what is sent now goes out at once: a poll waits, or the WebSocket has taken all that it was given in earlier
// turns. What is volatile is sent only then.
func (e *Endpoint) Writable(l *netpoll.Loop, s *Session) bool { panic("unbuilt") }

// Pending is how many bytes the session is owed.
func (e *Endpoint) Pending(l *netpoll.Loop, s *Session) int { panic("unbuilt") }

// PauseRead stops reading from the session's WebSocket until it has taken what it is owed; it does nothing while nothing is owed, and
// for a session that polls, whose client may send one payload at a time anyway.
func (e *Endpoint) PauseRead(l *netpoll.Loop, s *Session) { panic("unbuilt") }

// Close ends the session: what it is owed is sent, then the close. Over WebSocket that is a close frame with code and text, where code
// 0 is one without a status (which is what Node's server sends); over polling it is a close packet. It calls App.Closed with r.
func (e *Endpoint) Close(l *netpoll.Loop, s *Session, r Reason, code uint16, text string) {
	panic("unbuilt")
}

// Each calls f for each session of the loop until f says no. f may send and close.
func (e *Endpoint) Each(l *netpoll.Loop, f func(s *Session) bool) { panic("unbuilt") }

// Drain ends c, a connection or record of one of the endpoint's roles, because the node goes down; clients come back.
func (e *Endpoint) Drain(l *netpoll.Loop, c *netpoll.Conn) { panic("unbuilt") }

// Kick ends c's session because an operator asked for it.
func (e *Endpoint) Kick(l *netpoll.Loop, c *netpoll.Conn) { panic("unbuilt") }

// Slow ends the session of the anchor c because it takes too slowly what it is sent. For broadcast.Sink.
func (e *Endpoint) Slow(l *netpoll.Loop, c *netpoll.Conn) { panic("unbuilt") }

// MemberPending is how many bytes the session of the anchor c is owed. For broadcast.Sink.
func (e *Endpoint) MemberPending(l *netpoll.Loop, c *netpoll.Conn) int { panic("unbuilt") }

// MemberSend sends the session of the anchor c a run of n messages in its form. For broadcast.Sink.
func (e *Endpoint) MemberSend(l *netpoll.Loop, c *netpoll.Conn, p []byte, mark, n uint32) {
	panic("unbuilt")
}

// MemberDrop drops what MemberSend has queued for the session of the anchor c, oldest first, until need bytes are freed. For
// broadcast.Sink.
func (e *Endpoint) MemberDrop(l *netpoll.Loop, c *netpoll.Conn, need int, dropped func(mark, n uint32)) (freed int) {
	panic("unbuilt")
}
