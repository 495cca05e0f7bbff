// The log of a topic: its newest messages, kept for members that come back.

package broadcast

import (
	"math/bits"
	"sort"
	"sync/atomic"
	"time"
)

// Keep says how much of a topic is kept. The zero value keeps nothing.
type Keep struct {
	Count int           // messages, at most KeepCountMax; 0: nothing is kept
	Age   time.Duration // how long a message is kept; 0: no bound
	Bytes int64         // of all kept messages, in what they cost in memory; 0: no bound beside Options.KeptBytesMax
}

// entry is one message of a topic with positions. It is immutable once the message is in the list.
type entry struct {
	position Position
	before   uint64 // offset of the message before
	seq      uint64 // in the topic's list
	cost     int64  // bytes that it counts in the log
	message  *Message
}

// log holds the newest messages of a topic by their number in its list. Publishers put messages in;
// the loops of members that come back read.
//
// A message is in the topic's list before it is in the log, because its number is known only then.
// One publisher at a time puts messages in: the one that has set busy. It takes all that are
// linked. The others do not wait for it: when it has cleared busy, it looks once more for messages
// that were linked meanwhile.
type log struct {
	hub  *Hub
	keep Keep

	// Any goroutine.
	busy   atomic.Bool
	index  atomic.Pointer[logIndex]
	oldest atomic.Uint64 // number of the oldest message that is kept; one more than newest if none is
	newest atomic.Uint64 // number of the newest message that the log has seen
	floor  atomic.Uint64 // an offset: all messages of the topic behind it are kept
	older  atomic.Uint32 // what the owner has beyond them: olderUnknown, olderNone or olderMore
	used   atomic.Int64  // time of the last message, on Options.Now
	filled atomic.Int64  // time of the last Fill, on Options.Now

	// The publisher that has set busy.
	last  *node // the node of newest
	bytes int64 // of all kept messages
}

// What a store behind the hub (Options.Older) has of a topic, beyond what its log has.
const (
	olderUnknown uint32 = iota // some, or none
	olderNone                  // nothing that is to be kept
	olderMore                  // more than a log takes
)

// logIndex is a ring of the kept messages; its length is a power of two.
type logIndex struct {
	slots []atomic.Pointer[entry]
}

func (x *logIndex) slot(seq uint64) *atomic.Pointer[entry] {
	return &x.slots[seq&uint64(len(x.slots)-1)]
}

func newLog(h *Hub, keep Keep, first *node, floor uint64) *log {
	l := &log{hub: h, keep: keep, last: first}
	l.index.Store(&logIndex{slots: make([]atomic.Pointer[entry], min(logIndexMin, 1<<bits.Len(uint(keep.Count-1))))})
	l.oldest.Store(first.seq + 1)
	l.newest.Store(first.seq)
	l.floor.Store(floor)
	if !h.older {
		l.older.Store(olderNone)
	}
	l.used.Store(int64(h.now()))
	return l
}

// record takes the messages that were linked since the last time. Any goroutine.
func (l *log) record(now time.Duration) {
	for l.busy.CompareAndSwap(false, true) {
		for n := l.last.next.Load(); n != nil; n = n.next.Load() {
			l.put(n)
		}
		l.trim(now)
		last := l.last
		l.busy.Store(false)
		if last.next.Load() == nil {
			return
		}
	}
}

// put adds a message. The caller has set busy.
func (l *log) put(n *node) {
	x := l.index.Load()
	oldest := l.oldest.Load()
	for n.seq-oldest >= uint64(len(x.slots)) {
		if len(x.slots) >= l.keep.Count {
			l.drop(oldest)
			oldest++
			continue
		}
		x = l.grow(x, oldest, n.seq)
	}
	e := n.entry
	l.bytes += e.cost
	l.hub.kept.Add(e.cost)
	l.used.Store(int64(e.message.Published))
	x.slot(n.seq).Store(e)
	l.last = n
	l.newest.Store(n.seq)
}

// grow doubles the ring, which holds the messages from oldest on, up to before next.
func (l *log) grow(x *logIndex, oldest, next uint64) *logIndex {
	bigger := &logIndex{slots: make([]atomic.Pointer[entry], 2*len(x.slots))}
	for seq := oldest; seq < next; seq++ {
		bigger.slot(seq).Store(x.slot(seq).Load())
	}
	l.index.Store(bigger)
	return bigger
}

// drop forgets the oldest message, which is number seq. The caller has set busy.
func (l *log) drop(seq uint64) {
	slot := l.index.Load().slot(seq)
	cost := slot.Load().cost
	l.floor.Store(slot.Load().position.Offset)
	l.oldest.Store(seq + 1)
	slot.Store(nil)
	l.bytes -= cost
	l.hub.kept.Add(-cost)
}

// trim forgets what is over the log's bounds, and for the hub's bound all but the newest message.
// The caller has set busy.
func (l *log) trim(now time.Duration) {
	for seq := l.oldest.Load(); seq <= l.newest.Load(); seq++ {
		count := l.newest.Load() - seq + 1
		old := l.keep.Age > 0 && l.index.Load().slot(seq).Load().message.Published < now-l.keep.Age
		big := l.keep.Bytes > 0 && l.bytes > l.keep.Bytes
		full := count > 1 && l.hub.kept.Load() > l.hub.keptBytesMax
		if count <= uint64(l.keep.Count) && !old && !big && !full {
			return
		}
		if count <= uint64(l.keep.Count) && !old {
			l.older.CompareAndSwap(olderNone, l.hub.dropped())
		}
		l.drop(seq)
	}
}

// forget forgets all messages that were published before a time. ok is false, and nothing is
// forgotten, while a publisher has set busy. Any goroutine.
func (l *log) forget(before time.Duration) (ok bool) {
	if !l.busy.CompareAndSwap(false, true) {
		return false
	}
	for seq := l.oldest.Load(); seq <= l.newest.Load(); seq++ {
		if l.index.Load().slot(seq).Load().message.Published >= before {
			break
		}
		l.drop(seq)
	}
	l.busy.Store(false)
	l.record(l.hub.now()) // what was linked meanwhile
	return true
}

// at returns message number seq, or nil if it is not kept. Any goroutine.
func (l *log) at(seq uint64) *entry {
	if e := l.index.Load().slot(seq).Load(); e != nil && e.seq == seq {
		return e
	}
	return nil
}

// bounds are the numbers of the oldest and the newest kept message. If none is kept, oldest is one
// more than newest. Any goroutine.
func (l *log) bounds() (oldest, newest uint64) {
	newest = l.newest.Load()
	return min(l.oldest.Load(), newest+1), newest
}

// behind returns the number of the last message whose offset is at most the given one, from
// oldest-1 to newest. Offsets as a rule ascend by one, so that the first guess is right; where the
// owner has left some out, it is searched.
func (l *log) behind(offset uint64) uint64 {
	oldest, newest := l.bounds()
	end := l.at(newest)
	if oldest > newest || end == nil {
		return newest
	}
	if offset >= end.position.Offset {
		return newest
	}
	if back := end.position.Offset - offset; back <= newest-oldest {
		if e := l.at(newest - back); e != nil && e.position.Offset == offset {
			return e.seq
		}
	}
	return l.search(oldest, newest, func(e *entry) bool { return e.position.Offset > offset })
}

// since returns the number of the last message that was published before t, from oldest-1 to
// newest.
func (l *log) since(t time.Duration) uint64 {
	oldest, newest := l.bounds()
	return l.search(oldest, newest, func(e *entry) bool { return e.message.Published >= t })
}

// search returns the number before the first message that is found. A message that was forgotten
// meanwhile is not found.
func (l *log) search(oldest, newest uint64, found func(*entry) bool) uint64 {
	n := sort.Search(int(newest+1-oldest), func(i int) bool {
		e := l.at(oldest + uint64(i))
		return e != nil && found(e)
	})
	return oldest + uint64(n) - 1
}

// KeptMessages is a part of what is kept of a topic.
type KeptMessages struct {
	Messages []*Message // each has a Position
	Newest   Position   // of the last message of the topic, kept or not; its offset is one less than the first if there was none
	More     bool       // there are more in this direction
}

// Kept returns kept messages of a topic, at most `most`: those behind the position after, oldest
// first; or with reverse, those before it, newest first. A zero position is the beginning, with
// reverse the end. Messages of another epoch than the topic's are none. ok is false if nothing is
// kept of the topic. Any goroutine.
func (h *Hub) Kept(topic string, after Position, most int, reverse bool) (k KeptMessages, ok bool) {
	t := h.lookup(topic)
	if t == nil || t.log == nil {
		return k, false
	}
	k.Newest = t.newest()
	oldest, newest := t.log.bounds()
	if after != (Position{}) {
		if after.Epoch != t.numbers.Load().epoch {
			return k, true
		}
		switch at := t.log.behind(after.Offset); {
		case !reverse:
			oldest = max(oldest, at+1)
		case at >= oldest && t.log.at(at) != nil && t.log.at(at).position.Offset == after.Offset:
			newest = at - 1
		default:
			newest = at
		}
	}
	for oldest <= newest {
		if len(k.Messages) == most {
			k.More = true
			break
		}
		seq := oldest
		if reverse {
			seq = newest
		}
		if e := t.log.at(seq); e != nil {
			k.Messages = append(k.Messages, e.message)
		}
		if reverse {
			newest--
		} else {
			oldest++
		}
	}
	return k, true
}

// newest is the position of the topic's last message, kept or not. Any goroutine.
func (t *topic) newest() Position { return t.numbers.Load().of(t.tail.Load().last) }

// ForgetKept forgets what is kept of a topic; its positions go on. ok is false if nothing is kept
// of it. Any goroutine but that of a loop: it may wait for a publisher.
func (h *Hub) ForgetKept(topic string) (ok bool) {
	t := h.lookup(topic)
	if t == nil || t.log == nil {
		return false
	}
	for !t.log.forget(h.now() + 1) {
		time.Sleep(time.Millisecond)
	}
	t.log.older.Store(olderNone)
	return true
}

// TrimKept forgets kept messages that are too old, and, while more than Options.KeptBytesMax is
// kept, the oldest of all topics. It releases topics of which nothing is kept, that have no members
// and to which nothing was published for idle: positions of theirs cannot be resumed any more. Call
// it every second or so. It looks at each topic. releasing, if not nil, is called before a topic is
// released. Any goroutine but that of a loop.
func (h *Hub) TrimKept(idle time.Duration, releasing func(topic string)) {
	now := h.now()
	oldest, newest := now, time.Duration(0)
	h.eachLog(func(t *topic) {
		l := t.log
		l.record(now)
		first, last := l.bounds()
		if e := l.at(first); e != nil {
			oldest = min(oldest, e.message.Published)
		}
		newest = max(newest, time.Duration(l.used.Load()))
		if first > last && time.Duration(l.used.Load()) < now-idle && t.tail.Load().attached == 0 {
			if releasing != nil {
				releasing(t.name)
			}
			h.Release(t.name)
		}
	})
	// Each round forgets the older half of the time that is left, so the oldest messages go first and
	// few rounds are enough.
	h.makeRoom(oldest, newest, 0)
}

// makeRoom forgets the oldest messages of all topics, which were published between two times, until
// there is room for so many bytes. It does not look beyond the newest: after a burst and a pause,
// all would be older than a half of the time. What was filled in just now stays: somebody waits for
// it.
func (h *Hub) makeRoom(oldest, newest time.Duration, bytes int64) {
	now := h.now()
	for range trimRoundsMax {
		if h.kept.Load()+bytes <= h.keptBytesMax {
			return
		}
		oldest += (newest-oldest)/2 + 1
		h.eachLog(func(t *topic) {
			if filled := time.Duration(t.log.filled.Load()); filled == 0 || filled < now-filledStays {
				t.log.older.CompareAndSwap(olderNone, h.dropped())
				t.log.forget(oldest)
			}
		})
	}
}

// dropped is what a store has of a topic whose messages were forgotten here to make room.
func (h *Hub) dropped() uint32 {
	if h.older {
		return olderUnknown
	}
	return olderNone
}

func (h *Hub) eachLog(f func(*topic)) {
	h.topics.Range(func(_, found any) bool {
		if t := found.(*topic); t.log != nil {
			f(t)
		}
		return true
	})
}
