package wire

// conn.go: a connection on a socket of package net: how it is read without a buffer of its own, and
// written without waiting.

import (
	"net"
	"sync"
	"syscall"
	"time"

	"c100k-peers/peer"
)

// readBytes is what one read takes at most.
const readBytes = 64 << 10

// turn is what a connection needs only while it is served.
type turn struct {
	in  [readBytes]byte
	out Output
}

var turns = sync.Pool{New: func() any { return new(turn) }}

// Conn is one connection. Turn has one caller at a time; Send may have many.
type Conn struct {
	conn *net.TCPConn
	raw  syscall.RawConn
	room *Room

	// Those of Turn.
	session Session
	head    *time.Timer // until the handshake is done
	turn    *turn       // only between a read and its end
	wait    bool
	n       int
	readErr error
	tryRead func(fd uintptr) bool // made once, not for every read

	place  int  // guarded by the room's mu
	joined bool // guarded by the room's mu

	mu       sync.Mutex            // guards the fields below
	owed     []byte                // what try is to write
	taken    int                   // what the socket took of it
	writeErr error                 // and why not more
	tryWrite func(fd uintptr) bool // made once, not for every write
	backlog  []byte                // what the socket has not taken yet
	busy     bool                  // a goroutine writes the backlog
	ended    bool                  // nothing more is sent
	drained  func()                // called once, when the backlog is gone
}

// NewConn is for an accepted connection, whose descriptor stays as package net has it:
// non-blocking. Its handshake must be done in peer.HeadWait.
func NewConn(conn *net.TCPConn, room *Room) (*Conn, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	c := &Conn{conn: conn, raw: raw, room: room}
	c.tryRead, c.tryWrite = c.readOnce, c.writeOnce
	c.head = time.AfterFunc(peer.HeadWait, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.giveUp()
	})
	return c, nil
}

// Turn reads once and sends what that asks for. With wait it blocks until there is something to
// read, and has no buffer until then. When the connection is over it has left the room, and false
// comes back; the caller closes the socket when all is sent.
func (c *Conn) Turn(wait bool) bool {
	c.wait = wait
	alive := c.raw.Read(c.tryRead) == nil
	if t := c.turn; t != nil {
		c.turn = nil
		alive = alive && c.readErr == nil && c.n > 0 && c.answer(t)
		turns.Put(t)
	}
	if !alive {
		c.head.Stop()
		c.room.leave(c)
	}
	return alive
}

// readOnce is one read system call. It returns false to be called again when the socket is
// readable.
func (c *Conn) readOnce(fd uintptr) bool {
	t := turns.Get().(*turn)
	for {
		c.n, c.readErr = syscall.Read(int(fd), t.in[:])
		if c.readErr != syscall.EINTR {
			break
		}
	}
	if c.readErr == syscall.EAGAIN {
		turns.Put(t)
		return !c.wait
	}
	c.turn = t
	return true
}

// answer tells whether the connection goes on.
func (c *Conn) answer(t *turn) bool {
	t.out.Begin(func() { c.send(&t.out) })
	c.session.Take(t.in[:c.n], &t.out)
	if c.session.open {
		c.head.Stop()
	}
	return !t.out.End
}

func (c *Conn) send(out *Output) {
	if out.Joined {
		c.room.join(c, out.Reply)
	} else {
		c.Send(out.Reply)
	}
	if len(out.Everyone) > 0 {
		c.room.Broadcast(out.Everyone)
	}
	out.Sent()
}

// Send writes p at once, without waiting. What the socket does not take is copied, and written by a
// goroutine that lives as long as there is a backlog; a reader that lags more than peer.LagBytesMax
// behind is disconnected.
func (c *Conn) Send(p []byte) {
	if len(p) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.busy && !c.ended {
		p = p[c.try(p):]
	}
	switch {
	case len(p) == 0 || c.ended:
	case len(c.backlog)+len(p) > peer.LagBytesMax:
		c.giveUp()
	default:
		c.backlog = append(c.backlog, p...)
		if !c.busy {
			c.busy = true
			go c.drain()
		}
	}
}

// try returns how much of p the socket took.
func (c *Conn) try(p []byte) int {
	c.owed, c.taken, c.writeErr = p, 0, nil
	if err := c.raw.Write(c.tryWrite); err != nil {
		c.writeErr = err
	}
	c.owed = nil
	if c.writeErr != nil && c.writeErr != syscall.EAGAIN {
		c.giveUp()
	}
	return c.taken
}

func (c *Conn) writeOnce(fd uintptr) bool {
	for {
		n, err := syscall.Write(int(fd), c.owed)
		if err == syscall.EINTR {
			continue
		}
		c.taken, c.writeErr = max(n, 0), err
		return true
	}
}

// giveUp ends both directions. The descriptor stays until the reader has seen the end: its number
// must not go to another connection before.
func (c *Conn) giveUp() {
	c.ended = true
	c.backlog = nil
	c.raw.Control(func(fd uintptr) { syscall.Shutdown(int(fd), syscall.SHUT_RDWR) })
}

func (c *Conn) drain() {
	for p := c.next(); p != nil; p = c.next() {
		c.conn.SetWriteDeadline(time.Now().Add(peer.WriteWait))
		if _, err := c.conn.Write(p); err != nil {
			c.mu.Lock()
			c.giveUp()
			c.mu.Unlock()
		}
	}
}

// next takes the backlog. When there is none, the deadline goes (it would fail later writes) and so
// does the goroutine.
func (c *Conn) next() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.backlog
	c.backlog = nil
	if p == nil {
		c.conn.SetWriteDeadline(time.Time{})
		c.busy = false
		if c.drained != nil {
			go c.drained()
			c.drained = nil
		}
	}
	return p
}

// WhenDrained calls f when there is no backlog: now, or later from a goroutine of its own. One f at
// a time.
func (c *Conn) WhenDrained(f func()) {
	c.mu.Lock()
	if c.busy {
		c.drained = f
		c.mu.Unlock()
		return
	}
	c.mu.Unlock()
	f()
}

// AwaitDrained returns when there is no backlog: who does not take the answers is not read.
func (c *Conn) AwaitDrained() {
	c.mu.Lock()
	busy := c.busy
	c.mu.Unlock()
	if busy {
		done := make(chan struct{})
		c.WhenDrained(func() { close(done) })
		<-done
	}
}
