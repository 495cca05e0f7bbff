// What a connection remembers of the messages it has received.

package swarm

// track is the order and completeness of one sender's messages on one connection: 16 bytes. It
// remembers the last 64 numbers; of an older one it cannot say whether it has come before.
type track struct {
	next uint64 // the lowest number above all that have come
	seen uint64 // bit i: number next-1-i has come
}

// verdict is what a message is to a track.
type verdict uint8

const (
	inOrder   verdict = iota
	late              // behind a later one, and for the first time
	duplicate         // for the second time; or older than a track remembers
)

// hear takes one message.
func (t *track) hear(seq uint64) verdict {
	if seq >= t.next {
		t.seen = t.seen<<(seq-t.next+1) | 1 // a shift by 64 and more gives 0
		t.next = seq + 1
		return inOrder
	}
	behind := t.next - 1 - seq
	if behind >= 64 || t.seen&(1<<behind) != 0 {
		return duplicate
	}
	t.seen |= 1 << behind
	return late
}

// begin makes next the first number that is expected: whatever came before has come.
func (t *track) begin(next uint64) { *t = track{next: next, seen: ^uint64(0)} }
