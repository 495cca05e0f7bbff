// Sessions: clients that hold something here without a connection, as those of long polling do
// between two requests. They are admitted like connections, by the same limits.

package edge

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"c100k/internal/quota"
	"c100k/netpoll"
)

// SessionHolder is one address that holds sessions; all of its sessions share it. A /64 network of
// IPv6 counts as one address, as for connections.
type SessionHolder struct {
	key             quota.Key
	known           bool         // false: the address is not known, and only the total counts
	open            int          // sessions of this process; guarded by sessionTable.mu
	tag             uint32       // of what they hold in the table of addresses; likewise
	counted         int          // how many of open are in that table
	messages, bytes atomic.Int64 // nanoseconds: when the budgets are full again
}

// sessionTable counts the sessions of all loops. It has at most one record for each open session.
type sessionTable struct {
	mu      sync.Mutex // guards the fields below, and SessionHolder.open
	open    int
	holders map[quota.Key]*SessionHolder
	unknown SessionHolder
}

// AdmitSession asks for one session of a client with that address, which may be invalid if it is
// not known. Max and MaxPerAddr hold for sessions as they do for connections, and are counted
// beside them: a client that polls has connections too. The holder belongs to the session until
// ReleaseSession; it is nil if the session is refused, which Admission then counts and reports. Any
// goroutine.
func (a *Admission) AdmitSession(addr netip.Addr) (*SessionHolder, *Refusal) {
	if a.short() {
		a.report(tagMemory, addr)
		return nil, RefuseMemory
	}
	h, tag := a.sessions.enter(addr, a.Max, a.MaxPerAddr, a.addresses())
	if h != nil {
		return h, nil
	}
	a.report(tag, addr)
	return nil, tagRefusal(tag)
}

// AdmitSession is Admission.AdmitSession for the client of a request. The session counts for the
// address that its connection counts for; behind a trusted proxy that is the client's that the
// request names, and without one only the total counts. Both results are nil without an Admission.
// It may make a system call. Loop only.
func (cfg *Config) AdmitSession(l *netpoll.Loop, c *netpoll.Conn, h *Head) (*SessionHolder, *Refusal) {
	if cfg.Admission == nil {
		return nil, nil
	}
	return cfg.Admission.AdmitSession(cfg.sessionAddr(l, c, h))
}

// sessionAddr is the address that a session counts for; invalid if it is not known.
func (cfg *Config) sessionAddr(l *netpoll.Loop, c *netpoll.Conn, h *Head) (addr netip.Addr) {
	switch tag := c.Tag(); {
	case tag == tagForwarded:
		addr, _ = forwardedFor(h, cfg.Admission.Trusted)
	case tag != 0:
		addr = cfg.Admission.Standing(tag).Client
	default: // there is no limit by address
		if peer := l.PeerAddr(c).Addr(); !cfg.Admission.trusts(peer) {
			addr = peer
		}
	}
	return addr
}

// ReleaseSession gives back what AdmitSession has given. It is called once for each. Any goroutine.
func (a *Admission) ReleaseSession(h *SessionHolder) { a.sessions.leave(h, a.addresses()) }

// Sessions is the number of sessions that are admitted and not yet released. Any goroutine.
func (a *Admission) Sessions() int {
	a.sessions.mu.Lock()
	defer a.sessions.mu.Unlock()
	return a.sessions.open
}

// enter counts one session more, or tells by a tag of Admission which limit refuses it.
func (t *sessionTable) enter(addr netip.Addr, total, perAddr int, addresses *quota.Table) (h *SessionHolder, tag uint32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if total > 0 && t.open >= total {
		return nil, tagOverCapacity
	}
	h = &t.unknown
	if addr.IsValid() {
		key := keyOf(addr, keySessions4)
		if perAddr > 0 && addresses != nil {
			var outcome quota.Outcome
			if tag, outcome = addresses.Enter(key, quota.Limit{Max: perAddr}, time.Time{}); outcome != quota.Entered {
				return nil, tagPerAddr
			}
		}
		if h = t.holders[key]; h == nil {
			if t.holders == nil {
				t.holders = make(map[quota.Key]*SessionHolder)
			}
			h = &SessionHolder{key: key, known: true}
			t.holders[key] = h
		}
		h.hold(tag)
	}
	h.open++
	t.open++
	return h, 0
}

// hold notes what one more session holds in the table of addresses: all that were counted have the
// same tag.
func (h *SessionHolder) hold(tag uint32) {
	if tag != 0 {
		h.tag = tag
		h.counted++
	}
}

// leave takes one session out, and drops the record with the last one of its address.
func (t *sessionTable) leave(h *SessionHolder, addresses *quota.Table) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open--
	h.open--
	if h.counted > 0 {
		h.counted--
		addresses.Leave(h.tag)
	}
	if h.open == 0 && h.known {
		delete(t.holders, h.key)
	}
}

// SpendMessage takes the tokens of a message from the budget of the address: they come back within
// cost, and an empty budget is full again after full; 0 is no limit. now is on any clock that all
// callers share. False means that the sessions of the address together have sent too much. Sessions
// whose address is not known are not held together. It takes no lock. Any goroutine.
func (h *SessionHolder) SpendMessage(now, cost, full time.Duration) bool {
	return !h.known || spend(&h.messages, now, cost, full)
}

// SpendBytes is SpendMessage for the budget of bytes.
func (h *SessionHolder) SpendBytes(now, cost, full time.Duration) bool {
	return !h.known || spend(&h.bytes, now, cost, full)
}

func spend(budget *atomic.Int64, now, cost, full time.Duration) bool {
	if full == 0 {
		return true
	}
	for {
		was := budget.Load()
		next := max(was, int64(now)) + int64(cost)
		if next-int64(now) > int64(full) {
			return false
		}
		if budget.CompareAndSwap(was, next) {
			return true
		}
	}
}
