// A layer below the handlers: the socket carries sealed bytes, handlers see plain ones.

package netpoll

import "slices"

// Layer is a protocol below those of the handlers, such as TLS. One value serves
// one loop: Options.Layer. A connection gets the layer by AdoptLayered and keeps
// it until its end; connections of Adopt are plain, and no method is called for
// them. A layer never sees what is sent or received otherwise: handlers send and
// receive plain bytes, budgets and DropOldest count plain bytes, and Seal gets
// only what is about to be written.
//
// All methods run on the loop, must not block, and must not keep l, c or a slice
// that they are given. A panic in one closes the connection, and no other. What
// a layer has to know of a connection it stores under an index, in a Slab for
// example; see Loop.SetLayerState. A layer that has bytes of its own to send
// calls Loop.SendSealed, from any method but Seal and SealEnd. One that waits
// for something outside the loop stops reading by Loop.StopRead, and goes on by
// Loop.StartRead and Loop.Reopen in a task that was posted to the connection.
type Layer interface {
	// Attach begins the layer on c, before OnOpen of the handler. state is nil
	// for a new connection, and what Detach returned on the loop that had the
	// connection before for one that moved. It may close c.
	Attach(l *Loop, c *Conn, state any)

	// Open is called with each read. It returns plain bytes for the handler and
	// what of in it has not looked at yet; it is called again with this rest when
	// the handler has had the plain bytes, until rest is empty. A rest must be
	// shorter than the in it is of. plain may lie in in, which may be changed in
	// place: both are valid until the end of the turn. The layer keeps a record
	// that is not complete yet in a buffer of its own, and bounds it; plain bytes
	// in this buffer must not change before the end of the turn. A layer delivers
	// at once what it can open: what it holds back is lost to the handler until
	// the next read or Reopen, for which in is empty.
	//
	// An end other than ReasonNone finishes the connection when plain has been
	// delivered. ReasonPeer is the peer's closing record: output that is pending is still
	// sent. Any other is an error, by convention ReasonLayer: plain output is
	// discarded, what was given to SendSealed goes out. Both ends send SealEnd's
	// bytes and a FIN. The peer's FIN without its closing record closes c with
	// ReasonTruncated.
	Open(l *Loop, c *Conn, in []byte) (plain, rest []byte, end Reason)

	// Seal appends pieces, in as few records as possible, to dst. They are at
	// most 64 KiB together and become one write. What the socket does not take is
	// kept, and Seal is not called before it is written. ok is false if nothing
	// can be sealed yet, as during a handshake; dst is then ignored, and the
	// pieces wait until Loop.Reopen.
	Seal(l *Loop, c *Conn, dst []byte, pieces [][]byte) (sealed []byte, ok bool)

	// SealEnd appends the closing record to dst, or nothing. It is called once,
	// when all output is sealed and a FIN will follow. A connection that is
	// closed at once, by Close, has no closing record.
	SealEnd(l *Loop, c *Conn, dst []byte) []byte

	// Detach ends the layer on c and returns its state, which may be used on any
	// goroutine from then on, and must have what Attach needs, a record that is
	// not complete included.
	Detach(l *Loop, c *Conn) (state any)

	// Release ends the layer on c when c is closed, after OnClose. LayerState is 0
	// if Attach has not set it, for want of room or by a panic.
	Release(l *Loop, c *Conn)
}

// Moved is what DetachLayered takes along of a connection's layer.
type Moved struct {
	State    any    // the layer's
	Sealed   []byte // output that is sealed and not written: it comes first on the new loop
	Unopened []byte // input of this turn that the layer has not opened yet
}

// layerStates are the layers' indexes, in chunks parallel to those of the
// records. A chunk is made for the first layered connection in it.
type layerStates []*[connChunk]uint32

// reset makes room for slot, and its index 0.
func (s *layerStates) reset(slot uint32) {
	for int(slot/connChunk) >= len(*s) {
		*s = append(*s, nil)
	}
	chunk := &(*s)[slot/connChunk]
	if *chunk == nil {
		*chunk = new([connChunk]uint32)
	}
	(*chunk)[slot%connChunk] = 0
}

// Layer is that of Options; nil: there is none. Any goroutine.
func (l *Loop) Layer() Layer { return l.opt.Layer }

// Layered tells whether c has a layer.
func (c *Conn) Layered() bool { return c.interest&interestLayer != 0 }

// LayerState is the layer's own index for c, which must be layered; 0 before Attach.
// Loop only.
func (l *Loop) LayerState(c *Conn) uint32 { return l.layers[c.Slot()/connChunk][c.Slot()%connChunk] }

// SetLayerState stores the layer's own index for c, which must be layered. Loop
// only.
func (l *Loop) SetLayerState(c *Conn, i uint32) {
	l.layers[c.Slot()/connChunk][c.Slot()%connChunk] = i
}

// AdoptLayered is Adopt for a connection that has the loop's layer, which
// Options must name. moved is nil for a new connection; otherwise it is what
// DetachLayered returned. first is plain bytes. Loop only.
func (l *Loop) AdoptLayered(fd int, role Role, tag uint32, moved *Moved, first []byte) *Conn {
	c := l.join(fd, role, tag)
	if c == nil {
		return nil
	}
	c.interest |= interestLayer
	l.layers.reset(c.Slot())
	if moved == nil {
		moved = &Moved{}
	}
	l.SendSealed(c, moved.Sealed)
	l.attach(c, moved.State)
	l.open(c, first) // also if Attach has closed c: OnClose follows OnOpen
	if len(moved.Unopened) > 0 && !c.Closing() {
		l.openMoved(c, moved.Unopened)
	}
	return c
}

func (l *Loop) attach(c *Conn, state any) {
	defer l.containLayer(c)
	l.opt.Layer.Attach(l, c, state)
}

func (l *Loop) openMoved(c *Conn, in []byte) {
	was := l.current
	defer func() { l.current = was }()
	defer l.contain()
	l.openInput(c, in)
}

// DetachLayered is Detach for any connection; moved is nil for a plain one. The
// plain output that was not sealed is lost, as with Detach; a caller that must not
// lose it waits until Pending is 0. Loop only.
func (l *Loop) DetachLayered(c *Conn) (fd int, moved *Moved) {
	if !c.Layered() || c.flags&flagDead != 0 {
		return l.Detach(c), nil
	}
	moved = &Moved{}
	if c.ID() == l.opening {
		moved.Unopened = slices.Clone(l.unopened)
	}
	if c.flags&flagBacklog != 0 {
		moved.Sealed = l.outboxes.At(c.out).sealedBytes()
	}
	fd = l.detach(c)
	if !l.detachLayer(c, moved) { // the socket is of no use without the state of its layer
		l.reject(fd, c.tag)
		return -1, nil
	}
	return fd, moved
}

func (l *Loop) detachLayer(c *Conn, moved *Moved) (ok bool) {
	was := l.current
	defer func() { l.current = was }()
	defer l.contain()
	l.current = c
	moved.State = l.opt.Layer.Detach(l, c)
	return true
}

func (l *Loop) releaseLayer(c *Conn) {
	was := l.current
	defer func() { l.current = was }()
	defer l.contain()
	l.current = c
	l.opt.Layer.Release(l, c)
}

// openInput gives in to the layer, and what it opens to the handler. A panic is
// c's: current stays for contain.
func (l *Loop) openInput(c *Conn, in []byte) {
	was, opening, unopened := l.current, l.opening, l.unopened
	l.current = c
	for {
		plain, rest, end := l.opt.Layer.Open(l, c, in)
		if len(in) > 0 && len(rest) >= len(in) {
			panic("netpoll: Layer.Open has opened nothing and kept nothing")
		}
		if len(plain) > 0 && !c.Closing() {
			l.opening, l.unopened = c.ID(), rest
			l.opt.Handlers[c.role].OnData(l, c, plain)
		}
		if c.Closing() {
			break
		}
		if end != ReasonNone {
			l.endLayered(c, end)
			break
		}
		if len(rest) == 0 {
			break
		}
		in = rest
	}
	l.current, l.opening, l.unopened = was, opening, unopened
}

// endLayered finishes c as Open has asked for.
func (l *Loop) endLayered(c *Conn, end Reason) {
	if end != ReasonPeer {
		l.discardPlain(c)
	}
	l.Finish(c, end, layerLinger)
}

// discardPlain drops the output of c that is not sealed.
func (l *Loop) discardPlain(c *Conn) {
	switch {
	case c.flags&flagBacklog != 0:
		freed := l.outboxes.At(c.out).discardPlain()
		c.pending -= uint32(freed)
		l.outboxBytes -= int64(freed)
		l.queueWrite(c) // nothing may be left of it
	case c.out != 0:
		l.gathers[c.out-1] = gather{} // of no connection
		c.out, c.pending = 0, 0
	}
}

// Reopen calls the layer's Open without new input, and lets output that waits
// for Seal be sealed: for a layer that has waited for something outside the loop.
// Loop only, and not from a method of the layer.
func (l *Loop) Reopen(c *Conn) {
	if !c.Layered() || c.flags&flagDead != 0 {
		return
	}
	if c.flags&flagBacklog != 0 {
		l.queueWrite(c)
	}
	if c.flags&flagFinish == 0 {
		l.openInput(c, nil)
	}
}

// SendSealed sends bytes that the layer has sealed by itself: a handshake, an
// alert. They go out behind all that is sealed and before Seal is called again;
// p is copied. They count as pending, and they are never dropped. Layers only,
// but not from Seal and SealEnd.
func (l *Loop) SendSealed(c *Conn, p []byte) {
	if len(p) == 0 || c.flags&(flagDead|flagLinger) != 0 || !l.room(c, len(p)) {
		return
	}
	switch {
	case c.flags&flagBacklog != 0:
	case c.out != 0:
		g := &l.gathers[c.out-1]
		l.beginBacklog(c, g, 0)
		*g = gather{}
	default:
		l.beginOutbox(c)
	}
	l.outboxes.At(c.out).putSealed(p, uint32(len(p)))
	c.pending += uint32(len(p))
	l.outboxBytes += int64(len(p))
	l.queueWrite(c)
}

// planEnds makes a write for the closing record of each layered connection that
// finishes and has sent everything else.
func (l *Loop) planEnds() {
	for _, id := range l.finishing {
		c := l.Lookup(id)
		if c != nil && c.interest&(interestLayer|interestEnded) == interestLayer && c.flags&flagBacklog == 0 && c.out == 0 {
			l.gathers = append(l.gathers, gather{id: id, more: -1, last: -1})
			c.out = uint32(len(l.gathers))
		}
	}
}

// planSealed is planGathers for a layered connection. More than Seal gets at
// once goes through an outbox, in the same flush.
func (l *Loop) planSealed(c *Conn, i int) {
	g := &l.gathers[i]
	if c.pending > sealBytesMax {
		l.beginBacklog(c, g, 0)
		l.queueWrite(c)
		return
	}
	pieces := l.sealing[:0]
	if len(g.first.p) > 0 {
		pieces = append(pieces, g.first.p)
	}
	for i := g.more; i >= 0; i = l.pieces[i].next {
		pieces = append(pieces, l.pieces[i].p)
	}
	buf, ok := l.seal(c, pieces, int(c.pending), true)
	switch {
	case c.flags&flagDead != 0:
	case !ok:
		l.beginBacklog(c, g, 0) // Reopen will bring it up again
	case len(buf) == 0:
		c.out, c.pending = 0, 0
	default:
		l.writes = append(l.writes, IO{FD: c.fd, Buf: buf})
		l.writers = append(l.writers, uint32(i))
	}
}

// planSealedOutbox is planOutboxes for a layered connection: first what is
// sealed, and only when all of it is written, more.
func (l *Loop) planSealedOutbox(c *Conn, o *outbox) {
	if end := o.sealedEnd(); end > o.head {
		vec := o.vec(l.takeVec(min(writeVecMax, end-o.head)), end)
		l.writes = append(l.writes, IO{FD: c.fd, Vec: vec})
		l.writers = append(l.writers, c.Slot())
		return
	}
	pieces, n := o.peek(l.sealing[:0], sealBytesMax)
	buf, ok := l.seal(c, pieces, n, n == int(c.pending))
	switch {
	case c.flags&flagDead != 0:
	case !ok:
		l.setInterest(c, c.interest&^interestWrite)
	default:
		o.consume(n)
		o.sealing = uint32(n)
		if len(buf) == 0 {
			l.wroteSealedOutbox(c, &IO{})
			return
		}
		l.writes = append(l.writes, IO{FD: c.fd, Buf: buf})
		l.writers = append(l.writers, c.Slot())
	}
}

// seal has pieces, of size bytes, sealed into the seal arena, and behind the
// last ones of a connection that finishes the closing record.
func (l *Loop) seal(c *Conn, pieces [][]byte, size int, last bool) (buf []byte, ok bool) {
	defer l.containLayer(c)
	if room := size + size/8 + sealRoom; cap(l.sealArena)-len(l.sealArena) < room {
		// What is sealed already stays where it is: writes point into it.
		l.sealArena = make([]byte, 0, max(2*cap(l.sealArena), room))
	}
	l.sealing = pieces
	dst, from := l.sealArena, len(l.sealArena)
	if size > 0 {
		dst, ok = l.opt.Layer.Seal(l, c, dst, pieces)
		clear(pieces)
		if !ok {
			return nil, false
		}
	}
	if last && c.flags&flagFinish != 0 && c.interest&interestEnded == 0 {
		c.interest |= interestEnded
		dst = l.opt.Layer.SealEnd(l, c, dst)
	}
	l.sealArena = dst
	return dst[from:len(dst):len(dst)], true
}

// containLayer, deferred around methods of the layer, recovers a panic. OnPanic is
// not called: what it sends would have to be sealed.
func (l *Loop) containLayer(c *Conn) {
	if v := recover(); v != nil {
		l.logPanic(v, c)
		l.Close(c, ReasonPanic)
	}
}

// wroteSealed takes the result of the first write of a layered connection in
// this turn.
func (l *Loop) wroteSealed(c *Conn, buf []byte, n int) {
	l.stats.BytesSent += uint64(n)
	if n == len(buf) {
		c.pending = 0
		return
	}
	counted := min(c.pending, uint32(len(buf)-n))
	l.beginOutbox(c)
	l.outboxes.At(c.out).putSealed(buf[n:], counted)
	c.pending = counted
	l.outboxBytes += int64(counted)
	l.setInterest(c, c.interest|interestWrite)
}

// wroteSealedOutbox takes the result of a write from the outbox of a layered
// connection. What is sealed now and was not written becomes its first piece.
func (l *Loop) wroteSealedOutbox(c *Conn, op *IO) {
	o, n := l.outboxes.At(c.out), max(int(op.N), 0)
	counted := o.sealing
	switch {
	case op.Vec != nil:
		counted = o.sentSealed(n)
	case n < len(op.Buf):
		left := min(o.sealing, uint32(len(op.Buf)-n))
		o.putSealed(op.Buf[n:], left)
		counted -= left
	}
	o.sealing = 0
	l.stats.BytesSent += uint64(n)
	l.outboxBytes -= int64(counted)
	c.pending -= counted
	if n > 0 {
		c.seen = l.tick // a peer that makes room is alive
	}
	if o.empty() {
		l.drained(c)
		return
	}
	l.setInterest(c, c.interest|interestWrite)
}
