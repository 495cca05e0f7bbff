// Tests of what a session that polls is owed.

package engineio

import (
	"fmt"
	"strings"
	"testing"
)

func (q *queue) String() string {
	var parts []string
	for _, p := range q.pieces {
		parts = append(parts, fmt.Sprintf("%s/%d", p.p, p.n))
	}
	return strings.Join(parts, " ")
}

// Broadcasts are dropped, oldest first and whole; what is the session's own stays, in its order,
// and what of it is small shares one piece.
func TestQueue(t *testing.T) {
	shared := []byte("shared")
	fill := func() *queue {
		q := &queue{}
		q.add([]byte("a"))
		q.add([]byte("b"))
		q.share(shared, 7, 2)
		q.add([]byte("c"))
		q.share([]byte("pong"), 0, 0)
		q.add([]byte("d"))
		q.share([]byte("more"), 8, 1)
		return q
	}
	for _, tt := range []struct {
		need, freed int
		left, drops string
	}{
		{0, 0, "ab/0 shared/2 cpongd/0 more/1", ""},
		{1, 6, "ab/0 cpongd/0 more/1", "7:2"},
		{7, 10, "ab/0 cpongd/0", "7:2 8:1"},
		{100, 10, "ab/0 cpongd/0", "7:2 8:1"},
	} {
		q := fill()
		before := q.bytes
		var drops []string
		freed := q.drop(tt.need, func(mark, n uint32) { drops = append(drops, fmt.Sprintf("%d:%d", mark, n)) })
		if freed != tt.freed || q.String() != tt.left || strings.Join(drops, " ") != tt.drops || q.bytes != before-freed {
			t.Errorf("need %d: freed %d, left %s (%d bytes of %d), dropped %s", tt.need, freed, q, q.bytes, before, drops)
		}
	}
	q := fill()
	q.add([]byte("behind what is shared"))
	if string(shared) != "shared" {
		t.Error("what is shared was changed")
	}
}
