// Positions: the numbers of a topic's messages, for topics whose owner wants them.

package broadcast

import "time"

// Position names a message of a topic. Offsets of one epoch ascend, by one from message to message
// unless Post.Offset says otherwise, in the order in which all members get them.
type Position struct {
	Epoch  string // of the topic's list; another one means that offsets cannot be compared
	Offset uint64
}

// numbering is what the owner of a topic with positions has said when the topic, or a new epoch of
// it, began. Immutable.
type numbering struct {
	epoch string
	first uint64 // offset of the first message of the epoch
}

// of is the position of the message in a node; in the node that the list begins with, and in those
// of an earlier epoch, the one before the first.
func (n *numbering) of(at *node) Position {
	if at.entry == nil || at.entry.position.Epoch != n.epoch {
		return Position{n.epoch, n.first - 1}
	}
	return at.entry.position
}

// numberingOf asks whether the topic of that name, which is about to begin, is to have positions.
func (h *Hub) numberingOf(name string) *numbering {
	if h.positions == nil {
		return nil
	}
	first, ok := h.positions(name)
	if !ok {
		return nil
	}
	return &numbering{epoch: first.Epoch, first: first.Offset}
}

// beginKept returns the topic of that name, which is made without members if its owner wants
// positions; nil if not. Any goroutine.
func (h *Hub) beginKept(name string) *topic {
	n := h.numberingOf(name)
	if n == nil {
		return nil
	}
	fresh := h.newTopic(name, n)
	found, loaded := h.topics.LoadOrStore(fresh.name, fresh)
	if !loaded {
		h.topicCount.Add(1)
	}
	return found.(*topic)
}

// newTopic makes a topic of that name, with a log if its owner wants one.
func (h *Hub) newTopic(name string, n *numbering) *topic {
	t := newTopic(name, len(h.shards), n)
	t.watched = h.watcher != nil && h.watcher.Wanted(t.name)
	if n != nil && h.keep != nil {
		if keep := h.keep(t.name); keep.Count > 0 {
			keep.Count = min(keep.Count, KeepCountMax)
			floor := n.first - 1
			if h.floor != nil {
				floor = min(floor, h.floor(t.name))
			}
			t.log = newLog(h, keep, t.tail.Load().last, floor)
		}
	}
	return t
}

// Release ends the positions of a topic: it is forgotten as soon as it has no members, and when it
// begins again Options.Positions is asked again. last is the position of its last message; its
// offset is one less than the first if there was none. ok is false if there is no topic of that
// name with positions. Any goroutine.
func (h *Hub) Release(name string) (last Position, ok bool) {
	t := h.lookup(name)
	if t == nil || t.numbers.Load() == nil {
		return Position{}, false
	}
	end, released, over := t.release()
	if over {
		h.forget(t)
	}
	return t.numbers.Load().of(end), released
}

// release lets the topic end with its last shard; end has its last message at that moment. Any
// goroutine.
func (t *topic) release() (end *node, released, over bool) {
	for {
		old := t.tail.Load()
		if !old.kept {
			return old.last, false, false
		}
		if t.tail.CompareAndSwap(old, &tail{last: old.last, attached: old.attached}) {
			return old.last, true, old.attached == 0
		}
	}
}

// Renumber begins a new epoch in topics with positions, of any that match is true for: the engine
// that numbered their messages has lost some, or all. The next message of each gets first or a
// later offset. What is kept of the topics is forgotten, and positions of the epoch before are
// answered with ResetEpoch; who is subscribed stays. Only who publishes with Post.Offset may call
// it, and not while it does so; not on a loop, for it may wait for a publisher.
func (h *Hub) Renumber(match func(topic string) bool, first Position) {
	h.eachLog(func(t *topic) {
		if !match(t.name) {
			return
		}
		for !t.log.forget(h.now() + 1) {
			time.Sleep(time.Millisecond)
		}
		t.log.floor.Store(first.Offset - 1)
		t.log.older.Store(olderUnknown)
		t.numbers.Store(&numbering{epoch: first.Epoch, first: first.Offset})
	})
}
