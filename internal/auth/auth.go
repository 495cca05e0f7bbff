// Package auth is whom a connection speaks for, and what it may do.
//
// There are only a few types. A [Principal] is a client that was identified: a subject, its rights,
// and when they end. [Rights] answers whether it may subscribe or publish; [Public] is the rights
// of a node that knows nobody. [Principals] holds the principals of one loop, so that a session
// keeps an index of four bytes and an anonymous one costs nothing more.
//
// A principal is made by the code that identifies the client, on any goroutine, and is immutable
// from then on. It reaches the protocol of a connection as the value of a request that waits
// (package edge).
package auth

import (
	"strings"
	"time"

	"c100k/netpoll"
)

// Rights says what a client may do. Its methods are called on event loops: they must not block. Any
// goroutine.
type Rights interface {
	MaySubscribe(topic string) bool
	MayPublish(topic string) bool
}

// Principal is a client that was identified. A nil *Principal is a client that was not: who
// receives one decides by its own rules for those.
type Principal struct {
	Subject string        // a name for logs and patterns; it may be empty
	Rights  Rights        // nil: none
	Expires time.Duration // when the rights end, on the clock of netpoll.Monotonic; 0: never
}

// MaySubscribe tells whether p may subscribe to a topic at the time now.
func (p *Principal) MaySubscribe(topic string, now time.Duration) bool {
	return p.valid(now) && p.Rights.MaySubscribe(topic)
}

// MayPublish tells whether p may publish to a topic at the time now.
func (p *Principal) MayPublish(topic string, now time.Duration) bool {
	return p.valid(now) && p.Rights.MayPublish(topic)
}

func (p *Principal) valid(now time.Duration) bool {
	return p.Rights != nil && (p.Expires == 0 || now < p.Expires)
}

// Public is the rights of clients that were not identified, and need not be. The zero value allows
// nothing.
type Public struct {
	// Everything allows all topics, for a node on a laptop.
	Everything bool

	// Topics may be subscribed to: names, or patterns in which a star stands for any run of
	// characters.
	Topics []string
}

// MaySubscribe implements Rights.
func (r *Public) MaySubscribe(topic string) bool {
	if r.Everything {
		return true
	}
	for _, pattern := range r.Topics {
		if match(pattern, topic) {
			return true
		}
	}
	return false
}

// MayPublish implements Rights.
func (r *Public) MayPublish(string) bool { return r.Everything }

// match tells whether s matches a pattern with stars. It makes each star as short as possible and
// returns to the last one only when the rest does not match, so it is quadratic at worst, over the
// 255 bytes of a topic.
func match(pattern, s string) bool {
	head, rest, starred := strings.Cut(pattern, "*")
	if !strings.HasPrefix(s, head) {
		return false
	}
	s = s[len(head):]
	for starred {
		var part string
		part, rest, starred = strings.Cut(rest, "*")
		if !starred {
			return strings.HasSuffix(s, part)
		}
		at := strings.Index(s, part)
		if at < 0 {
			return false
		}
		s = s[at+len(part):]
	}
	return s == ""
}

// Principals holds the principals of one loop's sessions. The zero value is empty; a nil
// *Principals is one that stays empty. Loop only.
type Principals struct{ slab netpoll.Slab[*Principal] }

// Add keeps p for a session, and returns the index to keep there: 0 for nil. s must not be nil
// unless p is.
func (s *Principals) Add(p *Principal) uint32 {
	if p == nil {
		return 0
	}
	i, at := s.slab.Alloc()
	*at = p
	return i
}

// At is the principal under an index, nil for 0.
func (s *Principals) At(i uint32) *Principal {
	if i == 0 {
		return nil
	}
	return *s.slab.At(i)
}

// Free takes back an index when its session ends; for 0 it does nothing.
func (s *Principals) Free(i uint32) {
	if i != 0 {
		s.slab.Free(i)
	}
}

// Len is how many sessions have a principal.
func (s *Principals) Len() int { return s.slab.Len() }
