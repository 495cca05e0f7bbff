// Conn is a connection of net/http, with the guard between it and the socket.

package edge

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Conn is what Listener.Accept gives to net/http. It reads like the socket, but no byte of a request head comes out that
// was not judged by ParseHead first, no byte of a body that breaks its framing, and nothing behind a request for another
// protocol, unless a handler hijacks the connection: then it is the plain socket, with every byte that was not delivered.
//
// A head that is refused on it gets its answer here: net/http would close without one.
//
// It relies on what net/http promises: one Read at a time, and a read of one byte between two requests only while a
// handler runs.
type Conn struct {
	net.Conn // the socket

	// immutable
	listener *Listener
	tag      uint32
	client   net.Addr // as a PROXY header named it, or nil

	// owned by who reads
	guard  guard
	buf    []byte // came from the socket and was not delivered
	store  []byte // the memory that buf is in
	ready  int    // bytes of buf that are judged
	early  int    // 1: buf[0] was delivered before its head was judged
	broken error  // what every further Read returns

	// any goroutine
	raw   atomic.Bool // hijacked: nothing is judged any more
	ended atomic.Bool // closed or taken: the tag is not this Conn's any more
	kick  chan struct{}

	mu           sync.Mutex // guards the fields below
	readDeadline time.Time  // as it was set from outside
	headDeadline time.Time  // for the head that is being read
}

// newConn owns first.
func newConn(socket net.Conn, l *Listener, tag uint32, first []byte) *Conn {
	return &Conn{Conn: socket, listener: l, tag: tag, buf: first, store: first, kick: make(chan struct{}, 1)}
}

// Tag is what Admission.Admit gave to the connection.
func (c *Conn) Tag() uint32 { return c.tag }

// RemoteAddr is the client's address: what a trusted proxy said of it in a PROXY header, or else the peer's.
func (c *Conn) RemoteAddr() net.Addr {
	if c.client != nil {
		return c.client
	}
	return c.Conn.RemoteAddr()
}

// Hijacked ends the judging: from here on the connection is the plain socket, beginning with what was read and not
// delivered. The ConnState hook calls it; no Read may be running.
func (c *Conn) Hijacked() { c.raw.Store(true) }

// Read delivers judged bytes. Each return stays within one request.
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

// fill reads once more from the socket, behind what buf has.
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

// readHead reads until a whole head is judged and ready.
func (c *Conn) readHead() error {
	for {
		c.stripEmptyLine()
		if len(c.buf) > 0 && c.guard.strip {
			n, refusal := c.guard.head(c.buf, c.listener.opt.Limits)
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

// readEarly serves the read that net/http does while a handler runs, to see that the client goes away. It gets the first
// byte of the next head at once: that does no harm before the rest is judged, and if the head is bad, it is not the
// running handler that shall suffer.
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

// readBody reads what the framing of the body allows, past buf if that is empty.
func (c *Conn) readBody(p []byte) (int, error) {
	if len(c.buf) > 0 {
		n, refusal := c.guard.body.advance(c.buf)
		c.breakBody(refusal)
		if n == 0 {
			return 0, c.broken
		}
		c.ready = n
		return c.deliver(p), nil
	}
	p = p[:min(int64(len(p)), c.guard.body.readMax())]
	got, err := c.Conn.Read(p)
	n, refusal := c.guard.body.advance(p[:got])
	c.breakBody(refusal)
	if refusal == nil && n < got {
		c.buf = append(c.buf, p[n:got]...)
		c.store = c.buf
	}
	switch {
	case n > 0:
		return n, nil
	case refusal != nil:
		return 0, refusal
	}
	return 0, err
}

// breakBody ends the stream in the middle of a body. The handler that reads it finds out and answers; there may be part
// of an answer on its way already, so nothing is said here.
func (c *Conn) breakBody(refusal *Refusal) {
	if refusal != nil {
		c.broken = refusal
		c.listener.refused(refusal)
	}
}

// readUpgrade serves reads behind a request for another protocol. While its handler runs (a read of one byte), bytes are
// kept for a hijacker, a bounded number. A longer read asks for the next request, so the handler has refused: there is
// none, for what follows may be anything.
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

// readRaw delivers what is left in buf, then the socket.
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

// refuse answers a head that may not pass. The responses before it are out: net/http asks for the next head only then.
func (c *Conn) refuse(r *Refusal) error {
	c.broken = io.EOF
	c.listener.refused(r)
	body := !bytes.HasPrefix(c.buf, []byte("HEAD "))
	// If the peer does not take the answer, there is nobody left to tell.
	_ = c.Conn.SetWriteDeadline(time.Now().Add(refusalLinger))
	if _, err := c.Conn.Write(AppendRefusal(nil, r, body)); err == nil {
		c.linger()
	}
	return io.EOF
}

// linger sends a FIN and throws away what still comes, for a while, so that the answer is not lost to a reset.
func (c *Conn) linger() {
	if c.CloseWrite() != nil || c.Conn.SetReadDeadline(time.Now().Add(refusalLinger)) != nil {
		return
	}
	_, _ = io.CopyN(io.Discard, c.Conn, lingerBytesMax)
}

// Close closes the socket and gives the tag back, once. Any goroutine.
func (c *Conn) Close() error {
	if !c.ended.CompareAndSwap(false, true) {
		return net.ErrClosed
	}
	err := c.Conn.Close()
	c.wake()
	c.listener.release(c.tag)
	return err
}

// ReadFrom lets net/http use sendfile and splice.
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
