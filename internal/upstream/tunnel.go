// A WebSocket of the application, and how it is drained.

package upstream

import (
	"encoding/binary"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"c100k/frame"
)

const (
	// drainStep is how often a drain ends the next tunnels.
	drainStep = 50 * time.Millisecond

	// closeWait is how long the client has to answer the close frame, and how long a drain waits for
	// the last tunnels.
	closeWait = 3 * time.Second
)

// restart is the close frame of a drain: RFC 6455, 7.4, and 1012 of its registry.
var restart = frame.AppendClose(nil, 1012, "service restart")

// tunnel is the client's connection of a WebSocket. It follows the frames that are written to it,
// so that the close frame of a drain stands between two of them.
type tunnel struct {
	net.Conn

	mu       sync.Mutex // guards the fields below, and writing
	frames   frames
	draining bool
	closed   bool // the close frame is sent

	told atomic.Bool // draining; any goroutine reads
}

// Write sends bytes of the application; behind the close frame it discards them.
func (t *tunnel) Write(p []byte) (n int, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return len(p), nil
	}
	send := p
	if t.draining {
		send = p[:t.frames.untilBoundary(p)]
	} else {
		t.frames.follow(p)
	}
	if n, err = t.Conn.Write(send); err != nil {
		return n, err
	}
	t.sayGoodbye()
	return len(p), nil
}

// drain has the close frame sent at the next boundary of frames. It does nothing while a Write is
// under way, which may take long: the next step of the drain tries again.
func (t *tunnel) drain() {
	if !t.mu.TryLock() {
		return
	}
	defer t.mu.Unlock()
	t.draining = true
	t.told.Store(true)
	t.sayGoodbye()
}

// sayGoodbye sends the close frame, if it is time. The caller holds mu.
func (t *tunnel) sayGoodbye() {
	if !t.draining || t.closed || !t.frames.boundary() {
		return
	}
	t.closed = true
	// Errors mean that the connection is broken, and its reader finds out.
	_ = t.SetWriteDeadline(time.Now().Add(closeWait))
	_, _ = t.Conn.Write(restart)
	_ = t.SetReadDeadline(time.Now().Add(closeWait))
}

// frames follows the frames of a WebSocket: RFC 6455, 5.2.
type frames struct {
	head [14]byte
	have int    // bytes of head
	left uint64 // bytes of the payload still to come
}

// boundary tells whether a frame may begin here.
func (f *frames) boundary() bool { return f.have == 0 && f.left == 0 }

// follow goes over p.
func (f *frames) follow(p []byte) {
	for len(p) > 0 {
		p = p[f.step(p):]
	}
}

// untilBoundary goes over p up to the first boundary; n is 0 if one is in front of it.
func (f *frames) untilBoundary(p []byte) (n int) {
	for n < len(p) && !f.boundary() {
		n += f.step(p[n:])
	}
	return n
}

// step consumes bytes of p, which is not empty: payload, or one byte of a header.
func (f *frames) step(p []byte) (n int) {
	if f.left > 0 {
		n = int(min(uint64(len(p)), f.left))
		f.left -= uint64(n)
		return n
	}
	f.head[f.have] = p[0]
	f.have++
	if f.have >= 2 && f.have == f.headLength() {
		f.left, f.have = f.payloadLength(), 0
	}
	return 1
}

// headLength is the length of the header, of which the first two bytes are there.
func (f *frames) headLength() int {
	n := 2
	switch f.head[1] & 0x7f {
	case 126:
		n += 2
	case 127:
		n += 8
	}
	if f.head[1]&0x80 != 0 {
		n += 4
	}
	return n
}

func (f *frames) payloadLength() uint64 {
	switch n := f.head[1] & 0x7f; n {
	case 126:
		return uint64(binary.BigEndian.Uint16(f.head[2:]))
	case 127:
		return binary.BigEndian.Uint64(f.head[2:])
	default:
		return uint64(n)
	}
}

// Drain ends all tunnels, spread evenly over a time, and waits until they have ended, at most
// closeWait longer. Close ends it early, and so does stop when it is closed.
func (p *Proxy) Drain(over time.Duration, stop <-chan struct{}) {
	begun := time.Now()
	there := p.Tunnels()
	tick := time.NewTicker(drainStep)
	defer tick.Stop()
	for p.Tunnels() > 0 && time.Since(begun) < over+closeWait {
		stay := 0.0
		if passed := time.Since(begun) + drainStep; passed < over {
			stay = float64(over-passed) / float64(over)
		}
		p.drainTo(int(float64(there) * stay))
		select {
		case <-tick.C:
		case <-stop:
			return
		}
	}
}

// drainTo ends as many tunnels as it takes for so many to stay.
func (p *Proxy) drainTo(stay int) {
	p.mu.Lock()
	open := make([]*tunnel, 0, len(p.tunnels))
	for t := range p.tunnels {
		if !t.told.Load() {
			open = append(open, t)
		}
	}
	p.mu.Unlock()
	for _, t := range open[min(stay, len(open)):] {
		t.drain()
	}
}

// Close cuts all tunnels and the idle connections to the application.
func (p *Proxy) Close() {
	p.mu.Lock()
	for t := range p.tunnels {
		t.Conn.Close()
	}
	p.mu.Unlock()
	p.transport.CloseIdleConnections()
}
