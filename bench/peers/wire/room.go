package wire

// room.go: who is on /broadcast.

import "sync"

// Room is everybody on /broadcast. The zero value is an empty one; it is safe for concurrent use.
type Room struct {
	mu    sync.RWMutex
	conns []*Conn // guarded by mu; each knows its place
}

// join sends the answer to the handshake and adds the connection, so that no message comes before
// the answer and none is missed behind it.
func (r *Room) join(c *Conn, answer []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c.Send(answer)
	c.place = len(r.conns)
	c.joined = true
	r.conns = append(r.conns, c)
}

// leave removes the connection, if it is there.
func (r *Room) leave(c *Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !c.joined {
		return
	}
	c.joined = false
	end := len(r.conns) - 1
	last := r.conns[end]
	r.conns[c.place] = last
	last.place = c.place
	r.conns[end] = nil
	r.conns = r.conns[:end]
}

// Broadcast sends p to all. It does not wait for any of them, and does not keep p.
func (r *Room) Broadcast(p []byte) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, c := range r.conns {
		c.Send(p)
	}
}
