// The record of a connection, its ID, its role, and the slab of all records.

package netpoll

import (
	"fmt"
	"strconv"
)

// Conn is what the loop keeps of a connection: 48 bytes, no pointer in them,
// so that the garbage collector does not scan it.
// Loop only. A *Conn is valid during the callback that was given it; to name a
// connection for longer, keep its ID.
type Conn struct {
	fd       int32
	gen      uint32
	where    uint32 // loop in the top 8 bits, slot below
	session  uint32 // the handler's
	tag      uint32 // the acceptor's
	pending  uint32 // bytes of output: in the outbox, or gathered in this turn
	out      uint32 // flagBacklog: index of the outbox; else 1 + index in Loop.gathers
	next     uint32 // wheel, or free list: 1 + slot
	prev     uint32 // wheel: 1 + slot
	deadline tick
	seen     tick
	role     Role
	flags    connFlags
	reason   Reason
	interest interest
}

type connFlags uint8

const (
	flagLive    connFlags = 1 << iota // the slot is in use
	flagDead                          // Close or Detach was called: released in phase 8
	flagFinish                        // Finish was called: no input, no more output
	flagLinger                        // FIN sent, waiting for the peer's
	flagBacklog                       // the socket did not take everything: out is an outbox
	flagPaused                        // no reads until the backlog has drained
	flagArmed                         // linked in the wheel
	flagDue                           // armed, and linked in the list of those due
)

type interest uint8

const (
	interestRead interest = 1 << iota
	interestWrite

	// The kernel is not told of the others.
	interestUnread  // the connection is listed in Loop.unread
	interestPlanned // it is listed in Loop.reads
	interestLayer   // it has the loop's layer
	interestEnded   // the layer's closing record is sealed

	interestKernel = interestRead | interestWrite
)

// ID names the connection for other goroutines.
func (c *Conn) ID() ID { return makeID(uint8(c.where>>24), c.Slot(), c.gen) }

// Slot is the index of the record; also the connection's number as a member.
func (c *Conn) Slot() uint32 { return c.where & (slotsMax - 1) }

// Role says which handler the connection has.
func (c *Conn) Role() Role { return c.role }

// Pending is how many bytes of output wait: those in the outbox and those
// gathered in this turn.
func (c *Conn) Pending() int { return int(c.pending) }

// Backlogged tells whether output of an earlier turn waits in an outbox.
func (c *Conn) Backlogged() bool { return c.flags&flagBacklog != 0 }

// Session is the handler's own index, 0 after adoption and after Become.
func (c *Conn) Session() uint32 { return c.session }

// SetSession stores the handler's own index.
func (c *Conn) SetSession(i uint32) { c.session = i }

// Tag is what the acceptor's Admit returned for the connection.
func (c *Conn) Tag() uint32 { return c.tag }

// SetTag replaces the tag.
func (c *Conn) SetTag(t uint32) { c.tag = t }

// Closing tells whether Close, Finish or Detach was called: what is sent is
// ignored and no input arrives any more.
func (c *Conn) Closing() bool { return c.flags&(flagDead|flagFinish) != 0 }

// Reason is why the connection ends; ReasonNone while it does not.
func (c *Conn) Reason() Reason { return c.reason }

func (c *Conn) token() uint64 { return uint64(c.gen)<<32 | uint64(c.Slot()) }

const connChunk = 1024

// connSlab holds the records in chunks, so that growing moves none of them.
type connSlab struct {
	chunks []*[connChunk]Conn
	free   uint32 // 1 + slot of the first free record
	live   int
	loop   uint8
	unused uint32 // the generation of a record that was never used
}

func (s *connSlab) at(slot uint32) *Conn { return &s.chunks[slot/connChunk][slot%connChunk] }

// get is at for a slot that may never have existed.
func (s *connSlab) get(slot uint32) *Conn {
	if int(slot/connChunk) >= len(s.chunks) {
		return nil
	}
	c := s.at(slot)
	if c.flags&flagLive == 0 {
		return nil
	}
	return c
}

// alloc takes a free record. Invariant: gen is at least 1 in a live record and
// grows with each use, so no ID or event of an earlier use matches.
func (s *connSlab) alloc() *Conn {
	if s.free == 0 && !s.grow() {
		return nil
	}
	c := s.at(s.free - 1)
	s.free = c.next
	*c = Conn{where: c.where, gen: c.gen + 1, flags: flagLive}
	if c.gen == 0 {
		c.gen = 1
	}
	s.live++
	return c
}

func (s *connSlab) release(c *Conn) {
	*c = Conn{where: c.where, gen: c.gen, next: s.free}
	s.free = c.Slot() + 1
	s.live--
}

func (s *connSlab) grow() bool {
	first := uint32(len(s.chunks)) * connChunk
	if first+connChunk > slotsMax {
		return false
	}
	chunk := new([connChunk]Conn)
	s.chunks = append(s.chunks, chunk)
	// Linked from the end, so that slots are handed out in rising order.
	for i := connChunk - 1; i >= 0; i-- {
		slot := first + uint32(i)
		chunk[i] = Conn{where: uint32(s.loop)<<24 | slot, gen: s.unused, next: s.free}
		s.free = slot + 1
	}
	return true
}

func (s *connSlab) each(f func(*Conn) bool) {
	for _, chunk := range s.chunks {
		for i := range chunk {
			if chunk[i].flags&flagLive != 0 && !f(&chunk[i]) {
				return
			}
		}
	}
}

// ID names a connection: loop, slot and generation in 64 bits. It may have
// gone stale: Lookup on its loop then returns nil. The zero ID
// names no connection. Any goroutine may hold and compare IDs.
type ID uint64

func makeID(loop uint8, slot, gen uint32) ID {
	return ID(uint64(loop)<<56 | uint64(slot)<<32 | uint64(gen))
}

// Loop is the index of the loop that owns the connection.
func (id ID) Loop() int { return int(id >> 56) }

// Slot is the index of the connection's record in its loop's slab.
func (id ID) Slot() uint32 { return uint32(id>>32) & (slotsMax - 1) }

// Generation counts the uses of the slot, from Options.Generation on; it is never 0.
func (id ID) Generation() uint32 { return uint32(id) }

// String is the form that users see and give back: 16 lower-case hex digits.
func (id ID) String() string { return fmt.Sprintf("%016x", uint64(id)) }

// ParseID reads what String wrote.
func ParseID(s string) (ID, error) {
	if len(s) != 16 {
		return 0, fmt.Errorf("connection id %q: want 16 hex digits", s)
	}
	n, err := strconv.ParseUint(s, 16, 64)
	if err != nil {
		return 0, fmt.Errorf("connection id %q: want 16 hex digits", s)
	}
	return ID(n), nil
}

// Role says which handler a connection has: an index in the loop's table.
type Role uint8

// Handler is one protocol on one loop. All methods run on the loop: they must
// not block, and must not keep l, c or p. A panic in one closes the connection
// it was called for, and no other.
type Handler interface {
	// OnOpen: the connection has just got this role, by adoption or Become.
	OnOpen(l *Loop, c *Conn)

	// OnData: bytes have arrived. p is a slice of the read arena; it may be
	// changed in place and, as an argument of SendTurn, lives until the end of
	// the turn.
	OnData(l *Loop, c *Conn, p []byte)

	// OnTimer: the deadline that Arm set has passed.
	OnTimer(l *Loop, c *Conn)

	// OnWritable: a backlog has drained to nothing.
	OnWritable(l *Loop, c *Conn)

	// OnClose: the last call; free the session here. Detach calls it with
	// ReasonDetached. Become does not call it: a handler that calls Become frees
	// its session first.
	OnClose(l *Loop, c *Conn, r Reason)
}
