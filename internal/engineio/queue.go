// What a session that polls is owed: the frames that its client would get over WebSocket.

package engineio

// queue holds runs of frames, oldest first.
type queue struct {
	pieces []piece
	bytes  int
}

// piece is one run. One of a broadcast is shared with other sessions and has a mark; one of the
// session's own may grow.
type piece struct {
	p    []byte
	mark uint32
	n    uint32 // messages of a broadcast; 0: it is the session's own, and is never dropped
	own  bool   // p is nobody else's
}

// add appends a copy of p.
func (q *queue) add(p []byte) {
	q.bytes += len(p)
	if k := len(q.pieces) - 1; k >= 0 && q.pieces[k].own {
		q.pieces[k].p = append(q.pieces[k].p, p...)
		return
	}
	q.pieces = append(q.pieces, piece{p: append([]byte(nil), p...), own: true})
}

// share appends p itself, which stands for n messages of a broadcast, or none. What is no broadcast
// and small is copied: a record for each pong would take more than the pong.
func (q *queue) share(p []byte, mark, n uint32) {
	if n == 0 && len(p) <= copyBytesMax {
		q.add(p)
		return
	}
	q.bytes += len(p)
	q.pieces = append(q.pieces, piece{p: p, mark: mark, n: n})
}

// drop takes broadcasts out, oldest first, until need bytes are freed or none is left; dropped
// hears of each.
func (q *queue) drop(need int, dropped func(mark, n uint32)) (freed int) {
	kept := q.pieces[:0]
	for _, p := range q.pieces {
		if freed < need && p.n > 0 {
			freed += len(p.p)
			dropped(p.mark, p.n)
			continue
		}
		kept = append(kept, p)
	}
	clear(q.pieces[len(kept):])
	q.pieces = kept
	q.bytes -= freed
	return freed
}
