// Conn: the record layer as a net.Conn, for net/http.

package tlsconn

import (
	"crypto/cipher"
	"crypto/tls"
	"io"
	"net"
	"sync"
	"time"

	"c100k/netpoll"
)

// Conn is a net.Conn that continues a connection whose handshake a Layer has done. One goroutine
// may read while another writes; Close may be called at any time.
type Conn struct {
	net.Conn // the socket

	about *about // immutable

	rmu     sync.Mutex // guards the fields below
	reading session    // of which the read half is in use
	in      side
	raw     []byte // came from the socket and is not opened
	plain   []byte // opened and not delivered
	readErr error  // what every further Read returns

	wmu      sync.Mutex // guards the fields below
	writing  session    // of which the write half is in use
	out      side
	first    []byte // sealed already; goes out before everything else
	writeErr error  // what every further Write returns
}

// side is what one direction has of ciphers. It implements ciphers.
type side struct {
	aead    cipher.AEAD
	scratch scratch
}

func (x *side) get(s *session, h *half) cipher.AEAD {
	if x.aead == nil {
		x.aead = h.newAEAD(s.kind())
	}
	return x.aead
}

func (x *side) drop(*half) { x.aead = nil }

// NewConn makes a Conn of a socket and of what netpoll.Loop.DetachLayered has returned for its
// connection, both of which it owns. It does not wait: what is sealed in moved is sent by the first
// Read or Write.
func NewConn(socket net.Conn, moved *netpoll.Moved) *Conn {
	st := moved.State.(*State)
	c := &Conn{Conn: socket, about: st.about, reading: st.session, writing: st.session, first: moved.Sealed}
	c.raw = append(st.in, moved.Unopened...)
	return c
}

// ConnectionState is what is known from the handshake. Any goroutine.
func (c *Conn) ConnectionState() tls.ConnectionState { return c.about.state() }

// Read is net.Conn's. The peer's close_notify is io.EOF; a FIN without one is io.ErrUnexpectedEOF.
func (c *Conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if err := c.flushFirst(); err != nil {
		return 0, err
	}
	c.rmu.Lock()
	defer c.rmu.Unlock()
	for len(c.plain) == 0 {
		if c.readErr != nil {
			return 0, c.readErr
		}
		if err := c.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, c.plain)
	if c.plain = c.plain[n:]; len(c.plain) == 0 {
		c.plain = nil
	}
	return n, nil
}

// next opens one record. rmu is held.
func (c *Conn) next() error {
	s := &c.reading
	for {
		size, a := s.recordSize(c.raw)
		if a != alertNone {
			return c.abort(a)
		}
		if size > 0 && len(c.raw) >= size {
			record := c.raw[:size:size]
			if c.raw = c.raw[size:]; len(c.raw) == 0 {
				c.raw = nil // the buffer is the record's now
			}
			return c.take(record)
		}
		if err := c.fill(); err != nil {
			return err
		}
	}
}

// fill reads from the socket. An error of a deadline passes; others stay.
func (c *Conn) fill() error {
	if cap(c.raw)-len(c.raw) < connReadBytesMin {
		grown := make([]byte, len(c.raw), 2*len(c.raw)+connReadBytes)
		copy(grown, c.raw)
		c.raw = grown
	}
	n, err := c.Conn.Read(c.raw[len(c.raw):cap(c.raw)])
	c.raw = c.raw[:len(c.raw)+n]
	if n > 0 {
		return nil
	}
	if len(c.raw) == 0 {
		c.raw = nil
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF // RFC 8446, 6.1: without close_notify it is a truncation
		c.readErr = err
	}
	return err
}

// take opens a record and does what it says. rmu is held.
func (c *Conn) take(record []byte) error {
	s := &c.reading
	typ, p, a := s.open(&c.in.scratch, &c.in, record)
	ev := eventNothing
	if a == alertNone {
		ev, a = s.take(typ, p, &c.in, uint32(netpoll.Monotonic()/time.Second))
	}
	if a != alertNone {
		return c.abort(a)
	}
	switch ev {
	case eventData:
		c.plain = p
	case eventClosed:
		c.readErr = io.EOF
	case eventAlert:
		c.readErr = &net.OpError{Op: "remote error", Err: alert(p[1])}
	case eventAnswer:
		return c.update(false)
	}
	if s.wantsUpdate() {
		return c.update(true)
	}
	return nil
}

// abort tells the peer what is wrong with its input, and ends the reading. rmu is held.
func (c *Conn) abort(a alert) error {
	c.readErr = &net.OpError{Op: "local error", Err: a}
	c.wmu.Lock()
	defer c.wmu.Unlock()
	c.sendAlert(a) // the reason for the end is in readErr
	return c.readErr
}

// sendAlert sends the last record. wmu is held.
func (c *Conn) sendAlert(a alert) {
	if c.writeErr != nil {
		return
	}
	sealed := c.writing.sealAlert(&c.out.scratch, &c.out, nil, a)
	_ = c.SetWriteDeadline(time.Now().Add(closeTimeout))
	_, c.writeErr = c.send(sealed)
	if c.writeErr == nil {
		c.writeErr = net.ErrClosed
	}
}

// update sends a KeyUpdate.
func (c *Conn) update(ask bool) error {
	c.wmu.Lock()
	defer c.wmu.Unlock()
	if c.writeErr != nil {
		return c.writeErr
	}
	_, err := c.send(c.writing.sealUpdate(&c.out.scratch, &c.out, nil, ask))
	return err
}

// send writes sealed bytes, behind those that were sealed before this Conn was made. A record that
// was not sent whole ends the connection: the next one could not be opened. wmu is held.
func (c *Conn) send(sealed []byte) (int, error) {
	if len(c.first) > 0 {
		sealed = append(c.first, sealed...)
		c.first = nil
	}
	n, err := c.Conn.Write(sealed)
	if err != nil {
		c.writeErr = err
	}
	return n, err
}

// flushFirst sends what was sealed before this Conn was made.
func (c *Conn) flushFirst() error {
	c.wmu.Lock()
	defer c.wmu.Unlock()
	if len(c.first) == 0 || c.writeErr != nil {
		return nil
	}
	_, err := c.send(nil)
	return err
}

// sealBuffers are for Write.
var sealBuffers = sync.Pool{New: func() any { return new([]byte) }}

// Write is net.Conn's.
func (c *Conn) Write(p []byte) (n int, err error) {
	c.wmu.Lock()
	defer c.wmu.Unlock()
	buf := sealBuffers.Get().(*[]byte)
	defer sealBuffers.Put(buf)
	for len(p) > 0 {
		if c.writeErr != nil {
			return n, c.writeErr
		}
		part := p[:min(len(p), connWriteBytes)]
		*buf = c.writing.sealPieces(&c.out.scratch, &c.out, (*buf)[:0], [][]byte{part})
		if _, err := c.send(*buf); err != nil {
			return n, err
		}
		n, p = n+len(part), p[len(part):]
	}
	return n, nil
}

// CloseWrite sends close_notify and a FIN.
func (c *Conn) CloseWrite() error {
	c.wmu.Lock()
	defer c.wmu.Unlock()
	c.sendAlert(alertCloseNotify)
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// Close sends close_notify, unless a Write is under way or has failed, and closes the socket.
func (c *Conn) Close() error {
	if c.wmu.TryLock() {
		c.sendAlert(alertCloseNotify)
		c.wmu.Unlock()
	}
	return c.Conn.Close()
}

// Leave ends the Conn, but not the connection: plain is what was opened and not delivered, and
// moved what a Layer needs to continue. The socket is the caller's. No Read or Write may be under
// way. The error is that of a connection that cannot be continued.
func (c *Conn) Leave() (socket net.Conn, plain []byte, moved *netpoll.Moved, err error) {
	c.rmu.Lock()
	defer c.rmu.Unlock()
	c.wmu.Lock()
	defer c.wmu.Unlock()
	for _, err := range []error{c.readErr, c.writeErr} {
		if err != nil {
			return nil, nil, nil, err
		}
	}
	st := &State{session: c.reading, about: c.about}
	st.session.write = c.writing.write
	moved = &netpoll.Moved{State: st, Sealed: c.first, Unopened: c.raw}
	plain = c.plain
	c.readErr, c.writeErr = net.ErrClosed, net.ErrClosed
	c.raw, c.plain, c.first, c.in.aead, c.out.aead = nil, nil, nil, nil, nil
	return c.Conn, plain, moved, nil
}
