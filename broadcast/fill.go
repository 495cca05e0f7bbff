// Older messages, which a store behind the hub has and a log has not: when they are needed, and how
// they come in.

package broadcast

import "time"

// Covered says what a log has for a subscription that begins in the past.
type Covered uint8

const (
	CoveredYes   Covered = iota // Shard.Resume answers it: with messages, or with a reset that is true
	CoveredOlder                // older messages are needed first: Fill
	CoveredAhead                // the position is behind all that was published here: it is unknown, unless the owner knows better
)

// Covers tells whether Shard.Resume on a topic with positions can be answered from its log. A topic
// that nobody uses begins with it. floor is what Fill wants. Any goroutine; it does not block.
func (h *Hub) Covers(topic string, from From) (c Covered, floor Position) {
	t := h.lookup(topic)
	if t == nil && h.positions != nil {
		t = h.beginKept(topic)
	}
	if t == nil || t.log == nil {
		return CoveredYes, floor
	}
	l := t.log
	floor = Position{t.numbers.Load().epoch, l.floor.Load()}
	whole := l.older.Load() == olderNone
	oldest, newest := l.bounds()
	switch from.kind {
	case fromAfter:
		switch end := t.newest().Offset; {
		case from.after.Epoch != t.numbers.Load().epoch:
		case from.after.Offset > end && !t.isReached(from.after.Offset):
			return CoveredAhead, floor
		case from.after.Offset < floor.Offset && !whole:
			return CoveredOlder, floor
		}
	case fromLast:
		if want := min(from.last, l.keep.Count); newest+1-oldest < uint64(want) && !whole {
			return CoveredOlder, floor
		}
	case fromSince:
		if e := l.at(oldest); !whole && (e == nil || e.message.Published > from.since) {
			return CoveredOlder, floor
		}
	}
	return CoveredYes, floor
}

// Filling is what a store has of a topic in front of what its log has.
type Filling struct {
	Messages []OldMessage // in their order, each up to Until
	After    uint64       // an offset: the store has nothing between it and the first of Messages, and never had
	Until    Position     // what Covers said
	More     bool         // the store has older ones than these
}

// OldMessage is a message that a store has kept.
type OldMessage struct {
	Kind      Kind
	Payload   []byte
	From      string // Post.From
	Offset    uint64
	Published time.Duration // on Options.Now
}

// FillBytesMax bounds what one Fill takes, in bytes of memory.
func (h *Hub) FillBytesMax() int64 { return h.keptBytesMax / FillPart }

// Fill puts older messages in front of the log of a topic. False, having done nothing, if the log
// does not begin at f.Until any more, or has no room for them: ask Covers again. Any goroutine but
// that of a loop: it may wait for a publisher.
func (h *Hub) Fill(topic string, f *Filling) bool {
	t := h.lookup(topic)
	if t == nil || t.log == nil || t.numbers.Load().epoch != f.Until.Epoch {
		return false
	}
	entries, bytes := h.oldEntries(t, f)
	now := h.now()
	if len(entries) > 0 {
		h.makeRoom(entries[0].message.Published, now, bytes)
	}
	l := t.log
	for !l.busy.CompareAndSwap(false, true) {
		time.Sleep(time.Millisecond)
	}
	ok := l.floor.Load() == f.Until.Offset && l.oldest.Load() > uint64(len(entries))
	if ok {
		after := min(f.After, f.Until.Offset)
		if kept := l.prepend(entries); len(kept) > 0 {
			after = kept[0].before
		}
		l.floor.Store(after)
		l.older.Store(olderNone)
		if f.More {
			l.older.Store(olderMore)
		}
		l.filled.Store(int64(now))
	}
	l.busy.Store(false)
	l.record(now) // what was linked meanwhile
	return ok
}

// Lost says that messages of topics up to an offset did not come to this hub, of any that match is
// true for. What is kept of those is forgotten here, and Covers wants it from the store. Any
// goroutine but that of a loop.
func (h *Hub) Lost(match func(topic string) bool, offset uint64) {
	h.eachLog(func(t *topic) {
		if !match(t.name) {
			return
		}
		l := t.log
		for !l.forget(h.now() + 1) {
			time.Sleep(time.Millisecond)
		}
		l.floor.Store(max(l.floor.Load(), offset))
		l.older.Store(olderUnknown)
	})
}

// oldEntries makes the entries of a filling, of which there are not more than a log takes.
func (h *Hub) oldEntries(t *topic, f *Filling) (list []*entry, bytes int64) {
	before := f.After
	list = make([]*entry, 0, len(f.Messages))
	for i := range f.Messages {
		old := &f.Messages[i]
		m := &Message{Topic: t.name, Payload: old.Payload, Kind: old.Kind, Published: old.Published, hub: h}
		if old.From != "" {
			m.Extra = from(old.From)
		}
		m.entry = &entry{message: m, position: Position{t.numbers.Load().epoch, old.Offset}, before: before}
		m.reserveNeeded(&t.members)
		m.entry.cost = m.cost
		before = old.Offset
		bytes += m.cost
		list = append(list, m.entry)
	}
	return list, bytes
}

// prepend puts entries in front, and returns those for which there was room. The caller has set
// busy.
func (l *log) prepend(entries []*entry) (kept []*entry) {
	if room := l.keep.Count - int(l.newest.Load()+1-l.oldest.Load()); len(entries) > room {
		entries = entries[len(entries)-max(room, 0):]
	}
	oldest, next := l.oldest.Load(), l.newest.Load()+1
	x := l.index.Load()
	for next-oldest+uint64(len(entries)) > uint64(len(x.slots)) {
		x = l.grow(x, oldest, next)
	}
	seq := oldest
	for i := len(entries) - 1; i >= 0; i-- {
		seq--
		e := entries[i]
		e.seq = seq
		l.bytes += e.cost
		l.hub.kept.Add(e.cost)
		x.slot(seq).Store(e)
	}
	l.oldest.Store(seq)
	return entries
}
