// Sessions: pages of the dashboard that have shown a key.

package admin

import (
	"crypto/rand"
	"crypto/subtle"
	"net/http"
	"sync"
	"time"
)

// sessionCookie is the name of the cookie, and csrfHeader the header that a request with the cookie
// brings when it changes something: a page of another site can have the cookie sent, and cannot
// know the value of the header.
const (
	sessionCookie = "c100k_session"
	csrfHeader    = "X-C100K-CSRF"
)

// role is what a caller may do.
type role uint8

const (
	roleNone role = iota
	roleRead      // sees and changes nothing
	roleFull
)

func (r role) String() string { return [...]string{"none", "read", "full"}[r] }

// session is a page that has logged in. Immutable.
type session struct {
	id, csrf string
	may      role
	key      string // that it has shown: it ends when the key is changed
	ends     time.Time
}

// mayChange tells whether a request with the session's cookie comes from its page.
func (s *session) mayChange(r *http.Request) bool {
	return subtle.ConstantTimeCompare([]byte(r.Header.Get(csrfHeader)), []byte(s.csrf)) == 1
}

// sessions are those of one handler. Any goroutine.
type sessions struct {
	now func() time.Time

	mu sync.Mutex // guards the field below
	by map[string]*session
}

// begin makes one; the one that ends first goes if there are too many.
func (t *sessions) begin(may role, key string) *session {
	s := &session{id: rand.Text(), csrf: rand.Text(), may: may, key: key, ends: t.now().Add(SessionAge)}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.by == nil {
		t.by = make(map[string]*session)
	}
	if len(t.by) >= SessionsMax {
		var oldest *session
		for _, other := range t.by {
			if oldest == nil || other.ends.Before(oldest.ends) {
				oldest = other
			}
		}
		delete(t.by, oldest.id)
	}
	t.by[s.id] = s
	return s
}

// of is the session of a request, nil if it has none.
func (t *sessions) of(r *http.Request) *session {
	c, err := r.Cookie(sessionCookie)
	if err != nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.by[c.Value]
	if s != nil && !s.ends.After(t.now()) {
		delete(t.by, s.id)
		return nil
	}
	return s
}

func (t *sessions) end(s *session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.by, s.id)
}
