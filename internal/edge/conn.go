// Conn: a connection that net/http serves, with a guard between net/http and the socket.

package edge

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Conn is what Listener.Accept gives to net/http. Read returns the bytes of the socket, but no byte
// of a request head that ParseHead has not accepted, no byte of a body whose framing is broken, and
// nothing behind a request for another protocol. When a handler hijacks the connection, it becomes
// the plain socket, beginning with every byte that was not delivered.
//
// Conn itself answers a head that is refused, because net/http would close the connection without
// an answer.
//
// It relies on two promises of net/http: one Read runs at a time, and net/http reads a single byte
// between two requests only while a handler runs.
type Conn struct {
	net.Conn // the socket

	// immutable
	listener *Listener
	tag      uint32
	client   net.Addr // as a PROXY header named it, or nil
	from     *http.Server
	layered  Layered // Conn, if it has a layer; else nil

	// owned by the goroutine that reads
	guard   guard
	buf     []byte    // came from the socket and was not delivered
	store   []byte    // the memory that buf is in
	ready   int       // bytes of buf that are accepted
	bodyEnd time.Time // when the body that is being read must be complete; zero: no body, or no limit
	early   int       // 1: buf[0] was delivered before its head was checked
	broken  error     // what every further Read returns

	// any goroutine
	raw   atomic.Bool // hijacked: the guard is off
	ended atomic.Bool // closed or taken: the tag is not this Conn's any more
	kick  chan struct{}

	mu           sync.Mutex // guards the fields below
	readDeadline time.Time  // as it was set from outside
	headDeadline time.Time  // for the head that is being read
	bodyDeadline time.Time  // for the next bytes of the body that is being read
}

// newConn makes a Conn, which owns first.
func newConn(socket net.Conn, l *Listener, tag uint32, first []byte) *Conn {
	return &Conn{Conn: socket, listener: l, tag: tag, buf: first, store: first, kick: make(chan struct{}, 1)}
}

// Tag is the connection's tag from Admission.Admit.
func (c *Conn) Tag() uint32 { return c.tag }

// From is the program's http.Server whose handlers get the requests of the connection; nil for a
// connection of the node's own port.
func (c *Conn) From() *http.Server { return c.from }

// RemoteAddr is the address of the client: the one in a trusted proxy's PROXY header, otherwise the
// peer's.
func (c *Conn) RemoteAddr() net.Addr {
	if c.client != nil {
		return c.client
	}
	return c.Conn.RemoteAddr()
}

// Hijacked turns the guard off: from now on the connection is the plain socket, beginning with what
// was read and not delivered. The ConnState hook calls it; no Read may be running.
func (c *Conn) Hijacked() { c.raw.Store(true) }

// Read delivers bytes that the guard has accepted. One call never returns bytes of two requests.
func (c *Conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		switch {
		case c.raw.Load():
			return c.readRaw(p)
		case c.ready > 0:
			return c.deliver(p), nil
		case c.broken != nil:
			return 0, c.broken
		case !c.guard.body.done():
			return c.readBody(p)
		case c.guard.upgrade:
			return c.readUpgrade(p)
		case len(p) == 1 && c.guard.heads > 0 && c.early == 0:
			return c.readEarly(p)
		}
		if err := c.readHead(); err != nil {
			return 0, err
		}
	}
}

func (c *Conn) deliver(p []byte) int {
	n := copy(p, c.buf[:c.ready])
	c.ready -= n
	c.consume(n)
	return n
}

func (c *Conn) consume(n int) {
	c.buf = c.buf[n:]
	if len(c.buf) == 0 {
		c.buf = c.store[:0]
	}
}

// fill reads once from the socket and appends to buf.
func (c *Conn) fill() error {
	if len(c.buf) == cap(c.buf) {
		c.store = make([]byte, max(guardBufferBytes, 2*len(c.buf)))
		c.buf = c.store[:copy(c.store, c.buf)]
	}
	n, err := c.Conn.Read(c.buf[len(c.buf):cap(c.buf)])
	if n > 0 {
		c.buf = c.buf[:len(c.buf)+n]
		return nil
	}
	return err
}

// readHead reads until a complete head is accepted and ready to be delivered.
func (c *Conn) readHead() error {
	for {
		c.stripEmptyLine()
		if len(c.buf) > 0 && c.guard.strip {
			n, refusal := c.guard.head(c.buf, c.listener.opt.Limits, &c.listener.opt.Hosts)
			if refusal != nil {
				return c.refuse(refusal)
			}
			if n > 0 {
				c.setHeadDeadline(time.Time{})
				c.consume(c.early)
				c.ready, c.early = n-c.early, 0
				return nil
			}
		}
		if len(c.buf) > 0 {
			c.armHead()
		}
		if err := c.fill(); err != nil {
			return c.headError(err)
		}
	}
}

func (c *Conn) stripEmptyLine() {
	if c.early > 0 {
		return // it came behind the empty line
	}
	skip, _ := c.guard.skip(c.buf)
	c.consume(skip)
}

// readEarly serves the read of one byte with which net/http notices, while a handler runs, that the
// client closes the connection. It returns the first byte of the next head before that head is
// judged: one byte does no harm, and a bad head must not disturb the handler that runs.
func (c *Conn) readEarly(p []byte) (int, error) {
	for {
		c.stripEmptyLine()
		if len(c.buf) > 0 && c.guard.strip {
			p[0] = c.buf[0]
			c.early = 1
			return 1, nil
		}
		if err := c.fill(); err != nil {
			return 0, err
		}
	}
}

// readBody reads as much as the framing of the body allows, directly from the socket if buf is
// empty.
func (c *Conn) readBody(p []byte) (int, error) {
	if len(c.buf) > 0 {
		n, refusal := c.guard.body.advance(c.buf)
		c.breakBody(refusal)
		if c.guard.body.done() {
			c.disarmBody()
		}
		if n == 0 {
			return 0, c.broken
		}
		c.ready = n
		return c.deliver(p), nil
	}
	p = p[:min(int64(len(p)), c.guard.body.readMax())]
	c.armBody()
	got, err := c.Conn.Read(p)
	n, refusal := c.guard.body.advance(p[:got])
	c.breakBody(refusal)
	if refusal == nil && n < got {
		c.buf = append(c.buf, p[n:got]...)
		c.store = c.buf
	}
	if c.guard.body.done() {
		c.disarmBody()
	}
	switch {
	case n > 0:
		return n, nil
	case refusal != nil:
		return 0, refusal
	}
	return 0, c.bodyError(err)
}

// breakBody makes every further Read fail in the middle of a body. The handler gets the error and
// answers; nothing is written here, because part of an answer may have been sent already.
func (c *Conn) breakBody(refusal *Refusal) {
	if refusal != nil {
		c.broken = refusal
		c.listener.refused(refusal)
	}
}

// readUpgrade serves reads behind a request for another protocol. While its handler runs (a read of
// one byte), a bounded number of bytes is kept for a handler that hijacks. A longer read asks for
// the next request, so the handler has not upgraded: the answer is EOF, because what follows need
// not be HTTP.
func (c *Conn) readUpgrade(p []byte) (int, error) {
	if len(p) > 1 {
		c.broken = io.EOF
		c.linger()
		return 0, io.EOF
	}
	for {
		err := error(nil)
		if len(c.buf) < guardBufferBytes {
			err = c.fill()
		} else {
			err = c.waitDeadline()
		}
		if err != nil {
			return 0, err
		}
	}
}

// readRaw delivers what is left in buf, then reads from the socket.
func (c *Conn) readRaw(p []byte) (int, error) {
	if rest := c.buf[c.early:]; len(rest) > 0 {
		n := copy(p, rest)
		c.consume(c.early + n)
		c.early = 0
		return n, nil
	}
	c.buf, c.store, c.early = nil, nil, 0
	return c.Conn.Read(p)
}

// refuse answers a head that is not accepted. All earlier responses are written: net/http asks for
// the next head only afterwards.
func (c *Conn) refuse(r *Refusal) error {
	c.broken = io.EOF
	c.listener.refused(r)
	body := !bytes.HasPrefix(c.buf, []byte("HEAD "))
	// An error means that the peer does not read the answer; nothing else can be done.
	_ = c.Conn.SetWriteDeadline(time.Now().Add(refusalLinger))
	if _, err := c.Conn.Write(AppendRefusal(nil, r, body)); err == nil {
		c.linger()
	}
	return io.EOF
}

// linger sends a FIN and discards input for up to refusalLinger, so that a reset does not destroy
// the answer.
func (c *Conn) linger() {
	if c.CloseWrite() != nil || c.Conn.SetReadDeadline(time.Now().Add(refusalLinger)) != nil {
		return
	}
	_, _ = io.CopyN(io.Discard, c.Conn, lingerBytesMax)
}

// Close closes the socket and releases the tag, once. Any goroutine.
func (c *Conn) Close() error {
	if !c.ended.CompareAndSwap(false, true) {
		return net.ErrClosed
	}
	err := c.Conn.Close()
	c.wake()
	c.listener.release(c.tag)
	return err
}

// ReadFrom lets net/http use sendfile(2) and splice(2).
func (c *Conn) ReadFrom(r io.Reader) (int64, error) {
	if to, ok := c.Conn.(io.ReaderFrom); ok {
		return to.ReadFrom(r)
	}
	return io.Copy(struct{ io.Writer }{c.Conn}, r)
}

// CloseWrite closes the sending half.
func (c *Conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return fmt.Errorf("edge: a %T has no half to close", c.Conn)
}

// SyscallConn gives access to the descriptor.
func (c *Conn) SyscallConn() (syscall.RawConn, error) {
	if raw, ok := c.Conn.(syscall.Conn); ok {
		return raw.SyscallConn()
	}
	return nil, fmt.Errorf("edge: a %T has no descriptor", c.Conn)
}
