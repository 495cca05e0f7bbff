// A topic: one append-only list of messages that every shard reads at its own pace.

package broadcast

import (
	"strings"
	"sync/atomic"
)

// topic is one name that has members. Its list is the total order of its messages.
//
// The whole shared state of a topic is one pointer, tail, to an immutable record of three facts:
// the last message, how many shards are attached, whether the topic is kept without shards
// (position.go), and so whether the topic is over. Publishing, attaching and detaching are each one
// compare-and-swap of that pointer, so they have one order, and from it follows:
//
//  1. A message knows how many shards must pass over it: those attached in the record that its own
//     record replaced. A shard that attaches starts behind the last message of the record that it
//     replaced. So exactly the counted shards have the message in front of their cursor.
//  2. A shard detaches only by replacing a record whose last message is the one under its own
//     cursor. So it has passed over everything that counted it: no message is ever waited for in
//     vain.
//  3. The publisher marks shards ready after its message is linked. It looks them up in rosters. A
//     shard stores its roster there before it attaches and clears it after it has detached. So a
//     counted shard is found, or by (2) it has passed over the message already. (A shard found and
//     not counted is woken for nothing, which is harmless: its cursor stands at the end of what is
//     linked.)
//  4. The last shard that detaches leaves a record with no shards. If the topic is not kept, that
//     is final: the topic is over. Nobody attaches to it nor publishes on it, because both check
//     the record that they replace. A kept topic is over when it is released without shards. Its
//     messages that no shard counts have a node, for the number, and are not in it.
//  5. A publisher that meets a topic without positions which is over drops the message: at the
//     moment the topic ended, or when it was looked up if it was over then, nobody was subscribed
//     under that name. A newer topic of that name cannot have had a member before: while the old
//     one stands in the registry, there is none.
//  6. A subscriber that meets a topic which is over removes it from the registry (only that very
//     topic: CompareAndDelete) and makes a new one. The shard that ended it does the same, so
//     nobody waits for anybody, and a name that is left is forgotten.
//
// A list node is reachable from the cursors behind it and from tail, and from nowhere else. A shard
// without members has no cursor, cursors move on with every pass, so what all have passed over is
// garbage.
type topic struct {
	// Immutable.
	name    string
	log     *log // nil: nothing of it is kept
	watched bool // Options.Members hears of its members

	// Any goroutine.
	numbers atomic.Pointer[numbering] // nil, for good: the topic has no positions
	tail    atomic.Pointer[tail]
	members formCounts               // members over all shards, by form
	rosters []atomic.Pointer[roster] // by shard; nil where the shard is not attached
}

// formCounts are members by form.
type formCounts [FormsMax]atomic.Int32

// sum adds up the first forms counts, which are all that are used.
func (c *formCounts) sum(forms int) (n int) {
	for i := range c[:forms] {
		n += int(c[i].Load())
	}
	return n
}

// tail is the end of a topic's list at one moment. Immutable once stored in topic.tail.
type tail struct {
	last     *node
	attached int32 // shards
	kept     bool  // the topic has positions and does not end without shards
}

// over says that the topic has ended, for good.
func (t *tail) over() bool { return t.attached == 0 && !t.kept }

// node is one place in a topic's list.
type node struct {
	seq  uint64 // one more than the node before
	next atomic.Pointer[node]

	// message is cleared by the last shard that ends its pass over it, since an idle topic keeps its
	// last node. Invariant: only shards that the message counted read it, each before it counts itself
	// down. It is nil from the start in a message that no shard counts.
	message *Message

	entry *entry // nil in a topic without positions, and in the node that a list begins with

	end tail // the record that the publisher puts in topic.tail
}

// newTopic returns a topic without shards, which is kept if it has positions, and over otherwise
// unless the caller attaches a roster to it first.
func newTopic(name string, shards int, numbers *numbering) *topic {
	// The name may be a part of something big.
	t := &topic{name: strings.Clone(name), rosters: make([]atomic.Pointer[roster], shards)}
	t.numbers.Store(numbers)
	n := &node{}
	if numbers != nil {
		n.seq = numberedFrom
	}
	n.end = tail{last: n, kept: numbers != nil}
	t.tail.Store(&n.end)
	return t
}

// begin attaches the first roster of a topic that nobody else knows yet.
func (t *topic) begin(r *roster) {
	end := t.tail.Load()
	end.attached = 1
	t.rosters[r.shard].Store(r)
	r.topic, r.cursor = t, end.last
}

// append puts m at the end of the list and returns false if the topic is over, or if offset is not
// 0 and not behind that of the last message. counted is how many shards will pass over it. Any
// goroutine.
func (t *topic) append(m *Message, offset uint64) (counted int32, ok bool) {
	n := &node{message: m, entry: m.entry}
	for {
		old := t.tail.Load()
		if old.over() {
			return 0, false
		}
		n.seq = old.last.seq + 1
		n.end = tail{last: n, attached: old.attached, kept: old.kept}
		m.left.Store(old.attached)
		if e := m.entry; e != nil {
			// Nobody else sees m before the swap.
			e.seq, e.position = n.seq, t.numbers.Load().of(old.last)
			e.before = e.position.Offset
			e.position.Offset++
			if offset != 0 {
				if offset < e.position.Offset {
					return 0, true
				}
				e.position.Offset = offset
			}
			n.message = m
			if old.attached == 0 {
				n.message = nil
			}
		}
		if t.tail.CompareAndSwap(old, &n.end) {
			// Between the swap and this store a reader sees the list end early. It takes the rest later: it
			// is marked ready after the store.
			old.last.next.Store(n)
			return old.attached, true
		}
	}
}

// attach makes r the roster of its shard; ok is false if the topic is over, first tells that no
// other shard was attached. Loop of the shard.
func (t *topic) attach(r *roster) (ok, first bool) {
	r.topic = t
	t.rosters[r.shard].Store(r)
	for {
		old := t.tail.Load()
		if old.over() {
			t.rosters[r.shard].Store(nil)
			r.gone = true
			return false, false
		}
		r.cursor = old.last
		if t.tail.CompareAndSwap(old, &tail{last: old.last, attached: old.attached + 1, kept: old.kept}) {
			return true, old.attached == 0
		}
	}
}

// detach ends the part of r's shard in the topic, if the shard has passed over all messages; last
// tells that no shard is attached any more, over that the topic has ended with it. Loop of the
// shard.
func (t *topic) detach(r *roster) (done, last, over bool) {
	for {
		old := t.tail.Load()
		if old.last != r.cursor {
			return false, false, false
		}
		if t.tail.CompareAndSwap(old, &tail{last: old.last, attached: old.attached - 1, kept: old.kept}) {
			t.rosters[r.shard].Store(nil)
			r.gone = true
			return true, old.attached == 1, old.attached == 1 && !old.kept
		}
	}
}
