// A server's part on one loop.

package socketio

import (
	"encoding/json"
	"sync"
	"sync/atomic"
	"time"

	"c100k/broadcast"
	"c100k/frame"
	"c100k/internal/engineio"
	"c100k/internal/sio"
	"c100k/netpoll"
)

// reactor is a Server on one loop. Programs have no use for it: it is how package server, or
// Server.Handler, puts a server on its loops.
type reactor struct {
	// Immutable after Attach.
	server *Server
	index  int
	hub    *broadcast.Hub // the rooms' members on this loop
	shard  *broadcast.Shard
	engine *engineio.Endpoint
	watch  sio.Watch
	remote atomic.Pointer[netpoll.Remote]

	// Any goroutine.
	pending atomic.Int64 // orders given and not yet done

	mu          sync.Mutex // guards the fields below
	orders      []order
	queuedBytes int // of these
	takenBytes  int // of those that the loop has taken
	ordersBytes int // of both, and reserved for others

	members members // the sockets of the loop that are in a namespace; any goroutine

	// Loop only.
	clients    netpoll.Slab[client]
	registrar  registrar
	taken      []order  // being worked off
	next       int      // the first of them that is not done
	casting    []*cast  // broadcasts that the hub is delivering; the orders behind them wait
	joining    timeouts // clients that have not joined a namespace
	assembling timeouts // clients that have begun a packet with attachments
	deadlines  deadlines
	alarm      *time.Timer
	alarmAt    time.Duration
	sink       sink

	// joinedAt is, by log of recovery, the number of its newest packet when a socket of this loop
	// joined last; nothing once the queue is past that.
	joinedAt map[*recoveryLog]uint64

	// Used by one call at a time, and kept to be used again.
	payload, text []byte
	elements      [8]json.RawMessage // what an event or acknowledgement consists of; more of them are allocated
}

func newReactor(io *Server, hub *broadcast.Hub, i int) *reactor {
	r := &reactor{server: io, index: i, hub: hub, shard: hub.Shard(0), joinedAt: map[*recoveryLog]uint64{}}
	r.sink.reactor = r
	return r
}

// Attach implements sio.Part.
func (r *reactor) Attach(cfg engineio.Config, watch sio.Watch) *engineio.Endpoint {
	opt := &r.server.opt
	cfg.App = app{r}
	cfg.Use, cfg.Allow, cfg.AllowV3 = opt.Use, opt.AllowRequest, cfg.AllowV3 || opt.AllowV3
	r.watch = watch
	r.engine = engineio.New(cfg)
	return r.engine
}

// Run implements sio.Part.
func (r *reactor) Run(l *netpoll.Loop) {
	r.sink.loop = l
	r.remote.Store(l.Remote())
}

// Endpoint implements sio.Part.
func (r *reactor) Endpoint() *engineio.Endpoint { return r.engine }

// Deliver implements sio.Part.
func (r *reactor) Deliver(l *netpoll.Loop, members int) (more bool) {
	more = r.deliver(l, members)
	r.engine.Flush(l)
	return more
}

// sendTo sends a packet to a client.
func (r *reactor) sendTo(l *netpoll.Loop, session *engineio.Session, out *outgoing) {
	if out.volatile && !r.engine.Writable(l, session) {
		return
	}
	if out.text != nil && !out.plain && out.shared == nil {
		r.engine.SendMessage(l, session, out.text, out.attachments...)
	} else {
		r.engine.SendShared(l, session, out.frames(session.Form()))
	}
	r.restrain(l, session)
}

// tell sends a packet of our own, without attachments, and allocates nothing for it.
func (r *reactor) tell(l *netpoll.Loop, session *engineio.Session, k *packet) {
	if r.server.opt.Parser == ParserMsgpack {
		r.sendTo(l, session, newOutgoing(ParserMsgpack, k, nil, flags{}))
		return
	}
	r.text = appendPacket(r.text[:0], k)
	r.engine.SendText(l, session, r.text)
	r.restrain(l, session)
}

// restrain does not read who asks faster than it takes the answers, until it has.
func (r *reactor) restrain(l *netpoll.Loop, session *engineio.Session) {
	if r.engine.Pending(l, session) > unreadBytesMax {
		r.engine.PauseRead(l, session)
	}
}

// unreadBytesMax is what a client may be owed, in bytes, before it is read no further: answers to
// what it asks fill its outbox, and one that is full costs it the connection.
const unreadBytesMax = 256 << 10

// armAlarm sets the alarm to the next deadline. One timer of the runtime serves all of a loop's.
// Loop.
func (r *reactor) armAlarm(l *netpoll.Loop) {
	next, ok := r.deadlines.next()
	for _, q := range [...]*timeouts{&r.joining, &r.assembling} {
		if first, any := q.next(); any && (!ok || first < next) {
			next, ok = first, true
		}
	}
	if !ok || r.alarmAt != 0 && r.alarmAt <= next {
		return
	}
	r.alarmAt = next
	wait := max(next-l.Now(), 0)
	if r.alarm == nil {
		r.alarm = time.AfterFunc(wait, r.alarmFired)
	} else {
		r.alarm.Reset(wait)
	}
}

// alarmFired brings a deadline to the loop. If that has stopped, nobody is waiting.
func (r *reactor) alarmFired() {
	if remote := r.remote.Load(); remote != nil {
		remote.Post(r.expire)
	}
}

// expire does what is due. Loop.
func (r *reactor) expire(l *netpoll.Loop) {
	r.alarmAt = 0
	defer r.armAlarm(l)
	for session, ok := r.joining.due(l.Now()); ok; session, ok = r.joining.due(l.Now()) {
		r.tooLate(l, session)
	}
	for session, ok := r.assembling.due(l.Now()); ok; session, ok = r.assembling.due(l.Now()) {
		r.overdue(l, session)
	}
	for {
		d, ok := r.deadlines.due(l.Now())
		if !ok {
			break
		}
		d.socket.expired(d.ackID)
	}
}

// shutDown ends all clients of the loop, so that they come back elsewhere.
func (r *reactor) shutDown(l *netpoll.Loop) {
	r.engine.Each(l, func(s *engineio.Session) bool {
		r.engine.Close(l, s, engineio.ReasonShutdown, frame.CodeRestart, "service restart")
		return true
	})
}

// sink is where the members of the rooms' hub are: sessions of Engine.IO. Loop only.
type sink struct {
	loop    *netpoll.Loop
	reactor *reactor
}

// Pending is how much the member is owed.
func (s *sink) Pending(member uint32) int {
	if c := s.loop.ConnAt(member); c != nil {
		return s.reactor.engine.MemberPending(s.loop, c)
	}
	return 0
}

// Send owes the member n packets. They have no mark: no other hub may drop them.
func (s *sink) Send(member uint32, p []byte, _, _ uint32) {
	if c := s.loop.ConnAt(member); c != nil {
		if session := s.reactor.engine.Lookup(s.loop, c.ID()); session != nil {
			s.reactor.engine.SendShared(s.loop, session, p)
		}
	}
}

// DropOldest drops nothing: the policy of this hub is to disconnect, for a client of Socket.IO has
// no word for what it missed.
func (s *sink) DropOldest(uint32, int, func(mark, n uint32)) int { return 0 }

// Gap has no form here.
func (s *sink) Gap(uint32, broadcast.Form, string, uint32, uint32, bool) {}

// Encode is for forms of one member; there are none here.
func (s *sink) Encode(dst []byte, _ uint32, _ *broadcast.Message) []byte { return dst }

// Slow ends a member that lags too far.
func (s *sink) Slow(member uint32) {
	if c := s.loop.ConnAt(member); c != nil {
		s.reactor.engine.Slow(s.loop, c)
	}
}
