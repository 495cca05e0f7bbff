// The queue of a polling session: the frames that its client would get over WebSocket.

package engineio

// queue holds runs of frames, oldest first.
type queue struct {
	pieces []piece
	bytes  int
}

// piece is one run. A run of a broadcast is shared with other sessions and has a mark; a run of the
// session's own may grow.
type piece struct {
	p    []byte
	mark uint32
	n    uint32 // messages of a broadcast; 0: the session's own, which is never dropped
	own  bool   // p is not shared
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

// share appends p without a copy: n messages of a broadcast, or 0. Small runs that are no broadcast
// are copied: a record for a pong would take more than the pong.
func (q *queue) share(p []byte, mark, n uint32) {
	if n == 0 && len(p) <= copyBytesMax {
		q.add(p)
		return
	}
	q.bytes += len(p)
	q.pieces = append(q.pieces, piece{p: p, mark: mark, n: n})
}

// drop removes broadcasts, oldest first, until need bytes are freed or none is left. It calls
// dropped for each.
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
