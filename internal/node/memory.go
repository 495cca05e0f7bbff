// Memory: a loop counts what it holds for its clients, and ends its largest holders when the
// process holds too much.

package node

import (
	"math/bits"

	"c100k/internal/proto"
	"c100k/netpoll"
)

const (
	// passSlotsMax bounds how many connections one turn weighs or ends, so that the others do not
	// wait for a pass over all of them: a millisecond.
	passSlotsMax = 8192

	// Sizes are told apart by four classes for each power of two.
	sizeBits    = 2
	sizeClasses = 64 << sizeBits
)

// ledger is what a loop holds for its clients. Loop only.
type ledger struct {
	holders []proto.Holder
	layer   proto.Holder // the layer below the handlers; nil if it keeps nothing
	counted int64        // what the loop has added to the budget

	// The pass that is under way: it weighs all connections, then ends the largest.
	stage  passStage
	next   uint32 // the slot where it goes on
	weight int64  // bytes, of all connections
	bySize [sizeClasses]int64
	least  int   // the class of the smallest that are ended
	toFree int64 // bytes
	ended  int   // connections

	rested uint64 // the round of the budget in which a pass has ended nobody, plus 1; 0: none has
}

type passStage uint8

const (
	passNone passStage = iota
	passWeighs
	passEnds
)

// sizeClass is the class of a connection that holds n bytes.
func sizeClass(n int) int {
	k := bits.Len(uint(n))
	if k <= sizeBits {
		return n
	}
	return k<<sizeBits | n>>(k-1-sizeBits)&(1<<sizeBits-1)
}

// keepBudget runs at the end of each turn: it counts what the loop holds, and frees memory while
// the budget is short.
func (r *reactor) keepBudget(n *Node, l *netpoll.Loop) {
	if n.cfg.Budget == nil {
		return
	}
	r.count(n, l)
	short := n.cfg.Budget.Short()
	if !short {
		if r.ledger.stage != passNone {
			r.ledger.stage = passNone
			l.HoldReads(false)
		}
		r.ledger.rested = 0
		return
	}
	if r.ledger.stage == passNone && r.ledger.rested != n.cfg.Budget.Rounds()+1 {
		r.beginPass(l)
	}
	if r.ledger.stage != passNone {
		r.goOnPass(n, l)
		l.Remote().Wake()
	}
}

// count brings the budget up to date.
func (r *reactor) count(n *Node, l *netpoll.Loop) {
	held := l.OutboxBytes()
	for _, h := range r.heads {
		held += int64(h.HeldBytes())
	}
	for _, h := range r.ledger.holders {
		held += h.HeldBytes()
	}
	if r.ledger.layer != nil {
		held += r.ledger.layer.HeldBytes()
	}
	n.cfg.Budget.Add(held - r.ledger.counted)
	r.ledger.counted = held
}

// beginPass begins a pass. Nothing is read before it has ended: what it frees would be filled
// again.
func (r *reactor) beginPass(l *netpoll.Loop) {
	p := &r.ledger
	p.stage, p.next, p.ended, p.weight = passWeighs, 0, 0, 0
	clear(p.bySize[:])
	l.HoldReads(true)
}

// goOnPass does the part of a pass that one turn may do.
func (r *reactor) goOnPass(n *Node, l *netpoll.Loop) {
	p := &r.ledger
	if p.stage == passWeighs {
		p.next = l.EachFrom(p.next, passSlotsMax, func(c *netpoll.Conn) {
			size := r.heldOf(l, c)
			p.bySize[sizeClass(size)] += int64(size)
			p.weight += int64(size)
		})
		if p.next == 0 {
			p.stage, p.toFree = passEnds, n.cfg.Budget.ToFree(p.weight)
			p.least = leastClass(&p.bySize, p.toFree)
		}
		return
	}
	p.next = l.EachFrom(p.next, passSlotsMax, func(c *netpoll.Conn) { r.endLarge(l, c) })
	if p.next == 0 {
		p.stage = passNone
		l.HoldReads(false)
		if p.ended == 0 {
			p.rested = n.cfg.Budget.Rounds() + 1
		}
	}
}

// leastClass is the largest class from which on connections hold toFree bytes together.
func leastClass(bySize *[sizeClasses]int64, toFree int64) int {
	class := sizeClasses - 1
	for ; class > 1; class-- {
		if toFree -= bySize[class]; toFree <= 0 {
			break
		}
	}
	return class
}

// endLarge ends a connection if the pass ends those of its size.
func (r *reactor) endLarge(l *netpoll.Loop, c *netpoll.Conn) {
	p := &r.ledger
	if p.toFree <= 0 {
		return
	}
	size := r.heldOf(l, c)
	if size == 0 || sizeClass(size) < p.least {
		return
	}
	p.toFree -= int64(size)
	p.ended++
	switch protocol := r.protocols.At(c.Role()); {
	case protocol != nil:
		r.owes(c, r.pending(l, c))
		protocol.Shed(l, c)
	case c.Role() < headRoles:
		r.heads[c.Role()].Shed(l, c)
	default:
		l.Close(c, netpoll.ReasonMemory)
	}
}

// heldOf is how much is held for a connection, in bytes.
func (r *reactor) heldOf(l *netpoll.Loop, c *netpoll.Conn) int {
	size := c.Pending()
	if r.shard != nil {
		size += r.shard.OwnBytes(c.Slot())
	}
	if r.ledger.layer != nil {
		size += r.ledger.layer.Held(l, c)
	}
	if h := r.protocols.Holder(c.Role()); h != nil {
		return size + h.Held(l, c)
	}
	if c.Role() < headRoles {
		return size + r.heads[c.Role()].Held(l, c)
	}
	return size
}

// makeLedger finds who counts what it holds.
func (r *reactor) makeLedger() {
	for role := range netpoll.Role(netpoll.RolesMax) {
		if h := r.protocols.Holder(role); h != nil {
			r.ledger.holders = append(r.ledger.holders, h)
		}
	}
}

// WakeAll makes a turn of each loop run soon.
func (n *Node) WakeAll() {
	for i := range n.reactors {
		n.Wake(i)
	}
}
