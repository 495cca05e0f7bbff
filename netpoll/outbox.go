// The backlog of a connection: what its socket did not take.

package netpoll

import "slices"

// outbox is the backlog of one connection. Shared bytes are kept by reference
// and count like all others.
type outbox struct {
	pieces  []piece
	head    int    // pieces before it are sent
	off     int    // bytes of pieces[head] that are sent
	sealing uint32 // plain bytes that the write under way carries sealed
	queued  bool
}

func (o *outbox) push(p piece) {
	if o.head > 32 && o.head*2 > len(o.pieces) {
		n := copy(o.pieces, o.pieces[o.head:])
		clear(o.pieces[n:])
		o.pieces, o.head = o.pieces[:n], 0
	}
	o.pieces = append(o.pieces, p)
}

func (o *outbox) empty() bool { return o.head == len(o.pieces) }

// vec appends what one write may carry of the pieces before end.
func (o *outbox) vec(dst [][]byte, end int) [][]byte {
	size, off := 0, o.off
	for i := o.head; i < end && len(dst) < writeVecMax && size < writeBytesMax; i++ {
		b := o.pieces[i].p[off:]
		off = 0
		b = b[:min(len(b), writeBytesMax-size)]
		dst = append(dst, b)
		size += len(b)
	}
	return dst
}

// sent drops n bytes from the front.
func (o *outbox) sent(n int) {
	for n > 0 {
		left := len(o.pieces[o.head].p) - o.off
		if n < left {
			o.off += n
			return
		}
		n -= left
		o.off = 0
		o.pieces[o.head] = piece{}
		o.head++
	}
}

// unbegun is the index of the first piece of which nothing is sent or sealed
// yet.
func (o *outbox) unbegun() int {
	i := o.head
	if o.off > 0 {
		i++
	}
	for i < len(o.pieces) && (o.pieces[i].sealed || o.pieces[i].begun) {
		i++
	}
	return i
}

// drop removes whole marked pieces, oldest first, until need bytes are free.
func (o *outbox) drop(need int, dropped func(mark, n uint32)) (freed int) {
	from := o.unbegun()
	keep := from
	for i := from; i < len(o.pieces); i++ {
		p := o.pieces[i]
		if freed < need && p.n > 0 {
			freed += len(p.p)
			dropped(p.mark, p.n)
			continue
		}
		o.pieces[keep] = p
		keep++
	}
	clear(o.pieces[keep:])
	o.pieces = o.pieces[:keep]
	return freed
}

// insert puts p in front of everything not yet begun.
func (o *outbox) insert(p piece) {
	at := o.unbegun()
	o.pieces = append(o.pieces, piece{})
	copy(o.pieces[at+1:], o.pieces[at:])
	o.pieces[at] = p
}

// Below a layer the pieces are sealed ones, which come first and may be sent in
// part, and plain ones. A plain piece that is sealed in part becomes the rest of
// it, begun and unmarked.

// counts is what the piece counts for in pending, when off bytes of it are sent:
// never more than the plain bytes that were sealed.
func (p *piece) counts(off int) int {
	if p.sealed {
		return min(int(p.mark), len(p.p)-off)
	}
	return len(p.p) - off
}

// sealedEnd is the index of the first piece that is not sealed.
func (o *outbox) sealedEnd() int {
	i := o.head
	for i < len(o.pieces) && o.pieces[i].sealed {
		i++
	}
	return i
}

// putSealed puts a copy of p behind what is sealed; it counts for so many bytes.
func (o *outbox) putSealed(p []byte, counted uint32) {
	o.pieces = slices.Insert(o.pieces, o.sealedEnd(), piece{p: slices.Clone(p), mark: counted, sealed: true})
}

// sentSealed drops n sealed bytes from the front, and returns what they counted
// for.
func (o *outbox) sentSealed(n int) (counted uint32) {
	for n > 0 {
		p := &o.pieces[o.head]
		before, left := p.counts(o.off), len(p.p)-o.off
		if n < left {
			o.off += n
			return counted + uint32(before-p.counts(o.off))
		}
		counted += uint32(before)
		n -= left
		o.off = 0
		*p = piece{}
		o.head++
	}
	return counted
}

// peek appends plain pieces up to limit bytes, the last one perhaps in part.
func (o *outbox) peek(dst [][]byte, limit int) (_ [][]byte, n int) {
	for _, p := range o.pieces[o.head:] {
		b := p.p[:min(len(p.p), limit-n)]
		if len(b) == 0 {
			break
		}
		dst = append(dst, b)
		n += len(b)
	}
	return dst, n
}

// consume drops n plain bytes from the front.
func (o *outbox) consume(n int) {
	for n > 0 {
		p := &o.pieces[o.head]
		if n < len(p.p) {
			*p = piece{p: p.p[n:], begun: true}
			return
		}
		n -= len(p.p)
		*p = piece{}
		o.head++
	}
}

// sealedBytes is what is sealed and not sent.
func (o *outbox) sealedBytes() (p []byte) {
	off := o.off
	for _, sealed := range o.pieces[o.head:o.sealedEnd()] {
		p = append(p, sealed.p[off:]...)
		off = 0
	}
	return p
}

// discardPlain drops all that is not sealed, and returns how many bytes it was.
func (o *outbox) discardPlain() (freed int) {
	end := o.sealedEnd()
	for _, p := range o.pieces[end:] {
		freed += len(p.p)
	}
	clear(o.pieces[end:])
	o.pieces = o.pieces[:end]
	return freed
}
