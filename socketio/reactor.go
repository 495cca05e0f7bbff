// The reactor: the part of a server on one loop.

package socketio

import (
	"encoding/json"
	"sync"
	"sync/atomic"
	"time"

	"c100k/broadcast"
	"c100k/frame"
	"c100k/internal/auth"
	"c100k/internal/engineio"
	"c100k/internal/sio"
	"c100k/netpoll"
)

// reactor is the part of a Server on one loop. It implements sio.Part.
type reactor struct {
	// Immutable after Attach.
	server *Server
	index  int            // among the reactors of the server
	number int            // of the loop, in IDs
	hub    *broadcast.Hub // its topics are namespaces and rooms, its members the clients of this loop
	shard  *broadcast.Shard
	engine *engineio.Endpoint
	watch  sio.Watch
	remote atomic.Pointer[netpoll.Remote]

	// Any goroutine.
	pending atomic.Int64 // commands that were submitted and not yet executed

	mu            sync.Mutex // guards the fields below
	commands      []command
	queuedBytes   int // bytes of commands
	takenBytes    int // bytes of taken
	reservedBytes int // the sum of both, and of reservations

	members members // the sockets of the loop; any goroutine

	// Loop only.
	clients     netpoll.Slab[client]
	factsReader factsReader
	taken       []command // commands that are being executed
	next        int       // index of the first in taken that is not executed
	delivering  []*cast   // broadcasts that the hub is delivering; later commands wait
	joining     timeouts  // clients that have not joined a namespace
	assembling  timeouts  // clients that have sent a packet with attachments
	assembled   int64     // bytes of all assemblies
	deadlines   deadlines
	alarm       *time.Timer
	alarmAt     time.Duration
	sink        sink

	// joinedAt has, for each recovery log, the number of its newest packet when a socket of this loop
	// last joined. An entry is removed once the queue has passed that packet.
	joinedAt map[*recoveryLog]uint64

	// Buffers of one call, which the next call uses again.
	payload, text []byte
	elements      [8]json.RawMessage // of an event or acknowledgement; if there are more, a slice is allocated
}

func newReactor(io *Server, hub *broadcast.Hub, i, number int) *reactor {
	r := &reactor{server: io, index: i, number: number, hub: hub, shard: hub.Shard(0), joinedAt: map[*recoveryLog]uint64{}}
	r.sink.reactor = r
	return r
}

// Attach implements sio.Part.
func (r *reactor) Attach(cfg engineio.Config, watch sio.Watch) *engineio.Endpoint {
	opt := &r.server.opt
	cfg.App = app{r}
	if failed := opt.OnConnectionError; failed != nil {
		cfg.Failed = func(q *Request, code engineio.Code, message string) {
			failed(ConnectionError{Request: q, Code: int(code), Message: message})
		}
	}
	cfg.Use, cfg.Allow, cfg.AllowV3 = opt.Use, opt.AllowRequest, cfg.AllowV3 || opt.AllowV3
	r.watch = watch
	r.engine = engineio.New(cfg)
	return r.engine
}

// Who implements sio.Part.
func (r *reactor) Who(s *engineio.Session) *auth.Principal { return app{r}.of(s).who }

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
	r.pauseIfBehind(l, session)
}

// sendControl sends a packet of the server itself, without attachments, and does not allocate with
// ParserJSON.
func (r *reactor) sendControl(l *netpoll.Loop, session *engineio.Session, k *packet) {
	if r.server.opt.Parser == ParserMsgpack {
		r.sendTo(l, session, newOutgoing(ParserMsgpack, k, nil, flags{}))
		return
	}
	r.text = appendPacket(r.text[:0], k)
	r.engine.SendText(l, session, r.text)
	r.pauseIfBehind(l, session)
}

// pauseIfBehind stops reading from a client that sends faster than it reads the answers, until it
// has read them.
func (r *reactor) pauseIfBehind(l *netpoll.Loop, session *engineio.Session) {
	if r.engine.Pending(l, session) > unreadBytesMax {
		r.engine.PauseRead(l, session)
	}
}

// unreadBytesMax is the pending output of a client, in bytes, above which the server stops reading
// from it. Without it the answers to its events would fill its outbox, and a full outbox closes the
// connection.
const unreadBytesMax = 256 << 10

// armAlarm sets the alarm to the next deadline. One timer of the runtime serves all deadlines of a
// loop. Loop only.
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

// alarmFired posts expire to the loop. If the loop has stopped, there are no clients to expire.
func (r *reactor) alarmFired() {
	if remote := r.remote.Load(); remote != nil {
		remote.Post(r.expire)
	}
}

// expire handles all deadlines that are due. Loop only.
func (r *reactor) expire(l *netpoll.Loop) {
	r.alarmAt = 0
	defer r.armAlarm(l)
	for session, ok := r.joining.due(l.Now()); ok; session, ok = r.joining.due(l.Now()) {
		r.joinTimedOut(l, session)
	}
	for session, ok := r.assembling.due(l.Now()); ok; session, ok = r.assembling.due(l.Now()) {
		r.checkAssembly(l, session)
	}
	for {
		d, ok := r.deadlines.due(l.Now())
		if !ok {
			break
		}
		if d.ackID == endOfRights {
			r.endRights(l, d.socket, &expired)
			continue
		}
		d.socket.expired(d.ackID)
	}
}

// shutDown closes all connections of the loop in a way that makes clients reconnect.
func (r *reactor) shutDown(l *netpoll.Loop) {
	r.engine.Each(l, func(s *engineio.Session) bool {
		r.engine.Close(l, s, engineio.ReasonShutdown, frame.CodeRestart, "service restart")
		return true
	})
}

// sink is the broadcast.Sink of the hub: its members are Engine.IO sessions. Loop only.
type sink struct {
	loop    *netpoll.Loop
	reactor *reactor
}

// Pending returns the pending output of the member, in bytes.
func (s *sink) Pending(member uint32) int {
	if c := s.loop.ConnAt(member); c != nil {
		return s.reactor.engine.MemberPending(s.loop, c)
	}
	return 0
}

// Send sends packets to the member. They have no mark, so that no other hub drops them.
func (s *sink) Send(member uint32, p []byte, _, _ uint32) {
	if c := s.loop.ConnAt(member); c != nil {
		if session := s.reactor.engine.Lookup(s.loop, c.ID()); session != nil {
			s.reactor.engine.SendShared(s.loop, session, p)
		}
	}
}

// DropOldest drops nothing: the policy of this hub is to disconnect, because Socket.IO cannot tell
// a client what it missed.
func (s *sink) DropOldest(uint32, int, func(mark, n uint32)) int { return 0 }

// Gap does nothing: Socket.IO has no packet for it.
func (s *sink) Gap(uint32, broadcast.Form, string, uint32, uint32, bool) {}

// Encode is for forms of one member; there are none here.
func (s *sink) Encode(dst []byte, _ uint32, _ *broadcast.Message) []byte { return dst }

// Slow disconnects a member that reads too slowly.
func (s *sink) Slow(member uint32) {
	if c := s.loop.ConnAt(member); c != nil {
		s.reactor.engine.Slow(s.loop, c)
	}
}
