// Connection state recovery: what clients miss while they are away for a short time.

package socketio

import (
	"encoding/json"
	"slices"
	"sort"
	"strconv"
	"sync"
	"time"
)

// recoveryLog is the packets of a namespace, each under a number that clients are sent with it as the last argument of its event (the
// offset), and the clients that are away. Any goroutine.
//
// Packets are numbered and published under the lock, and a client that comes back takes its seats and is given what it missed under the
// lock: so each packet comes either from the log or by its seat.
type recoveryLog struct {
	opt    Recovery
	detect time.Duration // within which a broken connection is noticed

	mu        sync.Mutex // guards the fields below
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
	start uint64 // the newest packet when it joined
	// settled is a packet such that it and all before it have reached the client, if they were for it: had one not, the connection's end
	// would have been noticed earlier.
	settled uint64
}

// entryBytes is what an entry counts beside its packet.
const entryBytes = 160

func newRecoveryLog(opt *Recovery, detect time.Duration) *recoveryLog {
	return &recoveryLog{opt: *opt, detect: detect, sessions: map[string]*awaySession{}}
}

// withOffset puts an offset behind the arguments of an event.
func withOffset(payload []byte, offset string) []byte {
	payload = append(payload[:len(payload)-1], `,"`...)
	return append(append(payload, offset...), `"]`...)
}

func offsetOf(number uint64) string { return strconv.FormatUint(number, 36) }

// append numbers a packet, which publish makes and sends, and keeps it.
func (g *recoveryLog) append(publish func(offset string) (*outgoing, error), rooms, except []string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.newest++
	out, err := publish(offsetOf(g.newest))
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
		pid: s.more.pid, id: s.id, rooms: slices.Clone(s.joined()), data: s.data, at: now, start: s.more.start,
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

// claim makes a socket what the client with the private id in auth was, if nothing that it missed is lost, and tells whether it has. A
// session is given once.
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
	from := away.start // of a client that never got an event
	if asked.Offset != nil {
		number, err := strconv.ParseUint(*asked.Offset, 36, 64)
		if err != nil || number > g.newest {
			return false
		}
		from = number
	}
	if from < g.dropped && g.dropped > away.settled {
		return false // what is lost may have been for this client, while it was away
	}
	s.id, s.data, s.recovered = away.id, away.data, true
	if len(away.rooms) > 0 {
		s.belong().rooms = away.rooms
	}
	more := s.rare()
	more.pid, more.start = away.pid, from
	return true
}

// enter takes a socket's seats, by calling subscribe, and returns what it missed, and the number of the newest packet: what it gets by its
// seats has a greater one.
func (g *recoveryLog) enter(s *Socket, subscribe func()) (missed []*outgoing, newest uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	subscribe()
	s.mu.Lock()
	defer s.mu.Unlock()
	more := s.rare()
	if s.recovered {
		for i := range g.entries {
			if e := &g.entries[i]; e.number > more.start && e.isFor(s) {
				missed = append(missed, e.out)
			}
		}
	} else {
		more.pid = newSecret()
	}
	more.start = g.newest
	return missed, g.newest
}

// isFor tells whether a packet was for a socket with those rooms. Under the socket's mu.
func (e *entry) isFor(s *Socket) bool {
	in := func(room string) bool { return room == s.id || slices.Contains(s.joined(), room) }
	return (len(e.rooms) == 0 || slices.ContainsFunc(e.rooms, in)) && !slices.ContainsFunc(e.except, in)
}
