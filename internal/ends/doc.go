// Package ends keeps the last ends of connections, so that "why was I disconnected" has an answer
// afterwards.
//
// There are only a few types. [End] is how one connection ended. [Log] is a ring of the last ones,
// bounded in number and in bytes. [Query] selects some of them. [Queue] is their way to the Log.
//
// Any goroutine may use a Log. Its methods take a lock, so loops put an End into a Queue, and a
// goroutine adds it.
package ends

import (
	"net/netip"
	"time"

	"c100k/netpoll"
)

// The bounds of a Log.
const (
	// Max is how many ends are kept. Without it a node that runs for a year keeps them all.
	Max = 10_000

	// TextBytesMax bounds the text of a close frame that is kept, in bytes: a close frame has room for
	// 123.
	TextBytesMax = 123

	// stringBytesMax bounds the subjects and texts of all ends together, in bytes; beyond it the
	// oldest are forgotten early. With Max records of recordBytes it makes 2 MB.
	stringBytesMax = 2_000_000 - Max*recordBytes

	// recordBytes is the size of a record without its texts; a test compares it.
	recordBytes = 128
)

// End is how one connection ended.
type End struct {
	ID        netpoll.ID
	At        time.Time     // when it ended
	Lasted    time.Duration // how long it was there
	Transport string        // a label; kept
	Sub       string        // of its client; empty if it was not identified
	Addr      netip.Addr    // of its client; invalid if it is not known
	Reason    netpoll.Reason
	Code      uint16 // of the close frame; 0: there was none
	Text      string // of the close frame
	Owed      int    // bytes that it had been sent and had not taken
}

// Abnormal tells whether an operator wants to hear of the end: neither the client nor the server
// was done.
func (e *End) Abnormal() bool {
	switch e.Reason {
	case netpoll.ReasonTimeout, netpoll.ReasonProtocol, netpoll.ReasonTooBig, netpoll.ReasonPolicy, netpoll.ReasonSlow,
		netpoll.ReasonPanic, netpoll.ReasonLayer, netpoll.ReasonTruncated, netpoll.ReasonMemory:
		return true
	}
	return false
}

// Query selects ends. The zero value selects all.
type Query struct {
	Reason string       // the label of a netpoll.Reason; empty: all
	Sub    string       // empty: all
	Addrs  netip.Prefix // invalid: all
	Since  time.Time    // ends before it are left out
	Before Place        // only ends behind this place, in the order of List; zero: all
}

// Place is the place of an end in a list: lists are ordered by time, and then by ID.
type Place struct {
	At time.Time
	ID netpoll.ID
}

// Place is where the end stands in a list.
func (e *End) Place() Place { return Place{e.At, e.ID} }

// IsZero tells whether it is no place.
func (p Place) IsZero() bool { return p.At.IsZero() }

// Compare orders places: newest first.
func (p Place) Compare(q Place) int {
	if c := q.At.Compare(p.At); c != 0 {
		return c
	}
	switch {
	case p.ID < q.ID:
		return -1
	case p.ID > q.ID:
		return 1
	}
	return 0
}

func (q *Query) selects(e *End) bool {
	return (q.Reason == "" || q.Reason == e.Reason.String()) &&
		(q.Sub == "" || q.Sub == e.Sub) &&
		(!q.Addrs.IsValid() || q.Addrs.Contains(e.Addr)) &&
		!e.At.Before(q.Since) &&
		(q.Before.IsZero() || q.Before.Compare(e.Place()) < 0)
}
