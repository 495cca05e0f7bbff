// What the layer above Engine.IO is to it.

package engineio

import "c100k/netpoll"

// App is the layer above: Socket.IO. All methods are called on the session's home loop; they must
// not block, and must keep neither l nor s nor p: another goroutine gets s.ID(). They may send to
// any session of the loop, and close any, s included: after that nothing more arrives from it.
type App interface {
	// Opened: a handshake was accepted, and the open packet is on its way. The App may send, and may
	// give the session a number of its own (Session.SetValue). r is valid during the call.
	Opened(l *netpoll.Loop, s *Session, r *Request)

	// Text: a text message has arrived. p may be changed in place and is valid during the call. It is
	// valid UTF-8.
	Text(l *netpoll.Loop, s *Session, p []byte)

	// Binary: a binary message has arrived; p as for Text.
	Binary(l *netpoll.Loop, s *Session, p []byte)

	// Upgraded: the session's transport is now WebSocket. Nothing was lost, and nothing else changes.
	Upgraded(l *netpoll.Loop, s *Session)

	// Closed: the session has ended; the last call for it. Endpoint.Close calls it too, before it
	// returns. s has left its shard.
	Closed(l *netpoll.Loop, s *Session, r Reason)
}
