// Principal: a client that was identified, and Public: what one may that was not.

package auth

import (
	"encoding/json"
	"fmt"
	"time"

	"c100k/netpoll"
)

// Close codes of WebSocket connections whose rights have ended, from the range for applications
// (RFC 6455, 7.4.2), and the texts with them.
const (
	CloseExpired uint16 = 4401
	CloseRevoked uint16 = 4403

	TextExpired = "token expired"
	TextRevoked = "token revoked"
)

// Identity is what identifies a client, as a token or a backend says it. All but Subject may be
// empty.
type Identity struct {
	Subject  string
	ID       string    // of the token (jti)
	IssuedAt time.Time // iat; zero if it is not known
	Expires  time.Time // zero: never
	Info     json.RawMessage
	Lists
}

// Principal is a client that was identified. A nil *Principal is a client that was not: who
// receives one decides by its own rules for those. Made by NewPrincipal, it is immutable. Any
// goroutine.
type Principal struct {
	Subject   string          // a name for logs and patterns; it may be empty
	ID        string          // of the token (jti), empty if it has none
	IssuedAt  int64           // Unix seconds, 0 if it is not known
	Info      json.RawMessage // what others see of the client in presence; nil for nothing
	Rights    *Rights         // nil: none
	Expires   time.Duration   // when the rights end, on the clock of netpoll.Monotonic; 0: never
	ExpiresAt int64           // the same in Unix seconds; 0: never

	level string // Subject as a level of a topic
}

// NewPrincipal makes the principal of id with rights from g; wall and mono are one moment on both
// clocks. The rights end at id.Expires. For a client that comes after that they end leeway later:
// the clock of the issuer may be behind. The error says what of id is wrong.
func NewPrincipal(id *Identity, g *Registry, wall time.Time, mono, leeway time.Duration) (*Principal, error) {
	p := &Principal{Subject: id.Subject, ID: id.ID}
	var err error
	if p.Rights, err = g.Rights(&id.Lists); err != nil {
		return nil, err
	}
	switch {
	case id.Subject != "":
		if p.level, err = SubjectLevel(id.Subject); err != nil {
			return nil, err
		}
	case p.Rights.NeedsSubject():
		return nil, fmt.Errorf("a pattern has {sub}, and there is no subject")
	}
	if len(id.ID) > IDBytesMax {
		return nil, fmt.Errorf("its id has %d bytes; allowed are %d", len(id.ID), IDBytesMax)
	}
	if len(id.Info) > 0 {
		if len(id.Info) > InfoBytesMax || !json.Valid(id.Info) {
			return nil, fmt.Errorf("info is JSON of at most %d bytes", InfoBytesMax)
		}
		p.Info = id.Info
	}
	if !id.IssuedAt.IsZero() {
		p.IssuedAt = id.IssuedAt.Unix()
	}
	if !id.Expires.IsZero() {
		p.ExpiresAt = id.Expires.Unix()
		left := id.Expires.Sub(wall)
		if left <= 0 {
			left += leeway
		}
		p.Expires = max(mono+min(left, expiresMax), 1) // the sum must not overflow
	}
	return p, nil
}

// May tells whether p may do something with a topic at the time now. It allocates nothing.
func (p *Principal) May(right Right, topic string, now time.Duration) bool {
	return p.Rights != nil && !p.Expired(now) && p.Rights.Allows(right, topic, p.level)
}

// Denied tells whether the topic is denied to p, whatever is open to the public; at the time now.
func (p *Principal) Denied(topic string, now time.Duration) bool {
	return p.Expired(now) || p.Rights != nil && p.Rights.Denies(topic, p.level)
}

// Expired tells whether the rights of p have ended at the time now.
func (p *Principal) Expired(now time.Duration) bool { return p.Expires != 0 && now >= p.Expires }

// End is when the rights of p end, in Unix seconds; 0 for a p without an end, or nil.
func (p *Principal) End() int64 {
	if p == nil {
		return 0
	}
	return p.ExpiresAt
}

// Left is the time until p has to be looked at again, of at most an hour: until the warning of its
// end where one is due, or until the end. ok is false for a principal without an end.
func (p *Principal) Left(now time.Duration, warned bool) (d time.Duration, ok bool) {
	if p == nil || p.Expires == 0 {
		return 0, false
	}
	end := p.Expires
	if !warned {
		end -= ExpiringBefore
	}
	return min(max(end-now, 0), time.Hour), true
}

// Explain says which pattern decides.
func (p *Principal) Explain(right Right, topic string) Decision {
	return p.Rights.Explain(right, topic, p.level)
}

// AppendJoin appends the topics that p joins when it connects; nil joins none.
func (p *Principal) AppendJoin(dst []string) []string {
	if p == nil || p.Rights == nil {
		return dst
	}
	return p.Rights.AppendJoin(dst, p.level)
}

// Public is the rights of clients that were not identified. The zero value allows nothing. Any
// goroutine.
type Public struct {
	everything bool
	topics     []Pattern
}

// NewPublic makes them: topics are patterns whose topics may be subscribed to, and their history
// read; everything allows all with all topics, for a node on a laptop. The error names the pattern
// that is wrong.
func NewPublic(everything bool, topics []string) (*Public, error) {
	r := &Public{everything: everything}
	for _, text := range topics {
		p, err := ParsePublic(text)
		if err != nil {
			return nil, err
		}
		r.topics = append(r.topics, p)
	}
	return r, nil
}

// ParsePublic is ParsePattern for clients without a subject.
func ParsePublic(text string) (Pattern, error) {
	p, err := ParsePattern(text)
	if err == nil && p.sub {
		return Pattern{}, fmt.Errorf("%w: {sub} in %q is the subject of a token, and these topics need none", ErrPattern, text)
	}
	return p, err
}

// Everything tells whether all is allowed.
func (r *Public) Everything() bool { return r.everything }

// May tells whether a client that was not identified may do something with a topic.
func (r *Public) May(right Right, topic string) bool {
	return r.everything || (right == Subscribe || right == History) && matches(r.topics, topic, "")
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

// Set puts p, which is not nil, in place of the principal under i, which is not 0.
func (s *Principals) Set(i uint32, p *Principal) { *s.slab.At(i) = p }

// Free takes back an index when its session ends; for 0 it does nothing.
func (s *Principals) Free(i uint32) {
	if i != 0 {
		s.slab.Free(i)
	}
}

// Len is how many sessions have a principal.
func (s *Principals) Len() int { return s.slab.Len() }
