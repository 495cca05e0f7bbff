// Connection state recovery: the packets that clients miss while they are disconnected for a short
// time.

package socketio

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"hash"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"c100k/internal/sio"
	"c100k/netpoll"
)

// recoveryLog has the recent packets of a namespace, and the state of its disconnected clients.
// Each packet has a number, which clients get with it as the last argument of its event (the
// offset). Any goroutine.
//
// Packets are numbered and published under the lock. A client that is recovered subscribes and gets
// what it missed under the same lock. So each packet comes either from the log or by the
// subscription.
type recoveryLog struct {
	nsp    *Namespace
	opt    Recovery
	detect time.Duration // how long it takes to detect a broken connection

	// outside judges offsets of events that are not in the log: see sio.SetOutside. Nil: there are
	// none.
	outside func(data any, sub, offset string) sio.Outside

	shared atomic.Pointer[sio.SharedLog] // nil: the log is of this server alone

	mu        sync.Mutex // guards the fields below
	filling   filling
	mac       hash.Hash // with a key of this log, so that a client cannot forge offsets
	entries   []entry   // oldest first
	bytes     int
	newest    uint64    // number of the last packet
	dropped   uint64    // number of the last packet that was removed
	droppedAt time.Time // when that was sent
	sessions  map[string]*awaySession
	leaving   []*awaySession // all that were saved, oldest first; some have been recovered
}

// entry is a packet and its selection.
type entry struct {
	number uint64
	at     time.Time
	out    *outgoing
	rooms  []string // empty: everybody
	except []string
}

// awaySession is the state of a disconnected client that may be recovered.
type awaySession struct {
	pid   string
	id    string
	rooms []string
	data  any
	sub   string // whom the client spoke for: another one does not get its rooms
	at    time.Time
	base  uint64 // the client has all its packets up to this number: its position when it joined or was recovered
	// settled is the number of a packet that has certainly reached the client, as have all before it,
	// if they were for it. Otherwise the end of the connection would have been detected earlier.
	settled uint64
}

// offsetProofBytes is the length of the proof in an offset, in bytes. A client would have to guess
// 64 bits, with one try for each private id.
const offsetProofBytes = 8

// entryBytes is what an entry counts in addition to its packet.
const entryBytes = 160

func newRecoveryLog(nsp *Namespace, opt *Recovery, detect time.Duration) *recoveryLog {
	var key [sha256.Size]byte
	rand.Read(key[:]) // never fails
	return &recoveryLog{nsp: nsp, opt: *opt, detect: detect, mac: hmac.New(sha256.New, key[:]), sessions: map[string]*awaySession{}}
}

// withOffset appends an offset to the arguments of an event.
func withOffset(payload []byte, offset string) []byte {
	payload = append(payload[:len(payload)-1], `,"`...)
	return append(append(payload, offset...), `"]`...)
}

// offsetOf returns the offset that a client gets with a packet: the number, and a proof that the
// server has sent it. Under mu.
func (g *recoveryLog) offsetOf(number uint64) string {
	if g.sharedBy() != nil {
		return sio.FormatOffset(number)
	}
	digits := strconv.FormatUint(number, 36)
	g.mac.Reset()
	g.mac.Write([]byte(digits))
	var sum [sha256.Size]byte
	return digits + "-" + base64.RawURLEncoding.EncodeToString(g.mac.Sum(sum[:0])[:offsetProofBytes])
}

// numberOf reads an offset of offsetOf; ok is false if the server has never sent it. Under mu.
func (g *recoveryLog) numberOf(offset string) (number uint64, ok bool) {
	digits, _, _ := strings.Cut(offset, "-")
	number, err := strconv.ParseUint(digits, 36, 64)
	ok = err == nil && number <= g.newest && subtle.ConstantTimeCompare([]byte(offset), []byte(g.offsetOf(number))) == 1
	return number, ok
}

// mark sends a packet that is not kept, with the offset of the newest one that is. A client takes
// every string at the end of an event for an offset, and a volatile event must not overwrite the
// offset that it has.
func (g *recoveryLog) mark(send func(offset string) error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return send(g.offsetOf(g.newest))
}

// endsInString reports whether a client would take the last element of an event for an offset.
func endsInString(payload []byte) bool { return bytes.HasSuffix(payload, []byte(`"]`)) }

// append numbers a packet, which publish makes and sends, and keeps it in the log. number is that
// in a log of several servers; 0: the packet gets the next.
func (g *recoveryLog) append(number uint64, publish func(offset string) (*outgoing, error), rooms, except []string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	var offset string
	if number == 0 {
		number = g.newest + 1
		offset = g.offsetOf(number)
	} else {
		offset = sio.FormatOffset(number)
	}
	if number <= g.newest {
		return nil // it was here
	}
	g.newest = number
	out, err := publish(offset)
	if err != nil {
		return err // the number stays unused
	}
	g.entries = append(g.entries, entry{g.newest, time.Now(), out, rooms, except})
	g.bytes += out.size() + entryBytes
	g.prune()
	return nil
}

// prune removes packets that are too old, or that exceed the bound of the log. Under mu.
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
		g.entries = g.entries[n:] // append moves the rest to a new array when it grows
	}
}

// save keeps the state of a socket. Under the socket's mu.
func (g *recoveryLog) save(s *Socket) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	away := &awaySession{
		pid: s.more.pid, id: s.id, rooms: slices.Clone(s.joined()), data: s.data, sub: subjectOf(s.who), at: now, base: s.more.base,
	}
	if now.Sub(g.droppedAt) > g.detect {
		away.settled = g.dropped
	}
	if n := sort.Search(len(g.entries), func(i int) bool { return g.entries[i].at.After(now.Add(-g.detect)) }); n > 0 {
		away.settled = g.entries[n-1].number
	}
	if shared := g.sharedBy(); shared != nil {
		g.saveShared(shared, away)
		return
	}
	g.sessions[away.pid] = away
	g.leaving = append(g.leaving, away)
	for len(g.leaving) > 0 && (len(g.sessions) > g.opt.SessionsMax || now.Sub(g.leaving[0].at) > g.opt.MaxDisconnection) {
		g.forget(g.leaving[0])
		g.leaving[0] = nil
		g.leaving = g.leaving[1:]
	}
}

// forget removes a session, if it is still there. Under mu.
func (g *recoveryLog) forget(away *awaySession) {
	if g.sessions[away.pid] == away {
		delete(g.sessions, away.pid)
	}
}

// claim gives a socket the state of the client with the private id in auth, if every packet that it
// missed is still there, and reports whether it did. A session can be claimed once.
func (g *recoveryLog) claim(s *Socket, auth json.RawMessage) bool {
	var asked struct {
		PID    string  `json:"pid"`
		Offset *string `json:"offset"`
	}
	if json.Unmarshal(auth, &asked) != nil || asked.PID == "" {
		return false
	}
	sub := s.Subject()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.prune()
	away := g.sessions[asked.PID]
	if away != nil && away.sub != sub {
		return false
	}
	delete(g.sessions, asked.PID)
	var outside sio.Outside
	if asked.Offset != nil && g.outside != nil {
		var data any
		if away != nil {
			data = away.data
		}
		outside = g.outside(data, sub, *asked.Offset)
	}
	if away == nil || time.Since(away.at) > g.opt.MaxDisconnection {
		return outside.Alone && g.adopt(s, asked.PID)
	}
	from := away.base // of a client that has got no event since it joined
	if outside.Theirs && g.newest > away.base || !outside.Theirs && outside.Tracked {
		return false // what the client has had of the others is not known
	}
	if asked.Offset != nil && !outside.Theirs {
		number, ok := g.numberOf(*asked.Offset)
		if !ok || number < away.base {
			return false // this session cannot have this offset
		}
		from = number
	}
	if from < g.dropped && g.dropped > away.settled {
		return false // a removed packet may have been for this client
	}
	s.id, s.data, s.recovered = away.id, away.data, true
	if len(away.rooms) > 0 {
		s.ownState().rooms = away.rooms
	}
	more := s.rare()
	more.pid, more.base = away.pid, from
	return true
}

// adopt recovers a client whose session is with another server, or is not over yet. The log has
// nothing that it may have missed: nothing was ever sent. Under mu.
func (g *recoveryLog) adopt(s *Socket, pid string) bool {
	id, ok := idOf(pid)
	if !ok || g.newest > 0 {
		return false
	}
	s.id, s.recovered = id, true
	s.rare().pid = pid
	return true
}

// join calls subscribe, and returns the packets that the socket missed and the number of the newest
// packet. Packets that come by the subscription have greater numbers.
func (g *recoveryLog) join(s *Socket, subscribe func()) (missed []*outgoing, newest uint64) {
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
		more.base = g.newest
		if more.pid == "" {
			more.pid = newSecret()
		}
	}
	more.start = max(g.newest, more.base) // this server may be behind the one that the client comes from
	return missed, more.start
}

// isFor reports whether a packet was for the socket. Under the socket's mu.
func (e *entry) isFor(s *Socket) bool {
	in := func(room string) bool { return room == s.id || slices.Contains(s.joined(), room) }
	return (len(e.rooms) == 0 || slices.ContainsFunc(e.rooms, in)) && !slices.ContainsFunc(e.except, in)
}

// secretBytes is the length of a private id that proves its public one, before base64.
const secretBytes = 8 + 16

// newProof returns a private id that proves the public id of the socket, for a client that other
// servers recover: they have not seen the two together. To make one for the public id of another, a
// client would have to find what hashes to its last 56 bits.
func newProof(conn netpoll.ID) (id, pid string) {
	var p [secretBytes]byte
	binary.BigEndian.PutUint64(p[:], uint64(conn))
	rand.Read(p[8:])
	pid = base64.URLEncoding.EncodeToString(p[:])
	id, _ = idOf(pid)
	return id, pid
}

// idOf returns the public id that a private one of newProof proves; ok is false for any other text.
func idOf(pid string) (id string, ok bool) {
	var p [secretBytes]byte
	if len(pid) != base64.URLEncoding.EncodedLen(secretBytes) {
		return "", false
	}
	if n, err := base64.URLEncoding.Decode(p[:], []byte(pid)); err != nil || n != secretBytes {
		return "", false
	}
	sum := sha256.Sum256(p[:])
	public := append(p[:8:8], sum[:idBytes-8]...)
	return base64.URLEncoding.EncodeToString(public), true
}

// newSecret returns a new private id, for recovery: a client that sends it gets the session.
func newSecret() string {
	var p [idBytes]byte
	rand.Read(p[:])
	return base64.URLEncoding.EncodeToString(p[:])
}
