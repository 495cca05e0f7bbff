// What a node notes of its connections for those who look after it: where from, since when, and
// what was said at the end.

package node

import (
	"encoding/binary"
	"net/netip"
	"time"

	"c100k/netpoll"
)

const (
	// noteChunk is how many notes are made at once. Chunks never move, so growing copies nothing.
	noteChunk = 1024

	// farewellsMax bounds the connections of a loop whose close frame is remembered until they are
	// gone. One that is closed lingers for a second at most; beyond the bound the code and the text of
	// a close are not known afterwards.
	farewellsMax = 8192
)

// note is what is kept of each connection, by its slot: 8 bytes, and no pointer in them. An IPv6
// address takes 16 more, in notes.wide.
type note struct {
	addr  uint32 // of the client: an IPv4 address, or the index of an IPv6 address
	since uint32 // seconds on the loop's clock, at least 1, below the kind of addr; 0: nothing was noted
}

// The kinds of note.addr, in the top bits of note.since. What is left for the seconds is 34 years.
const (
	noteNarrow uint32 = 1 << 31 // an IPv4 address
	noteWide   uint32 = 1 << 30 // the index of an IPv6 address
	noteSince         = noteWide - 1
)

// farewell is how a connection is being closed.
type farewell struct {
	code uint16
	owed uint32
	text string
}

// notes are those of one loop. Loop only.
type notes struct {
	chunks    []*[noteChunk]note
	wide      netpoll.Slab[[16]byte] // IPv6 addresses; each is that of one slot
	farewells map[uint32]farewell    // by slot
}

// put notes a connection that begins.
func (s *notes) put(slot uint32, addr netip.Addr, now time.Duration) {
	chunk := int(slot / noteChunk)
	for chunk >= len(s.chunks) {
		s.chunks = append(s.chunks, nil)
	}
	if s.chunks[chunk] == nil {
		s.chunks[chunk] = new([noteChunk]note)
	}
	at := &s.chunks[chunk][slot%noteChunk]
	if at.since&noteWide != 0 {
		s.wide.Free(at.addr)
	}
	*at = note{since: uint32(min(max(now/time.Second, 1), time.Duration(noteSince)))}
	switch addr = addr.Unmap(); {
	case addr.Is4():
		four := addr.As4()
		at.addr = binary.BigEndian.Uint32(four[:])
		at.since |= noteNarrow
	case addr.Is6():
		i, wide := s.wide.Alloc()
		*wide, at.addr = addr.As16(), i
		at.since |= noteWide
	}
	delete(s.farewells, slot)
}

// at is the note of a slot: the client's address, which is invalid if it is not known, and when the
// connection began, on the loop's clock; 0: nothing was noted.
func (s *notes) at(slot uint32) (addr netip.Addr, began time.Duration) {
	chunk := int(slot / noteChunk)
	if chunk >= len(s.chunks) || s.chunks[chunk] == nil {
		return netip.Addr{}, 0
	}
	n := s.chunks[chunk][slot%noteChunk]
	switch {
	case n.since&noteNarrow != 0:
		var four [4]byte
		binary.BigEndian.PutUint32(four[:], n.addr)
		addr = netip.AddrFrom4(four)
	case n.since&noteWide != 0:
		addr = netip.AddrFrom16(*s.wide.At(n.addr))
	}
	return addr, time.Duration(n.since&noteSince) * time.Second
}

// say remembers how a connection is being closed. What was said first holds.
func (s *notes) say(slot uint32, f farewell) {
	was, ok := s.farewells[slot]
	switch {
	case !ok && len(s.farewells) >= farewellsMax:
		return
	case s.farewells == nil:
		s.farewells = make(map[uint32]farewell)
	case ok:
		f.owed = max(f.owed, was.owed)
		if was.code != 0 {
			f.code, f.text = was.code, was.text
		}
	}
	s.farewells[slot] = f
}

// End is what was noted of a connection that has ended.
type End struct {
	Addr   netip.Addr // of its client; invalid if it is not known
	Lasted time.Duration
	Owed   int    // bytes that the connection had been sent and had not taken, when it was closed
	Code   uint16 // of the close frame; 0: there was none
	Text   string // of the close frame
}

// Ended is what was noted of a connection that ends, and forgets how it was closed. It is for
// Config.Ended and for those who count clients themselves. Loop only.
func (n *Node) Ended(l *netpoll.Loop, id netpoll.ID) (e End) {
	s := &n.reactors[l.Index()-n.cfg.LoopBase].notes
	addr, began := s.at(id.Slot())
	said := s.farewells[id.Slot()]
	delete(s.farewells, id.Slot())
	e = End{Addr: addr, Owed: int(said.owed), Code: said.code, Text: said.text}
	if began != 0 {
		e.Lasted = max(l.Now()-began, 0)
	}
	return e
}

// farewell is proto.Place.Farewell.
func (r *reactor) farewell(c *netpoll.Conn, code uint16, text string) {
	r.notes.say(c.Slot(), farewell{code: code, text: text, owed: uint32(c.Pending())})
}

// inherit is proto.Place.Inherit.
func (r *reactor) inherit(to, from *netpoll.Conn) {
	if addr, began := r.notes.at(from.Slot()); began != 0 {
		r.notes.put(to.Slot(), addr, began)
	}
}

// owes notes what a connection that is about to be ended has been sent and has not taken: its end
// begins with dropping that.
func (r *reactor) owes(c *netpoll.Conn, n int) {
	if r.noting && !c.Closing() && n > 0 {
		r.notes.say(c.Slot(), farewell{owed: uint32(min(n, 1<<32-1))})
	}
}
