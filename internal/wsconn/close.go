// The ways a WebSocket connection ends, and the close code of each.

package wsconn

import (
	"errors"
	"math"

	"c100k/broadcast"
	"c100k/frame"
	"c100k/netpoll"
)

// End closes c with a close frame: pending output is sent, then the frame, then input is discarded
// until the peer is gone or CloseLinger has passed (RFC 6455, 7.1.1). reason is for the figures,
// code and text are for the peer. A connection that is closing stays as it is.
func (e *Endpoint) End(l *netpoll.Loop, c *netpoll.Conn, reason netpoll.Reason, code uint16, text string) {
	if c.Closing() {
		return
	}
	e.scratch = frame.AppendClose(e.scratch[:0], code, text)
	e.finish(l, c, reason, code, text)
}

// finish sends the close frame in e.scratch and ends c; code and text are what closed it.
func (e *Endpoint) finish(l *netpoll.Loop, c *netpoll.Conn, reason netpoll.Reason, code uint16, text string) {
	if e.cfg.Farewell != nil {
		e.cfg.Farewell(c, code, text)
	}
	l.Send(c, e.scratch)
	if e.cfg.Closing != nil {
		e.cfg.Closing(code, text)
	}
	e.leave(l, c, reason)
	l.Finish(c, reason, CloseLinger)
}

// Drain ends c because the node goes down.
func (e *Endpoint) Drain(l *netpoll.Loop, c *netpoll.Conn) {
	e.End(l, c, netpoll.ReasonDrain, frame.CodeRestart, "service restart")
}

// Kick ends c because an operator asked for it.
func (e *Endpoint) Kick(l *netpoll.Loop, c *netpoll.Conn) {
	e.End(l, c, netpoll.ReasonAdmin, frame.CodePolicy, "closed by operator")
}

// Slow ends c because it takes its messages too slowly. Those it has not begun to get are given up,
// so that the close frame has a chance to arrive.
func (e *Endpoint) Slow(l *netpoll.Loop, c *netpoll.Conn) {
	if !c.Closing() {
		if e.cfg.Farewell != nil { // which notes what is given up
			e.cfg.Farewell(c, frame.CodeTryLater, textSlow)
		}
		l.DropOldest(c, math.MaxInt, func(_, _ uint32) {})
	}
	e.End(l, c, netpoll.ReasonSlow, frame.CodeTryLater, textSlow)
}

// textSlow is what a client is told that takes its messages too slowly.
const textSlow = "slow consumer"

// Shed ends c because the process holds too much for its clients. A client that takes nothing is
// not told why.
func (e *Endpoint) Shed(l *netpoll.Loop, c *netpoll.Conn) {
	if c.Closing() {
		if c.Pending() > 0 { // it does not take the farewell that it was sent
			l.Close(c, netpoll.ReasonMemory)
		}
		return
	}
	if c.Session() != 0 {
		e.drop(e.protocol.State(c))
	}
	l.DropOldest(c, math.MaxInt, func(_, _ uint32) {})
	if c.Pending() > shedBytesMax {
		l.Close(c, netpoll.ReasonMemory)
		return
	}
	e.End(l, c, netpoll.ReasonMemory, frame.CodeTryLater, "server is short of memory")
}

// Panicked ends c because a handler panicked.
func (e *Endpoint) Panicked(l *netpoll.Loop, c *netpoll.Conn) {
	// RFC 6455, 7.4.1: 1011, an unexpected condition keeps the server from fulfilling the request.
	e.End(l, c, netpoll.ReasonPanic, frame.CodeInternal, "internal error")
}

// Gap appends nothing: a connection without an envelope gets payloads and nothing else. A protocol
// that can tell what was missed has a Gap of its own.
func (e *Endpoint) Gap(dst []byte, _ broadcast.Form, _ string, _ uint32) []byte { return dst }

// closed answers the peer's close frame.
func (e *Endpoint) closed(l *netpoll.Loop, c *netpoll.Conn, payload []byte) {
	code, text, err := frame.ParseClose(payload)
	if err != nil {
		e.fail(l, c, err)
		return
	}
	// RFC 6455, 5.5.1: the endpoint typically echos the status code it received. Without one the
	// answer has none either.
	e.scratch = frame.AppendClose(e.scratch[:0], code, "")
	e.finish(l, c, netpoll.ReasonPeer, code, text)
}

// fail ends c because of its illegal input.
func (e *Endpoint) fail(l *netpoll.Loop, c *netpoll.Conn, err error) {
	var bad *frame.Error
	if !errors.As(err, &bad) {
		e.End(l, c, netpoll.ReasonPanic, frame.CodeInternal, "internal error")
		return
	}
	reason := netpoll.ReasonProtocol
	if bad.Code == frame.CodeTooBig {
		reason = netpoll.ReasonTooBig
	}
	e.End(l, c, reason, bad.Code, bad.Reason)
}
