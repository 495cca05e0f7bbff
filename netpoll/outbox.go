// The backlog of a connection: what its socket did not take.

package netpoll

// outbox is the backlog of one connection. Shared bytes are kept by reference
// and count like all others.
type outbox struct {
	pieces []piece
	head   int // pieces before it are sent
	off    int // bytes of pieces[head] that are sent
	queued bool
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

// vec appends what one write may carry.
func (o *outbox) vec(dst [][]byte) [][]byte {
	size, off := 0, o.off
	for i := o.head; i < len(o.pieces) && len(dst) < writeVecMax && size < writeBytesMax; i++ {
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

// unbegun is the index of the first piece of which nothing is sent yet.
func (o *outbox) unbegun() int {
	if o.off > 0 {
		return o.head + 1
	}
	return o.head
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
