// Phase 8, and what leads to it: how and why connections end.

package netpoll

import (
	"syscall"
	"time"
)

// Close ends c at once: pending output is lost. OnClose runs at the end
// of the turn. Closing twice does nothing.
func (l *Loop) Close(c *Conn, r Reason) {
	if c.flags&flagDead != 0 {
		return
	}
	if c.flags&flagFinish == 0 {
		c.reason = r
	}
	l.discard(c, 0)
}

// fail ends c because of an error of its socket, which OnClose can ask for.
func (l *Loop) fail(c *Conn, errno syscall.Errno) {
	if c.flags&flagDead != 0 {
		return
	}
	if c.flags&flagFinish == 0 {
		c.reason = ReasonReset
	}
	l.discard(c, errno)
}

// discard marks c dead and lists it for phase 8.
func (l *Loop) discard(c *Conn, errno syscall.Errno) {
	c.flags |= flagDead
	l.wheel.Disarm(c)
	l.releasing = append(l.releasing, closedConn{c.Slot(), errno})
}

// closedConn is a connection that phase 8 releases, and the error that ended it, if
// it was one.
type closedConn struct {
	slot  uint32
	errno syscall.Errno
}

// Errno is the error of the socket that ended the connection which OnClose is
// being called for; 0 if it was none. With ReasonReset it tells a refused
// connect from a reset and from an unreachable host.
func (l *Loop) Errno() syscall.Errno { return l.errno }

// Finish closes c in order: pending output is sent, then a FIN, and input is
// discarded until the peer's FIN or until linger is over, counted from now. So
// the last bytes are not lost to a reset. OnClose runs at the end.
func (l *Loop) Finish(c *Conn, r Reason, linger time.Duration) {
	if c.Closing() {
		return
	}
	c.reason = r
	c.flags |= flagFinish
	c.flags &^= flagPaused
	if c.fd != noSocket { // a reserved record has no peer
		l.setInterest(c, c.interest|interestRead)
	}
	l.arm(c, linger)
	if c.flags&flagBacklog == 0 {
		l.finishing = append(l.finishing, c.ID())
	}
}

// Detach takes c's socket out of the loop and returns its descriptor, which is
// now the caller's; -1 when c is closed already, or has none. OnClose is called at once, with
// ReasonDetached. Pending output is lost, and so is what came in with this very
// turn unless it was c's own callback that detached it.
func (l *Loop) Detach(c *Conn) (fd int) {
	if c.flags&flagDead != 0 || c.fd == noSocket {
		return -1
	}
	if c.Layered() {
		panic("netpoll: Detach of a layered connection: its socket is of no use without the layer, see DetachLayered")
	}
	return l.detach(c)
}

func (l *Loop) detach(c *Conn) (fd int) {
	fd = int(c.fd)
	l.kernel.Remove(c.fd)
	c.reason = ReasonDetached
	l.discard(c, 0)
	l.callOnClose(c, 0)
	return fd
}

// release is phase 8: the only place where records are freed. Until here a slot
// that was closed earlier in the turn keeps its generation, so an event or a
// task for it still finds the dead connection and no other.
func (l *Loop) release() {
	for i := 0; i < len(l.releasing); { // OnClose may close others
		i = l.serveReleases(i)
	}
	if len(l.releasing) > 0 {
		l.stats.Closed += uint64(len(l.releasing))
		l.remote.load.Add(-int32(len(l.releasing)))
		l.releasing = l.releasing[:0]
	}
	if len(l.closing) > 0 {
		l.kernel.Close(l.closing)
		l.closing = l.closing[:0]
	}
}

func (l *Loop) serveReleases(i int) (next int) {
	defer l.contain()
	for ; i < len(l.releasing); i++ {
		next = i + 1
		c := l.conns.at(l.releasing[i].slot)
		reason, tag := c.reason, c.tag
		if c.flags&flagBacklog != 0 {
			l.outboxBytes -= int64(c.pending) // all of it is in the outbox
			l.outboxes.Free(c.out)
			c.flags &^= flagBacklog
		}
		hasSocket := c.fd != noSocket && reason != ReasonDetached
		if hasSocket {
			l.closing = append(l.closing, c.fd)
		}
		if reason != ReasonDetached {
			l.callOnClose(c, l.releasing[i].errno)
			if c.interest&interestLayer != 0 {
				l.releaseLayer(c)
			}
		}
		l.conns.release(c)
		if hasSocket && l.opt.OnRelease != nil {
			l.opt.OnRelease(tag, reason)
		}
	}
	return next
}

// callOnClose calls OnClose; its panic must not keep the record from being freed.
func (l *Loop) callOnClose(c *Conn, errno syscall.Errno) {
	was := l.current
	defer func() { l.current, l.errno = was, 0 }()
	defer l.contain()
	l.current, l.errno = c, errno
	l.opt.Handlers[c.role].OnClose(l, c, c.reason)
}

// Reason says why a connection ended. Its String is a stable label.
type Reason uint8

// The reasons. Those from ReasonProtocol to ReasonRefused are judgements of
// the protocols above; the reactor only carries them to OnClose.
const (
	ReasonNone      Reason = iota
	ReasonPeer             // orderly close by the peer: FIN, or a close of the protocol
	ReasonReset            // RST, or another I/O error
	ReasonTimeout          // a deadline passed: handshake, heartbeat, write stall
	ReasonProtocol         // illegal input
	ReasonTooBig           // a message over the limit
	ReasonPolicy           // rate or right
	ReasonSlow             // the peer took less than was sent, by more than its outbox
	ReasonDrain            // the node is shutting down
	ReasonAdmin            // an operator asked for it
	ReasonRefused          // the request was answered with an error
	ReasonLocal            // our side was done
	ReasonPanic            // a handler panicked
	ReasonDetached         // the socket left the loop alive
	ReasonLayer            // input that the layer cannot open, or another error of it
	ReasonTruncated        // the peer's FIN came without the layer's closing record
	ReasonExpired          // the client's rights have ended
	ReasonRevoked          // the client's rights were taken back
	ReasonMemory           // the process holds too much for its clients, and much of it for this one

	reasonCount
)

// ReasonCount is the number of reasons, for tables indexed by them.
const ReasonCount = int(reasonCount)

var reasonNames = [reasonCount]string{
	ReasonNone: "none", ReasonPeer: "peer", ReasonReset: "reset", ReasonTimeout: "timeout",
	ReasonProtocol: "protocol_error", ReasonTooBig: "message_too_big", ReasonPolicy: "policy",
	ReasonSlow: "slow_consumer", ReasonDrain: "drain", ReasonAdmin: "admin",
	ReasonRefused: "refused", ReasonLocal: "local", ReasonPanic: "panic", ReasonDetached: "detached",
	ReasonLayer: "layer_error", ReasonTruncated: "truncated",
	ReasonMemory: "memory", ReasonExpired: "token_expired", ReasonRevoked: "token_revoked",
}

// String is the reason in snake_case, fit for a metrics label.
func (r Reason) String() string {
	if r < reasonCount {
		return reasonNames[r]
	}
	return "unknown"
}
