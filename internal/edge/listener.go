// Listener: the way of a connection from a loop to net/http.

package edge

import (
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"c100k/netpoll"
)

// ListenerOptions configures a Listener.
type ListenerOptions struct {
	// Addr is what Listener.Addr returns: the public port.
	Addr net.Addr
	// Limits bounds the heads on its connections.
	Limits Limits
	// Hosts are the values of Host that are served.
	Hosts HostRules
	// HeadTimeout is how long a later head on a connection may take from its first byte; 0 means no
	// limit.
	HeadTimeout time.Duration
	// BodyTimeout is how long a request body may take in all, from the first read of it; 0 means no
	// limit. BodyIdleTimeout holds for the time between two of its bytes.
	BodyTimeout time.Duration
	// QueueMax is the number of connections that may wait for Accept; 0 means FallbackQueueMax.
	QueueMax int
	// Layered makes a net.Conn of the socket of a connection that had a layer, and of what its loop
	// knew of it. It must not wait. Nil: there are only plain connections.
	Layered func(socket net.Conn, moved *netpoll.Moved) Layered
	// Release is called once with the tag of each connection that has ended, on any goroutine. It
	// may be nil.
	Release func(tag uint32)
	// Refused is called with each refusal, on any goroutine. It may be nil.
	Refused func(r *Refusal)
}

// Listener is a net.Listener whose connections come from the loops. A server on it must have
// ConnState as its ConnState hook. Any goroutine may call its methods.
type Listener struct {
	opt     ListenerOptions
	queue   chan delivery
	waiting atomic.Int64 // reserved or in the queue
	done    chan struct{}
	closed  atomic.Bool
}

// delivery is a connection in the queue; the Listener closes it if it is not accepted.
type delivery struct {
	fd    int
	moved *netpoll.Moved // nil for a plain connection
	first []byte
	tag   uint32

	origin
}

// NewListener makes an open Listener.
func NewListener(opt ListenerOptions) *Listener {
	if opt.QueueMax <= 0 {
		opt.QueueMax = FallbackQueueMax
	}
	return &Listener{opt: opt, queue: make(chan delivery, opt.QueueMax), done: make(chan struct{})}
}

// ConnState tells a Conn that it is hijacked. It must be the ConnState hook of the http.Server, or
// be called by that hook.
func ConnState(c net.Conn, state http.ConnState) {
	if conn, ok := ConnOf(c); ok && state == http.StateHijacked {
		conn.Hijacked()
	}
}

// Deliver hands over a connected non-blocking socket, the bytes already read from it, which the
// Listener keeps, and its tag. False means that the queue is full or the Listener is closed; then
// the caller keeps all three. It does not block.
func (l *Listener) Deliver(fd int, first []byte, tag uint32) bool {
	if !l.reserve() {
		return false
	}
	l.put(delivery{fd: fd, first: first, tag: tag})
	return true
}

// reserve takes a place in the queue; the caller must fill it with put.
func (l *Listener) reserve() bool {
	if l.closed.Load() {
		return false
	}
	if l.waiting.Add(1) > int64(cap(l.queue)) {
		l.waiting.Add(-1)
		return false
	}
	return true
}

// cancel gives a reserved place back.
func (l *Listener) cancel() { l.waiting.Add(-1) }

// put fills a reserved place. It never blocks, because no more places are given out than the
// channel has.
func (l *Listener) put(d delivery) {
	l.queue <- d
	// Close sets closed and then empties the queue; put fills the queue and then reads closed. In
	// any order of these, one of the two finds the connection.
	if l.closed.Load() {
		l.discard()
	}
}

// Accept waits for the next connection.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		select {
		case <-l.done:
			return nil, net.ErrClosed
		case d := <-l.queue:
			l.waiting.Add(-1)
			if socket := l.open(d); socket != nil {
				c := newConn(socket, l, d.tag, d.first)
				if d.moved != nil {
					c.layered = l.opt.Layered(socket, d.moved)
					c.Conn = c.layered
				}
				if d.mount != nil {
					c.from = d.mount.from
				}
				if d.client.IsValid() {
					c.client = net.TCPAddrFromAddrPort(d.client)
				}
				if c.layered != nil {
					return &layeredConn{c}, nil
				}
				return c, nil
			}
		}
	}
}

// open makes a net.Conn of a delivery. Package net duplicates the descriptor; if no descriptor is
// left, the peer gets a refusal on the first one, and the result is nil.
func (l *Listener) open(d delivery) net.Conn {
	file := os.NewFile(uintptr(d.fd), "connection")
	defer file.Close()
	socket, err := net.FileConn(file)
	if err == nil {
		return socket
	}
	l.refused(RefuseOverCapacity)
	if d.moved != nil { // there is nobody to seal an answer
		l.release(d.tag)
		return nil
	}
	// One non-blocking write: there is no descriptor with which to wait for room.
	_, _ = unix.Write(d.fd, AppendRefusal(nil, RefuseOverCapacity, true))
	l.release(d.tag)
	return nil
}

// Close ends Accept and closes the connections in the queue. Connections already accepted stay
// open.
func (l *Listener) Close() error {
	if !l.closed.CompareAndSwap(false, true) {
		return net.ErrClosed
	}
	close(l.done)
	l.discard()
	return nil
}

func (l *Listener) discard() {
	for {
		select {
		case d := <-l.queue:
			l.waiting.Add(-1)
			unix.Close(d.fd)
			l.release(d.tag)
		default:
			return
		}
	}
}

// Addr is ListenerOptions.Addr.
func (l *Listener) Addr() net.Addr { return l.opt.Addr }

func (l *Listener) release(tag uint32) {
	if l.opt.Release != nil {
		l.opt.Release(tag)
	}
}

func (l *Listener) refused(r *Refusal) {
	if l.opt.Refused != nil {
		l.opt.Refused(r)
	}
}
