// The name of a connection that any goroutine may hold.

package netpoll

import (
	"fmt"
	"strconv"
)

// ID names a connection: loop, slot and generation in 64 bits. It may have
// gone stale; whoever resolves it on its loop then finds nothing. The zero ID
// names no connection. Any goroutine may hold and compare IDs.
type ID uint64

func makeID(loop uint8, slot, gen uint32) ID {
	return ID(uint64(loop)<<56 | uint64(slot)<<32 | uint64(gen))
}

// Loop is the index of the loop that owns the connection.
func (id ID) Loop() int { return int(id >> 56) }

// Slot is the index of the connection's record in its loop's slab.
func (id ID) Slot() uint32 { return uint32(id>>32) & (SlotsMax - 1) }

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
