// What a protocol is to the reactor.

package netpoll

// Role says which handler a connection has: an index in the loop's table.
type Role uint8

// Handler is one protocol on one loop. All methods run on the loop: they must
// not block, and must not keep l, c or p. A panic in one closes the connection
// it was called for, and no other.
type Handler interface {
	// OnOpen: the connection has just got this role, by adoption or Become.
	OnOpen(l *Loop, c *Conn)

	// OnData: bytes have arrived. p is a slice of the read arena; it may be
	// changed in place and, as an argument of SendTurn, lives until the end of
	// the turn.
	OnData(l *Loop, c *Conn, p []byte)

	// OnTimer: the deadline set by Arm has passed.
	OnTimer(l *Loop, c *Conn)

	// OnWritable: a backlog has drained to nothing.
	OnWritable(l *Loop, c *Conn)

	// OnClose: the last call; free the session here. Detach calls it with
	// ReasonDetached. Become does not call it: who gives the connection away
	// frees its session first.
	OnClose(l *Loop, c *Conn, r Reason)
}
