// Connection state recovery: what clients miss while they are away for a short time.

package socketio

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"hash"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"
)

// recoveryLog is the packets of a namespace, each under a number that clients are sent with it as
// the last argument of its event (the offset), and the clients that are away. Any goroutine.
//
// Packets are numbered and published under the lock, and a client that comes back takes its seats
// and is given what it missed under the lock: so each packet comes either from the log or by its
// seat.
type recoveryLog struct {
	opt    Recovery
	detect time.Duration // within which a broken connection is noticed

	mu        sync.Mutex // guards the fields below
	mac       hash.Hash  // under a key of this log's own: a client cannot make positions
	entries   []entry    // oldest first
	bytes     int
	newest    uint64    // number of the last packet
	dropped   uint64    // number of the last packet that is not kept any more
	droppedAt time.Time // when that was sent
	sessions  map[string]*awaySession
	leaving   []*awaySession // all that were saved, oldest first; some have come back
}

// entry is a packet and whom it was for.
type entry struct {
	number uint64
	at     time.Time
	out    *outgoing
	rooms  []string // empty: everybody
	except []string
}

// awaySession is a client that may come back.
type awaySession struct {
	pid   string
	id    string
	rooms []string
	data  any
	at    time.Time
	base  uint64 // it has all packets up to this number that were for it: it joined, or came back, with this position
	// settled is a packet such that it and all before it have reached the client, if they were for it:
	// had one not, the connection's end would have been noticed earlier.
	settled uint64
}

// offsetProofBytes is the length of the proof in a position, in bytes: 64 bits that a client would
// have to guess, with one try for each private id.
const offsetProofBytes = 8

// entryBytes is what an entry counts beside its packet.
const entryBytes = 160

func newRecoveryLog(opt *Recovery, detect time.Duration) *recoveryLog {
	var key [sha256.Size]byte
	rand.Read(key[:]) // never fails
	return &recoveryLog{opt: *opt, detect: detect, mac: hmac.New(sha256.New, key[:]), sessions: map[string]*awaySession{}}
}

// withOffset puts an offset behind the arguments of an event.
func withOffset(payload []byte, offset string) []byte {
	payload = append(payload[:len(payload)-1], `,"`...)
	return append(append(payload, offset...), `"]`...)
}

// offsetOf is the position that a client is sent with packet number: the number, and a proof that
// it has it from us. Under mu.
func (g *recoveryLog) offsetOf(number uint64) string {
	digits := strconv.FormatUint(number, 36)
	g.mac.Reset()
	g.mac.Write([]byte(digits))
	var sum [sha256.Size]byte
	return digits + "-" + base64.RawURLEncoding.EncodeToString(g.mac.Sum(sum[:0])[:offsetProofBytes])
}

// numberOf reads a position of offsetOf; ok is false if we never gave it to anybody. Under mu.
func (g *recoveryLog) numberOf(offset string) (number uint64, ok bool) {
	digits, _, _ := strings.Cut(offset, "-")
	number, err := strconv.ParseUint(digits, 36, 64)
	ok = err == nil && number <= g.newest && subtle.ConstantTimeCompare([]byte(offset), []byte(g.offsetOf(number))) == 1
	return number, ok
}

// mark sends a packet that is not kept, with the position of the newest that is. A client takes
// every string at the end of an event for a position, and a volatile event must not make it forget
// its own.
func (g *recoveryLog) mark(send func(offset string) error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return send(g.offsetOf(g.newest))
}

// endsInString tells whether a client would take the last element of an event for a position.
func endsInString(payload []byte) bool { return bytes.HasSuffix(payload, []byte(`"]`)) }

// append numbers a packet, which publish makes and sends, and keeps it.
func (g *recoveryLog) append(publish func(offset string) (*outgoing, error), rooms, except []string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.newest++
	out, err := publish(g.offsetOf(g.newest))
	if err != nil {
		return err // the number stays unused
	}
	g.entries = append(g.entries, entry{g.newest, time.Now(), out, rooms, except})
	g.bytes += out.size() + entryBytes
	g.prune()
	return nil
}

// prune drops packets that are too old, or too many. Under mu.
func (g *recoveryLog) prune() {
	oldest := time.Now().Add(-g.opt.MaxDisconnection - g.detect)
	n := 0
	for n < len(g.entries) && (g.bytes > g.opt.LogBytesMax || g.entries[n].at.Before(oldest)) {
		g.bytes -= g.entries[n].out.size() + entryBytes
		g.dropped, g.droppedAt = g.entries[n].number, g.entries[n].at
		n++
	}
	if n > 0 {
		clear(g.entries[:n])
		g.entries = g.entries[n:] // append moves what is left to a new array now and then
	}
}

// save keeps what a socket is. Under the socket's mu.
func (g *recoveryLog) save(s *Socket) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	away := &awaySession{
		pid: s.more.pid, id: s.id, rooms: slices.Clone(s.joined()), data: s.data, at: now, base: s.more.base,
	}
	if now.Sub(g.droppedAt) > g.detect {
		away.settled = g.dropped
	}
	if n := sort.Search(len(g.entries), func(i int) bool { return g.entries[i].at.After(now.Add(-g.detect)) }); n > 0 {
		away.settled = g.entries[n-1].number
	}
	g.sessions[away.pid] = away
	g.leaving = append(g.leaving, away)
	for len(g.leaving) > 0 && (len(g.sessions) > g.opt.SessionsMax || now.Sub(g.leaving[0].at) > g.opt.MaxDisconnection) {
		g.forget(g.leaving[0])
		g.leaving[0] = nil
		g.leaving = g.leaving[1:]
	}
}

// forget drops a session, if it is still there. Under mu.
func (g *recoveryLog) forget(away *awaySession) {
	if g.sessions[away.pid] == away {
		delete(g.sessions, away.pid)
	}
}

// claim makes a socket what the client with the private id in auth was, if nothing that it missed
// is lost, and tells whether it has. A session is given once.
func (g *recoveryLog) claim(s *Socket, auth json.RawMessage) bool {
	var asked struct {
		PID    string  `json:"pid"`
		Offset *string `json:"offset"`
	}
	if json.Unmarshal(auth, &asked) != nil || asked.PID == "" {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.prune()
	away := g.sessions[asked.PID]
	if away == nil {
		return false
	}
	delete(g.sessions, asked.PID)
	if time.Since(away.at) > g.opt.MaxDisconnection {
		return false
	}
	from := away.base // of a client that got no event since
	if asked.Offset != nil {
		number, ok := g.numberOf(*asked.Offset)
		if !ok || number < away.base {
			return false // a position that this session cannot have
		}
		from = number
	}
	if from < g.dropped && g.dropped > away.settled {
		return false // what is lost may have been for this client, while it was away
	}
	s.id, s.data, s.recovered = away.id, away.data, true
	if len(away.rooms) > 0 {
		s.ownState().rooms = away.rooms
	}
	more := s.rare()
	more.pid, more.base = away.pid, from
	return true
}

// enter takes a socket's seats, by calling subscribe, and returns what it missed, and the number of
// the newest packet: what it gets by its seats has a greater one.
func (g *recoveryLog) enter(s *Socket, subscribe func()) (missed []*outgoing, newest uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	subscribe()
	s.mu.Lock()
	defer s.mu.Unlock()
	more := s.rare()
	if s.recovered {
		for i := range g.entries {
			if e := &g.entries[i]; e.number > more.base && e.isFor(s) {
				missed = append(missed, e.out)
			}
		}
	} else {
		more.pid, more.base = newSecret(), g.newest
	}
	more.start = g.newest
	return missed, g.newest
}

// isFor tells whether a packet was for a socket with those rooms. Under the socket's mu.
func (e *entry) isFor(s *Socket) bool {
	in := func(room string) bool { return room == s.id || slices.Contains(s.joined(), room) }
	return (len(e.rooms) == 0 || slices.ContainsFunc(e.rooms, in)) && !slices.ContainsFunc(e.except, in)
}
