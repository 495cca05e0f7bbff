// The other nodes: who is there, and what has been heard of each.

package bus

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// peer is another node, in one life of it: one that starts anew has another id.
type peer struct {
	id     uint64
	name   string // empty until it has said so
	heard  time.Time
	there  bool   // heard in time, and not dead
	dead   bool   // its process has ended; messages still on the way do not make it present again
	synced bool   // latest means something
	latest uint64 // number of its latest message that is accounted for

	known       bool      // the log has it as there
	lost        bool      // the log has said that it is silent
	silentSince time.Time // while lost
}

// peers are the nodes that are known. Any goroutine.
type peers struct {
	mu   sync.Mutex // guards the fields below
	byID map[uint64]*peer
	left []string // names of those that have said goodbye since the last call of news
}

// hear notes a sign of life of a node. It returns nil if the node is new and there are too many;
// changed tells whether it is there and was not before.
func (ps *peers) hear(id uint64, now time.Time) (p *peer, changed bool) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	p = ps.byID[id]
	if p == nil {
		if len(ps.byID) >= PeersMax {
			ps.forgetSilent(now)
		}
		if len(ps.byID) >= PeersMax {
			return nil, false
		}
		p = &peer{id: id}
		ps.byID[id] = p
	}
	p.heard = now
	changed = !p.there && !p.dead
	p.there = !p.dead
	return p, changed
}

// forgetSilent forgets the nodes that are not there.
func (ps *peers) forgetSilent(before time.Time) {
	for id, p := range ps.byID {
		if !p.there && !p.heard.After(before) {
			delete(ps.byID, id)
		}
	}
}

// message notes that message number n of p has come. It returns how many were lost before it, and
// whether it is new: nothing is heard twice.
func (ps *peers) message(p *peer, n uint64) (missed uint64, fresh bool) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if !p.synced {
		p.synced, p.latest = true, n-1
	}
	if n <= p.latest {
		return 0, false
	}
	missed = n - p.latest - 1
	p.latest = n
	return missed, true
}

// presence notes what p says of itself: its name, and the number of its latest message. It returns
// how many are missing.
func (ps *peers) presence(p *peer, name []byte, latest uint64) (missed uint64) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if p.name == "" {
		p.name = string(name)
	}
	if p.synced && latest > p.latest {
		missed = latest - p.latest
	}
	if !p.synced || latest > p.latest {
		p.synced, p.latest = true, latest
	}
	return missed
}

// bye forgets a node that has left.
func (ps *peers) bye(id uint64) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if p := ps.byID[id]; p != nil && p.known && len(ps.left) < PeersMax {
		ps.left = append(ps.left, p.name)
	}
	delete(ps.byID, id)
}

// peerNews is what the log says of a node.
type peerNews struct {
	name   string
	what   peerChange
	silent time.Duration // how long it was silent, of peerBack and peerSilent
}

// peerChange is what has happened to a node.
type peerChange string

const (
	peerCame   peerChange = "a node has joined the bus"
	peerBack   peerChange = "a node is back on the bus"
	peerSilent peerChange = "a node is silent on the bus"
	peerDead   peerChange = "a node on the bus has died"
	peerLeft   peerChange = "a node has left the bus"
)

// news returns what has happened since the last call: a node that came and went between two calls
// is not in it.
func (ps *peers) news(now time.Time) (list []peerNews) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for _, name := range ps.left {
		list = append(list, peerNews{name: name, what: peerLeft})
	}
	ps.left = ps.left[:0]
	for _, p := range ps.byID {
		switch {
		case p.there == p.known, p.name == "": // it says its name within a beat
			continue
		case p.there && p.lost:
			list = append(list, peerNews{p.name, peerBack, now.Sub(p.silentSince)})
		case p.there:
			list = append(list, peerNews{name: p.name, what: peerCame})
		case p.dead:
			list = append(list, peerNews{name: p.name, what: peerDead})
		default:
			p.silentSince = p.heard
			list = append(list, peerNews{p.name, peerSilent, now.Sub(p.heard)})
		}
		p.known, p.lost = p.there, !p.there
	}
	slices.SortFunc(list, func(x, y peerNews) int { return cmp.Compare(x.name, y.name) })
	return list
}

// gone marks the nodes of that name as dead, and tells whether one of them was there.
func (ps *peers) gone(name string) (changed bool) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for _, p := range ps.byID {
		if p.name == name {
			changed = changed || p.there
			p.there, p.dead = false, true
		}
	}
	return changed
}

// expire marks the nodes that have been silent for too long, and tells whether there was one.
func (ps *peers) expire(now time.Time) (changed bool) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for _, p := range ps.byID {
		if p.there && now.Sub(p.heard) > PeerTimeout {
			p.there, changed = false, true
		}
	}
	ps.forgetSilent(now.Add(-PeerMemory))
	return changed
}

// excuse gives everybody new time: it was we who could not hear.
func (ps *peers) excuse(now time.Time) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for _, p := range ps.byID {
		if p.there {
			p.heard = now
		}
	}
}

// list returns the nodes that are there, by id.
func (ps *peers) list() []Peer {
	ps.mu.Lock()
	list := make([]Peer, 0, len(ps.byID))
	for _, p := range ps.byID {
		if p.there {
			list = append(list, Peer{ID: p.id, Name: p.name})
		}
	}
	ps.mu.Unlock()
	slices.SortFunc(list, func(x, y Peer) int { return cmp.Compare(x.ID, y.ID) })
	return list
}

func (ps *peers) isThere(id uint64) bool {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	p := ps.byID[id]
	return p != nil && p.there
}

// there returns the ids of the nodes that are there.
func (ps *peers) there() []uint64 {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ids := make([]uint64, 0, len(ps.byID))
	for id, p := range ps.byID {
		if p.there {
			ids = append(ids, id)
		}
	}
	return ids
}
