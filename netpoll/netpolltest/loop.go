// The test's handle on the loop and its peers.

package netpolltest

import (
	"testing"
	"time"

	"c100k/netpoll"
)

// Options says what the loop under test is made of.
type Options struct {
	// Seed feeds the kernel's chaos. 0 means none: every read and write goes
	// through whole and events come in order.
	Seed uint64

	// Start is what the clock stands at; 0 means one hour.
	Start time.Duration

	// Tick is that of netpoll.Options.
	Tick time.Duration

	// Layer is below the handlers of all connections; nil for plain ones. Wire
	// makes the peers' ends of it, so that Peer.Write and Peer.Read are of plain
	// bytes.
	Layer netpoll.Layer
	Wire  func() Wire

	Handlers   [netpoll.RolesMax]netpoll.Handler
	Deliver    func(l *netpoll.Loop, members int) bool
	AfterFlush func(l *netpoll.Loop)
	OnRelease  func(tag uint32, r netpoll.Reason)
	OnPanic    func(l *netpoll.Loop, c *netpoll.Conn)
}

// Wire is a peer's end of a layer.
type Wire interface {
	// Seal appends p to dst as it goes over the wire.
	Seal(dst, p []byte) []byte

	// Open takes what has come over the wire and returns the plain bytes in it,
	// up to an incomplete record, which it keeps.
	Open(p []byte) ([]byte, error)

	// SealEnd appends the closing record.
	SealEnd(dst []byte) []byte
}

// Loop is a netpoll.Loop on a faked kernel and clock.
type Loop struct {
	*netpoll.Loop
	t      testing.TB
	kernel *kernel
	now    time.Duration
	opt    Options
}

// New makes a loop; its clock stands at one hour. When the test ends, the loop
// is stopped, and OnClose of its handlers is called.
func New(t testing.TB, o Options) *Loop {
	t.Helper()
	l := &Loop{t: t, opt: o, kernel: newKernel(o.Seed, o.Seed != 0), now: o.Start}
	if l.now == 0 {
		l.now = time.Hour
	}
	nl, err := netpoll.NewLoop(netpoll.Options{
		Tick: o.Tick, Layer: o.Layer, Handlers: o.Handlers, Deliver: o.Deliver, AfterFlush: o.AfterFlush, OnRelease: o.OnRelease, OnPanic: o.OnPanic,
		Kernel: l.kernel, Clock: func() time.Duration { return l.now },
	})
	if err != nil {
		t.Fatal(err)
	}
	l.Loop = nl
	t.Cleanup(nl.Stop)
	if o.Seed != 0 {
		t.Cleanup(func() {
			if t.Failed() {
				t.Logf("the faked kernel's seed was %d", o.Seed)
			}
		})
	}
	return l
}

// Peer is the other end of one connection.
type Peer struct {
	loop *Loop
	sock *socket
	id   netpoll.ID
	wire Wire // nil on a plain connection
}

// Connect makes a connection with the given role and runs one turn.
func (l *Loop) Connect(role netpoll.Role) *Peer { return l.ConnectTagged(role, 0) }

// ConnectTagged is Connect with an acceptor's tag.
func (l *Loop) ConnectTagged(role netpoll.Role, tag uint32) *Peer {
	l.t.Helper()
	p := &Peer{loop: l, sock: l.kernel.open()}
	var c *netpoll.Conn
	if l.opt.Layer == nil {
		c = l.Adopt(int(p.sock.fd), role, tag, nil)
	} else {
		p.wire = l.opt.Wire()
		c = l.AdoptLayered(int(p.sock.fd), role, tag, nil, nil)
	}
	if c == nil {
		l.t.Fatal("the loop did not adopt the connection")
	}
	p.id = c.ID()
	l.Turn()
	return p
}

// Socket makes a faked socket for Adopt and AdoptLayered; its peer says nothing.
func (l *Loop) Socket() (fd int) { return int(l.kernel.open().fd) }

// Take adopts the socket of another loop's peer, which was detached there, with
// its layer; moved is nil for a plain connection. The peer that it returns goes on
// where the old one was.
func (l *Loop) Take(p *Peer, role netpoll.Role, moved *netpoll.Moved, first []byte) *Peer {
	l.t.Helper()
	delete(p.loop.kernel.sockets, p.sock.fd)
	l.kernel.nextFD++
	p.sock.fd = l.kernel.nextFD
	l.kernel.sockets[p.sock.fd] = p.sock
	var c *netpoll.Conn
	if moved == nil {
		c = l.Adopt(int(p.sock.fd), role, 0, first)
	} else {
		c = l.AdoptLayered(int(p.sock.fd), role, 0, moved, first)
	}
	if c == nil {
		l.t.Fatal("the loop did not adopt the connection")
	}
	return &Peer{loop: l, sock: p.sock, id: c.ID(), wire: p.wire}
}

// Settle runs turns until nothing changes any more, 10,000 at most.
func (l *Loop) Settle() {
	l.t.Helper()
	quiet := 0
	for range 10000 {
		before := l.moved()
		l.Turn()
		if l.moved() == before {
			// Under chaos a turn may achieve nothing by bad luck.
			if quiet++; quiet > 40 {
				return
			}
		} else {
			quiet = 0
		}
	}
	l.t.Fatal("the loop does not come to rest")
}

// moved is a fingerprint of everything that a turn can change.
func (l *Loop) moved() [5]int {
	s := l.Stats()
	m := [5]int{int(s.BytesReceived), int(s.BytesSent), int(s.Opened), int(s.Closed), int(s.Tasks + s.Timers)}
	return m
}

// Advance moves the clock by d in steps of 10 ms, a turn each, and settles.
func (l *Loop) Advance(d time.Duration) {
	l.t.Helper()
	for end := l.now + d; l.now < end; {
		l.now += min(10*time.Millisecond, end-l.now)
		l.Turn()
	}
	l.Settle()
}

// ID names the connection, also after it has closed.
func (p *Peer) ID() netpoll.ID { return p.id }

// Conn is the loop's record, nil when the connection has closed.
func (p *Peer) Conn() *netpoll.Conn { return p.loop.Lookup(p.id) }

// Write sends bytes to the loop; they arrive with its next turn.
func (p *Peer) Write(b []byte) {
	if p.wire != nil {
		b = p.wire.Seal(nil, b)
	}
	p.WriteRaw(b)
}

// Seal appends b to dst as Write would send it.
func (p *Peer) Seal(dst, b []byte) []byte { return p.wire.Seal(dst, b) }

// WriteRaw is Write below the layer.
func (p *Peer) WriteRaw(b []byte) {
	p.sock.toLoop = append(p.sock.toLoop, b...)
	p.sock.written = p.sock.toLoop
	p.sock.news = p.sock.news || len(b) > 0
}

// Read takes all that the loop has sent so far; below a layer, up to a record
// that is not complete.
func (p *Peer) Read() []byte {
	b := p.ReadRaw()
	if p.wire == nil {
		return b
	}
	plain, err := p.wire.Open(b)
	if err != nil {
		p.loop.t.Errorf("the peer's end of the layer: %v", err)
	}
	return plain
}

// ReadRaw is Read below the layer.
func (p *Peer) ReadRaw() []byte {
	b := p.sock.toPeer
	p.sock.toPeer = nil
	return b
}

// Discard forgets all that the loop has sent so far; unlike Read it lets the
// buffers be used again, for tests that count allocations.
func (p *Peer) Discard() {
	p.sock.toPeer = p.sock.toPeer[:0]
	if len(p.sock.toLoop) == 0 {
		p.sock.toLoop = p.sock.written[:0]
	}
}

// CloseWrite sends a FIN behind what was written, and before it the layer's
// closing record.
func (p *Peer) CloseWrite() {
	if p.wire != nil {
		p.WriteRaw(p.wire.SealEnd(nil))
	}
	p.CloseRaw()
}

// CloseRaw sends a FIN only.
func (p *Peer) CloseRaw() { p.sock.fin, p.sock.news = true, true }

// Reset sends an RST: what is on its way is lost.
func (p *Peer) Reset() { p.sock.reset, p.sock.toLoop, p.sock.news = true, nil, true }

// SetWindow lets the socket take n more bytes before it says EAGAIN; -1 lifts
// the limit.
func (p *Peer) SetWindow(n int) { p.sock.window = n }

// Finished tells whether the loop has sent its FIN, or closed the socket.
func (p *Peer) Finished() bool { return p.sock.loopFin || p.sock.closed }

// Closed tells whether the loop has closed the socket.
func (p *Peer) Closed() bool { return p.sock.closed }
