// The ring of the last ends.

package ends

import (
	"slices"
	"strings"
	"sync"

	"c100k/netpoll"
)

// Log is a ring of the last ends. The zero value is empty.
type Log struct {
	mu    sync.Mutex // guards the fields below
	ring  []End      // grows up to Max
	first int        // index of the oldest
	n     int        // how many there are
	bytes int        // of their texts
}

// Add keeps an end; its texts are copied.
func (l *Log) Add(e *End) {
	kept := *e
	kept.Sub, kept.Text = strings.Clone(e.Sub), strings.Clone(cut(e.Text))
	size := len(kept.Sub) + len(kept.Text)
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.n > 0 && (l.n == Max || l.bytes+size > stringBytesMax) {
		l.forget()
	}
	if l.n == len(l.ring) && l.n < Max {
		l.grow()
	}
	*l.at(l.n) = kept
	l.n++
	l.bytes += size
}

// forget removes the oldest.
func (l *Log) forget() {
	oldest := l.at(0)
	l.bytes -= len(oldest.Sub) + len(oldest.Text)
	*oldest = End{}
	l.first = (l.first + 1) % len(l.ring)
	l.n--
}

// grow makes room for more, with the oldest first.
func (l *Log) grow() {
	more := make([]End, min(Max, max(64, 2*len(l.ring))))
	for i := range l.n {
		more[i] = *l.at(i)
	}
	l.ring, l.first = more, 0
}

// at is the end with that number, from the oldest on.
func (l *Log) at(i int) *End { return &l.ring[(l.first+i)%len(l.ring)] }

// cut is at most TextBytesMax bytes of s. The text of a close frame is not longer.
func cut(s string) string { return s[:min(len(s), TextBytesMax)] }

// Find is the end of a connection, if it is still kept.
func (l *Log) Find(id netpoll.ID) (End, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := l.n - 1; i >= 0; i-- {
		if e := l.at(i); e.ID == id {
			return *e, true
		}
	}
	return End{}, false
}

// List returns the first `most` ends that q selects, newest first.
func (l *Log) List(q *Query, most int) (list []End) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := l.n - 1; i >= 0; i-- {
		if e := l.at(i); q.selects(e) {
			list = append(list, *e)
		}
	}
	// They were added nearly in this order: loops do not wait for each other.
	slices.SortFunc(list, func(a, b End) int { return a.Place().Compare(b.Place()) })
	return list[:min(len(list), most)]
}
