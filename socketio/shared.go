// Recovery over several servers: their adapter has one log of events for all, and the sessions of
// clients that have left.
//
// Each server keeps the newest events of that log in memory, as those of a log of its own. So a
// client that comes from another server subscribes and gets what it missed under one lock, and gets
// each event once.

package socketio

import (
	"encoding/json"
	"slices"
	"time"

	"c100k/internal/sio"
	"c100k/netpoll"
)

func init() {
	sio.Logged = func(local, b any, number uint64) error { return local.(*Local).broadcast(b.(Broadcast), number) }
}

// filling is whether events from before this server's time were read.
type filling uint8

const (
	fillNone filling = iota
	fillRuns
	fillDone
)

// sharedBy returns the log that the servers share; nil: there is none.
func (g *recoveryLog) sharedBy() sio.SharedLog {
	if shared := g.shared.Load(); shared != nil {
		return *shared
	}
	return nil
}

// join gives the namespace its adapter.
func (nsp *Namespace) join(a Adapter) {
	nsp.cluster.Store(&a)
	log := nsp.log
	if log == nil {
		return
	}
	if shared, ok := a.(sio.SharedLog); ok {
		log.shared.Store(&shared)
		begin := shared.Begin(log.lost)
		log.mu.Lock()
		log.newest, log.dropped = max(log.newest, begin), begin
		log.mu.Unlock()
	}
}

// lost notes that events of the shared log did not come here: nobody who missed something before is
// recovered here.
func (g *recoveryLog) lost() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.dropped, g.droppedAt, g.filling = g.newest, time.Now(), fillDone
	g.entries, g.bytes = nil, 0
}

// saveShared keeps a session where all servers can take it. Under mu.
func (g *recoveryLog) saveShared(shared sio.SharedLog, away *awaySession) {
	value := away.data
	if s, ok := value.(sio.Saver); ok {
		value = s.Saved()
	}
	data, err := json.Marshal(value)
	if err != nil {
		return // it cannot go to another server, and the client begins anew
	}
	shared.Save(&sio.SharedSession{
		ID: away.id, PID: away.pid, Rooms: append([]string{away.id}, away.rooms...), Data: data,
		Own: true, Subject: away.sub, Base: away.base, Settled: away.settled,
	}, g.opt.MaxDisconnection)
}

// recoveryAuth is what a client sends that wants to be recovered.
type recoveryAuth struct {
	PID    string  `json:"pid"`
	Offset *string `json:"offset"`
}

// restore asks for the session of a client that wants to be recovered; false: it does not, or
// cannot be.
func (r *reactor) restore(s *Socket, h *Handshake, shared sio.SharedLog) bool {
	var asked recoveryAuth
	if json.Unmarshal(h.auth, &asked) != nil || asked.PID == "" || len(asked.PID) > RoomBytesMax {
		return false
	}
	shared.Take(asked.PID, func(saved *sio.SharedSession) { r.restored(s, h, saved, asked.Offset, restoreTriesMax) })
	return true
}

// restored goes on when the session has come, nil for none. Any goroutine.
func (r *reactor) restored(s *Socket, h *Handshake, saved *sio.SharedSession, offset *string, tries int) {
	// An error means that the loop has stopped or is overloaded; then the client will try again.
	_ = r.submit(command{run: func(l *netpoll.Loop) {
		session := r.engine.Lookup(l, s.session)
		if session == nil || s.state != socketConnecting {
			return // it has left meanwhile
		}
		if saved != nil && s.nsp.log.claimShared(s, saved, offset) && tries > 0 {
			time.AfterFunc(restoreEvery, func() { r.restored(s, h, saved, offset, tries-1) })
			return
		}
		r.judge(l, session, r.of(session), s, h)
	}})
}

// claimShared gives a socket the state of a session, if every packet that the client missed is
// here. later is true if that is not known yet.
func (g *recoveryLog) claimShared(s *Socket, saved *sio.SharedSession, offset *string) (later bool) {
	sub := s.Subject()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.prune()
	from, ok := g.startOf(saved, offset)
	if !ok || saved.Subject != sub {
		return false
	}
	if offset != nil && from > g.newest {
		return true // this server has not read that event yet
	}
	if from < g.dropped && g.dropped > saved.Settled {
		if g.filling == fillNone {
			g.fill()
		}
		return g.filling == fillRuns
	}
	s.id, s.data, s.recovered = saved.ID, data(saved.Data), true
	rooms := slices.DeleteFunc(slices.Clone(saved.Rooms), func(room string) bool { return room == saved.ID || len(room) > RoomBytesMax })
	if len(rooms) > RoomsPerSocketMax {
		rooms = rooms[:RoomsPerSocketMax]
	}
	if len(rooms) > 0 {
		s.ownState().rooms = rooms
	}
	more := s.rare()
	more.pid, more.base = saved.PID, from
	return false
}

// startOf returns the number of the last packet that a client has; ok is false if it cannot be
// told. Under mu.
func (g *recoveryLog) startOf(saved *sio.SharedSession, offset *string) (from uint64, ok bool) {
	if saved.Base > sio.OffsetAt(time.Now().Add(offsetAheadMax)) {
		return 0, false
	}
	if offset != nil {
		if number, is := sio.ParseOffset(*offset); is {
			return number, number >= saved.Base
		}
		if g.outside == nil {
			return 0, false
		}
		if !g.outside(data(saved.Data), saved.Subject, *offset).Theirs || g.newest > saved.Base {
			return 0, false // what the client has had of ours is not known
		}
	}
	return saved.Base, saved.Own
}

// data decodes the Data of a session.
func data(text json.RawMessage) (v any) {
	_ = json.Unmarshal(text, &v) // it was valid when it was read
	return v
}

// fill reads the packets from before this server's time, once. Under mu.
func (g *recoveryLog) fill() {
	g.filling = fillRuns
	upTo := g.dropped
	g.sharedBy().Fill(upTo, g.opt.MaxDisconnection+g.detect, g.opt.LogBytesMax, func(list []sio.SharedEvent, from uint64, err error) {
		g.filled(list, from, upTo, err)
	})
}

// filled takes the packets that fill has read, up to a number.
func (g *recoveryLog) filled(list []sio.SharedEvent, from, upTo uint64, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.filling != fillRuns {
		return // packets were lost meanwhile
	}
	if g.filling = fillDone; err != nil {
		g.filling = fillNone // the next client tries again
	}
	if err != nil || g.dropped != upTo {
		return
	}
	now, newest := time.Now(), sio.OffsetTime(g.newest)
	var older []entry
	for _, e := range list {
		b := e.Broadcast.(Broadcast)
		k := packet{kind: typeEvent, namespace: []byte(g.nsp.name), payload: withOffset(slices.Clone(b.Event.json), g.offsetOf(e.Number))}
		out := newOutgoing(g.nsp.server.opt.Parser, &k, b.Event.attachments, flags{plain: b.NoCompress})
		out.number = e.Number
		at := now.Add(-max(newest.Sub(sio.OffsetTime(e.Number)), 0)) // by the clock of Redis
		older = append(older, entry{e.Number, at, out, b.Rooms, b.Except})
		g.bytes += out.size() + entryBytes
	}
	g.entries = append(older, g.entries...)
	g.dropped = min(from, g.dropped)
	g.prune()
}
