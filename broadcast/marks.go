// Marks: the numbers by which a shard and its Sink speak of topics.

package broadcast

// A mark is a gap bit, 7 bits of generation and 24 bits of index. Bytes in an outbox outlive the
// subscription that sent them, and the topic; the generation keeps a mark that comes back late from
// being taken for another topic.
const (
	markGap             = 1 << 31 // a gap announcement, not messages
	markIndex           = 1<<24 - 1
	markGenerationShift = 24
	markGenerations     = 1 << 7
)

// markSlot is one index: who has it, and the mark that it has then.
type markSlot struct {
	roster *roster // nil: free
	mark   uint32
	free   uint32 // in a free slot, the index of the next free one, or 0
}

// marks are a shard's rosters by mark. Index 0 is not used, so that no mark is 0.
type marks struct {
	slots chunks[markSlot]
	free  uint32 // a free slot, or 0
	used  uint32 // the highest index ever used
	live  int
}

// full says that add has no room.
func (m *marks) full() bool { return m.free == 0 && m.used >= TopicsPerShardMax }

// add gives r its mark.
func (m *marks) add(r *roster) {
	i := m.free
	if i != 0 {
		slot := m.slots.at(i)
		m.free = slot.free
		generation := (slot.mark>>markGenerationShift + 1) % markGenerations
		*slot = markSlot{roster: r, mark: generation<<markGenerationShift | i}
	} else {
		m.used++
		i = m.used
		*m.slots.make(i) = markSlot{roster: r, mark: i}
	}
	r.mark = m.slots.at(i).mark
	m.live++
}

// remove takes r's mark back.
func (m *marks) remove(r *roster) {
	i := r.mark & markIndex
	slot := m.slots.at(i)
	slot.roster, slot.free = nil, m.free
	m.free = i
	m.live--
}

// roster returns who has mark (with or without the gap bit) now, or nil.
func (m *marks) roster(mark uint32) *roster {
	i := mark & markIndex
	if i == 0 || i > m.used {
		return nil
	}
	if slot := m.slots.at(i); slot.mark == mark&^markGap {
		return slot.roster
	}
	return nil
}
