// Phase 7, and what leads to it: what a turn sends is gathered, and goes out in one batch.

package netpoll

import (
	"syscall"
)

// piece is a run of bytes on its way to one connection.
type piece struct {
	p    []byte
	mark uint32 // with n > 0: the topic that the droppable messages belong to
	n    uint32
	turn bool // p lives until the end of the turn only

	// In an outbox below a layer.
	sealed bool // mark is how many bytes it counts for, and n is 0
	begun  bool // the part before p is sealed: nothing may go between
}

// gather is what one turn has collected for one connection that has no
// backlog. Nearly always it is one piece; more pieces are chained in
// Loop.pieces.
type gather struct {
	id    ID // the slot may be another's when OnClose gathered it
	first piece
	more  int32 // index in Loop.pieces of the second piece, -1 for none
	last  int32
	count int32
}

type chained struct {
	piece
	next int32
}

// Send sends p to c in phase 7; p is copied now. Loop only. On a connection that is
// Closing it does nothing, like all sends.
func (l *Loop) Send(c *Conn, p []byte) {
	if len(p) == 0 || c.Closing() {
		return
	}
	if c.flags&flagBacklog != 0 {
		l.queue(c, piece{p: append([]byte(nil), p...)})
		return
	}
	start := l.arenaAppend(p)
	// Replies to pipelined requests follow each other in the arena: they
	// become one piece.
	if last := l.lastPiece(c); last != nil && l.endsAt(last.p, start) && l.room(c, len(p)) {
		from := start - len(last.p)
		last.p = l.sendArena[from:len(l.sendArena):len(l.sendArena)]
		c.pending += uint32(len(p))
		return
	}
	l.queue(c, piece{p: l.sendArena[start:len(l.sendArena):len(l.sendArena)], turn: true})
}

// arenaAppend copies p to the send arena and returns where.
func (l *Loop) arenaAppend(p []byte) int {
	l.arenaReserve(len(p))
	start := len(l.sendArena)
	l.sendArena = append(l.sendArena, p...)
	return start
}

// arenaReserve makes room for n bytes. A full arena is replaced by a larger
// one; pieces that point into the old one keep it alive until the turn ends.
func (l *Loop) arenaReserve(n int) {
	if len(l.sendArena)+n > cap(l.sendArena) {
		l.sendArena = make([]byte, 0, max(2*cap(l.sendArena), n, sendArenaBytesMin))
	}
}

// endsAt tells whether p lies in the arena and ends at start.
func (l *Loop) endsAt(p []byte, start int) bool {
	return start >= len(p) && &p[0] == &l.sendArena[start-len(p)]
}

// SendTurn is Send without a copy: p must not change until the turn ends.
// It is meant for parts of what OnData was given.
func (l *Loop) SendTurn(c *Conn, p []byte) {
	if len(p) > 0 && !c.Closing() {
		l.queue(c, piece{p: p, turn: true})
	}
}

// SendShared is Send without a copy: p must never change again. Many connections
// may send the same p.
func (l *Loop) SendShared(c *Conn, p []byte) {
	if len(p) > 0 && !c.Closing() {
		l.queue(c, piece{p: p})
	}
}

// SendMessages is SendShared for n whole messages of one topic, which
// DropOldest may take back until the first of their bytes is sent.
func (l *Loop) SendMessages(c *Conn, p []byte, mark, n uint32) {
	if len(p) > 0 && !c.Closing() {
		l.queue(c, piece{p: p, mark: mark, n: n})
	}
}

// SendFirst is SendMessages, but in front of everything in the outbox that is
// not begun: it announces what DropOldest took out there, and stands for n
// messages. Without an outbox there is nothing to go in front of.
func (l *Loop) SendFirst(c *Conn, p []byte, mark, n uint32) {
	if c.flags&flagBacklog == 0 {
		l.SendMessages(c, p, mark, n)
		return
	}
	if len(p) == 0 || c.Closing() || !l.room(c, len(p)) {
		return
	}
	l.outboxes.At(c.out).insert(piece{p: p, mark: mark, n: n})
	c.pending += uint32(len(p))
	l.outboxBytes += int64(len(p))
}

// DropOldest takes whole unsent marked pieces out of c's outbox, oldest first,
// until need bytes are freed or none is left; dropped hears of each. What this
// turn gathered for a connection without an outbox is not dropped.
func (l *Loop) DropOldest(c *Conn, need int, dropped func(mark, n uint32)) (freed int) {
	if c.flags&flagBacklog == 0 {
		return 0
	}
	freed = l.outboxes.At(c.out).drop(need, dropped)
	c.pending -= uint32(freed)
	l.outboxBytes -= int64(freed)
	return freed
}

// room tells whether n more bytes may wait for c. If not, c is closed: its protocol
// has no budget of its own, for none is as large.
func (l *Loop) room(c *Conn, n int) bool {
	if n <= pendingBytesMax-int(c.pending) {
		return true
	}
	l.Close(c, ReasonSlow)
	return false
}

// queue adds one piece to the output of c.
func (l *Loop) queue(c *Conn, p piece) {
	if !l.room(c, len(p.p)) {
		return
	}
	c.pending += uint32(len(p.p))
	if c.flags&flagBacklog != 0 {
		if p.turn {
			p.p, p.turn = append([]byte(nil), p.p...), false
		}
		l.outboxes.At(c.out).push(p)
		l.outboxBytes += int64(len(p.p))
		return
	}
	if c.out == 0 {
		l.gathers = append(l.gathers, gather{id: c.ID(), first: p, more: -1, last: -1, count: 1})
		c.out = uint32(len(l.gathers))
		return
	}
	g := &l.gathers[c.out-1]
	at := int32(len(l.pieces))
	l.pieces = append(l.pieces, chained{piece: p, next: -1})
	if g.last < 0 {
		g.more = at
	} else {
		l.pieces[g.last].next = at
	}
	g.last = at
	g.count++
}

func (l *Loop) lastPiece(c *Conn) *piece {
	if c.out == 0 {
		return nil
	}
	g := &l.gathers[c.out-1]
	if g.last < 0 {
		return &g.first
	}
	return &l.pieces[g.last].piece
}

func (l *Loop) queueWrite(c *Conn) {
	if o := l.outboxes.At(c.out); !o.queued {
		o.queued = true
		l.writable = append(l.writable, c.Slot())
	}
}

// flush is phase 7.
func (l *Loop) flush() {
	if l.opt.Layer != nil {
		l.planEnds()
	}
	if len(l.gathers) > 0 || len(l.writable) > 0 {
		l.writeAll()
	}
	l.finishAll()
	l.sendArena = l.sendArena[:0]
}

func (l *Loop) writeAll() {
	l.busy()
	for g, o := 0, 0; g < len(l.gathers) || o < len(l.writable); {
		g, o = l.writeBatch(g, o)
	}
	clear(l.gathers)
	clear(l.pieces)
	l.gathers, l.pieces, l.writable = l.gathers[:0], l.pieces[:0], l.writable[:0]
}

// writeBatch writes for the gathers from the g-th and the outboxes from the o-th
// of writable on, and returns where to go on: at their ends, unless layers have
// filled the seal arena before.
func (l *Loop) writeBatch(g, o int) (int, int) {
	g = l.planGathers(g)
	gathered := len(l.writes)
	if g == len(l.gathers) {
		o = l.planOutboxes(o)
	}
	l.kernel.Write(l.writes)
	for i := range l.writes {
		op := &l.writes[i]
		if i < gathered {
			l.wroteGather(&l.gathers[l.writers[i]], op)
		} else {
			l.wroteOutbox(l.conns.at(l.writers[i]), op)
		}
	}
	l.stats.Writes += uint64(len(l.writes))
	clear(l.writes)
	clear(l.vecs)
	l.writes, l.writers, l.vecs, l.sealArena = l.writes[:0], l.writers[:0], l.vecs[:0], l.sealArena[:0]
	return g, o
}

// planGathers makes the writes of the gathers from the i-th on.
func (l *Loop) planGathers(i int) (next int) {
	for ; i < len(l.gathers); i++ {
		g := &l.gathers[i]
		c := l.Lookup(g.id)
		if c == nil { // closed since
			continue
		}
		if c.interest&interestLayer != 0 {
			l.planSealed(c, i)
			if len(l.sealArena) >= sealArenaBytesMax {
				return i + 1
			}
			continue
		}
		op := IO{FD: c.fd, Buf: g.first.p}
		if g.more >= 0 {
			op = l.planPieces(c, g)
		}
		l.writes = append(l.writes, op)
		l.writers = append(l.writers, uint32(i))
	}
	return i
}

// planPieces joins several small pieces, for one send of few bytes costs less
// than a vector; large ones go out as a vector, as many as one write may carry.
func (l *Loop) planPieces(c *Conn, g *gather) IO {
	if c.pending > joinBytesMax {
		return l.planVec(c, g)
	}
	l.arenaReserve(int(c.pending))
	start := l.arenaAppend(g.first.p)
	for i := g.more; i >= 0; i = l.pieces[i].next {
		l.arenaAppend(l.pieces[i].p)
	}
	return IO{FD: c.fd, Buf: l.sendArena[start:]}
}

func (l *Loop) planVec(c *Conn, g *gather) IO {
	n := min(int(g.count), writeVecMax)
	vec := l.takeVec(n)
	vec = append(vec, g.first.p)
	for i := g.more; i >= 0 && len(vec) < n; i = l.pieces[i].next {
		vec = append(vec, l.pieces[i].p)
	}
	return IO{FD: c.fd, Vec: vec}
}

// takeVec cuts room for n slices from the turn's store of them. Earlier cuts
// stay valid when the store grows, for they keep the old one alive.
func (l *Loop) takeVec(n int) [][]byte {
	at := len(l.vecs)
	if at+n > cap(l.vecs) {
		l.vecs, at = make([][]byte, 0, max(2*cap(l.vecs), 4*writeVecMax)), 0
	}
	l.vecs = l.vecs[:at+n]
	return l.vecs[at : at : at+n]
}

// planOutboxes makes the writes of the outboxes from the i-th of writable on.
func (l *Loop) planOutboxes(i int) (next int) {
	for ; i < len(l.writable); i++ {
		slot := l.writable[i]
		c := l.conns.at(slot)
		if c.flags&flagDead != 0 || c.flags&flagBacklog == 0 {
			continue
		}
		o := l.outboxes.At(c.out)
		o.queued = false
		if o.empty() { // everything in it was dropped
			l.drained(c)
			continue
		}
		if c.interest&interestLayer != 0 {
			l.planSealedOutbox(c, o)
			if len(l.sealArena) >= sealArenaBytesMax {
				return i + 1
			}
			continue
		}
		vec := o.vec(l.takeVec(min(writeVecMax, len(o.pieces)-o.head)), len(o.pieces))
		l.writes = append(l.writes, IO{FD: c.fd, Vec: vec})
		l.writers = append(l.writers, slot)
	}
	return i
}

// wroteGather takes the result of a connection's first write in this turn.
func (l *Loop) wroteGather(g *gather, op *IO) {
	c, n := l.conns.at(g.id.Slot()), int(op.N)
	c.out = 0
	if n < 0 {
		if n != -int(syscall.EAGAIN) && n != -int(syscall.EINTR) {
			c.pending = 0
			l.fail(c, syscall.Errno(-n))
			return
		}
		n = 0
	}
	if c.interest&interestLayer != 0 {
		l.wroteSealed(c, op.Buf, n)
		return
	}
	l.stats.BytesSent += uint64(n)
	c.pending -= uint32(n)
	if c.pending == 0 {
		return
	}
	l.beginBacklog(c, g, n)
	l.setInterest(c, c.interest|interestWrite)
}

// beginOutbox gives c an empty outbox.
func (l *Loop) beginOutbox(c *Conn) *outbox {
	index, o := l.outboxes.Alloc()
	c.out = index
	c.flags |= flagBacklog
	return o
}

// beginBacklog moves what the socket did not take to an outbox. Only here are
// bytes of a turn's arenas copied to the heap.
func (l *Loop) beginBacklog(c *Conn, g *gather, sent int) {
	o := l.beginOutbox(c)
	l.outboxBytes += int64(c.pending)
	keep := func(p piece) {
		if sent >= len(p.p) {
			sent -= len(p.p)
			return
		}
		begun := sent
		if p.turn {
			p.p, p.turn, begun = append([]byte(nil), p.p[sent:]...), false, 0
		}
		if sent > 0 {
			o.off, sent = begun, 0
		}
		o.push(p)
	}
	keep(g.first)
	for i := g.more; i >= 0; i = l.pieces[i].next {
		keep(l.pieces[i].piece)
	}
}

// wroteOutbox takes the result of a write from the outbox.
func (l *Loop) wroteOutbox(c *Conn, op *IO) {
	n := int(op.N)
	if n < 0 && n != -int(syscall.EAGAIN) && n != -int(syscall.EINTR) {
		l.fail(c, syscall.Errno(-n))
		return
	}
	if c.interest&interestLayer != 0 {
		l.wroteSealedOutbox(c, op)
		return
	}
	if n < 0 {
		return
	}
	o := l.outboxes.At(c.out)
	o.sent(n)
	l.stats.BytesSent += uint64(n)
	l.outboxBytes -= int64(n)
	c.pending -= uint32(n)
	c.seen = l.tick // a peer that makes room is alive
	if o.empty() {
		l.drained(c)
	}
}

// drained ends a backlog: the outbox goes back, reads resume, and the handler
// hears of it in the next turn, when sending is in order again.
func (l *Loop) drained(c *Conn) {
	l.outboxes.Free(c.out)
	c.out = 0
	c.flags &^= flagBacklog
	want := c.interest &^ interestWrite
	if c.flags&flagPaused != 0 {
		c.flags &^= flagPaused
		want |= interestRead
	}
	l.setInterest(c, want)
	if c.flags&flagFinish != 0 {
		l.finishing = append(l.finishing, c.ID())
	} else {
		l.drainedIDs = append(l.drainedIDs, c.ID())
	}
}

// finishAll sends the FIN of those whose last byte is out, and stops reading
// from those that asked for it and do have a backlog. Who is finishing with a
// backlog comes back here from drained.
func (l *Loop) finishAll() {
	for _, id := range l.pausing {
		if c := l.Lookup(id); c != nil && c.flags&flagBacklog != 0 && c.flags&flagFinish == 0 && c.interest&interestRead != 0 {
			c.flags |= flagPaused
			l.setInterest(c, c.interest&^interestRead)
		}
	}
	l.pausing = l.pausing[:0]
	kept := l.finishing[:0]
	for _, id := range l.finishing {
		c := l.Lookup(id)
		switch {
		case c == nil, c.flags&flagBacklog != 0:
		case c.interest&(interestLayer|interestEnded) == interestLayer:
			kept = append(kept, id) // its backlog has just drained: see planEnds
		default:
			l.sendFIN(c)
		}
	}
	l.finishing = kept
}

// sendFIN sends c's FIN. If the peer's has come already, see receivedFIN, there is
// nothing to wait for.
func (l *Loop) sendFIN(c *Conn) {
	c.flags |= flagLinger
	l.kernel.ShutdownWrite(c.fd)
	if c.interest&interestRead == 0 {
		l.Close(c, c.reason)
	}
}

func (l *Loop) afterFlush() {
	if l.opt.AfterFlush == nil {
		return
	}
	defer l.contain()
	l.opt.AfterFlush(l)
}
