// A client, and the server's part on one loop.

package engineio

import (
	"bytes"
	"strings"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"c100k/frame"
	"c100k/internal/engineio"
	"c100k/netpoll"
)

// Message is a message of a client.
type Message struct {
	Data   []byte
	Binary bool // bytes; else UTF-8 text
}

// Conn is one client. All methods may be called on any goroutine, and never block.
type Conn struct {
	// Immutable.
	part    *part
	session netpoll.ID
	id      string
	version int

	webSocket atomic.Bool
	closed    atomic.Bool

	mu   sync.Mutex // guards the field below
	data any
}

// ID returns the client's id, 20 characters. A client that polls proves by it who it is: it must
// not become known to others.
func (c *Conn) ID() string { return c.id }

// Version returns the version of the protocol that the client speaks: 4 or 3.
func (c *Conn) Version() int { return c.version }

// Transport returns "polling" or "websocket".
func (c *Conn) Transport() string {
	if c.webSocket.Load() {
		return engineio.TransportWebSocket.String()
	}
	return engineio.TransportPolling.String()
}

// Data returns the value that SetData has set.
func (c *Conn) Data() any {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.data
}

// SetData sets a value of the program.
func (c *Conn) SetData(v any) {
	c.mu.Lock()
	c.data = v
	c.mu.Unlock()
}

// Send sends a text message. The error is ErrText, ErrClosed or ErrBusy.
func (c *Conn) Send(text string) error {
	if !utf8.ValidString(text) || strings.IndexByte(text, 0x1e) >= 0 {
		return ErrText
	}
	return c.post(len(text), func(l *netpoll.Loop, s *engineio.Session) { c.part.engine.SendText(l, s, []byte(text)) })
}

// SendBinary sends a binary message. data is copied. The error is ErrClosed or ErrBusy.
func (c *Conn) SendBinary(data []byte) error {
	data = bytes.Clone(data)
	return c.post(len(data), func(l *netpoll.Loop, s *engineio.Session) {
		c.part.engine.SendShared(l, s, engineio.AppendBinary(nil, s.Form(), data))
	})
}

// Close disconnects the client after what was sent to it before. The error is ErrClosed or ErrBusy.
func (c *Conn) Close() error {
	return c.post(0, func(l *netpoll.Loop, s *engineio.Session) {
		c.part.engine.Close(l, s, engineio.ReasonForcedClose, 0, "")
	})
}

// post calls f on the loop, if the session has not ended until then.
func (c *Conn) post(size int, f func(l *netpoll.Loop, s *engineio.Session)) error {
	p, cost := c.part, int64(size+messageBytes)
	if c.closed.Load() {
		return ErrClosed
	}
	if p.queued.Add(cost) > queueBytesMax {
		p.queued.Add(-cost)
		return ErrBusy
	}
	posted := p.remote.Load().Post(func(l *netpoll.Loop) {
		p.queued.Add(-cost)
		if s := p.engine.Lookup(l, c.session); s != nil {
			f(l, s)
		}
	})
	if !posted {
		p.queued.Add(-cost)
		return ErrClosed
	}
	return nil
}

// part is the server on one loop. It implements engineio.App.
type part struct {
	// Immutable after the loop is made.
	server *Server
	engine *engineio.Endpoint
	remote atomic.Pointer[netpoll.Remote]

	queued atomic.Int64 // bytes of posts that the loop has not executed

	conns netpoll.Slab[entry] // loop only
}

// entry is what a session's value names.
type entry struct{ conn *Conn }

func (p *part) of(s *engineio.Session) *Conn { return p.conns.At(s.Value()).conn }

// Opened implements engineio.App.
func (p *part) Opened(_ *netpoll.Loop, s *engineio.Session, r *Request) {
	i, e := p.conns.Alloc()
	s.SetValue(i)
	e.conn = &Conn{part: p, session: s.ID(), id: p.engine.SID(s), version: s.Version()}
	e.conn.webSocket.Store(s.Transport() == engineio.TransportWebSocket)
	p.server.open.Add(1)
	if f := p.server.onConnection; f != nil {
		f(e.conn, r)
	}
}

// Text implements engineio.App.
func (p *part) Text(_ *netpoll.Loop, s *engineio.Session, data []byte) {
	if f := p.server.onMessage; f != nil {
		f(p.of(s), Message{Data: data})
	}
}

// Binary implements engineio.App.
func (p *part) Binary(_ *netpoll.Loop, s *engineio.Session, data []byte) {
	if f := p.server.onMessage; f != nil {
		f(p.of(s), Message{Data: data, Binary: true})
	}
}

// Upgraded implements engineio.App.
func (p *part) Upgraded(_ *netpoll.Loop, s *engineio.Session) {
	c := p.of(s)
	c.webSocket.Store(true)
	if f := p.server.onUpgrade; f != nil {
		f(c)
	}
}

// Closed implements engineio.App.
func (p *part) Closed(_ *netpoll.Loop, s *engineio.Session, r engineio.Reason) {
	c := p.of(s)
	c.closed.Store(true)
	p.conns.Free(s.Value())
	p.server.open.Add(-1)
	if f := p.server.onClose; f != nil {
		f(c, r.String())
	}
}

// shutDown closes all connections of the loop in a way that makes clients reconnect.
func (p *part) shutDown(l *netpoll.Loop) {
	p.engine.Each(l, func(s *engineio.Session) bool {
		p.engine.Close(l, s, engineio.ReasonShutdown, frame.CodeRestart, "service restart")
		return true
	})
}
