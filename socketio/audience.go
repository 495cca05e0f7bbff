// The audience of one broadcast: who of a topic's members is left out.

package socketio

import (
	"slices"

	"c100k/broadcast"
	"c100k/netpoll"
)

// audience is one broadcast on its way. Immutable but for seen, of which each loop touches its own.
type audience struct {
	nsp          *Namespace
	host         *host
	out          *outgoing
	exceptIDs    []netpoll.ID // connections of sockets that are left out by their id
	exceptTopics []string
	seen         []map[uint32]struct{} // by loop: who has got it; nil where a member can be met once only
}

func newAudience(t Target, h *host, out *outgoing, rooms int) *audience {
	a := &audience{nsp: t.nsp, host: h, out: out}
	if rooms > 1 {
		a.seen = make([]map[uint32]struct{}, len(h.reactors))
	}
	for _, room := range t.except {
		if conn, ok := a.nsp.locate(room); ok {
			a.exceptIDs = append(a.exceptIDs, conn)
		}
		topic := topicOfRoom(t.nsp.topic, room)
		if _, anybody := h.hub.Topic(topic); anybody {
			a.exceptTopics = append(a.exceptTopics, topic)
		}
	}
	return a
}

// locate is the connection of the socket with that id; false if no socket can have it.
func (nsp *Namespace) locate(id string) (netpoll.ID, bool) {
	if s, moved := nsp.moved.Load(id); moved {
		return s.(*Socket).session, true
	}
	return placeOf(id)
}

// post publishes on a topic.
func (a *audience) post(topic string) {
	p := broadcast.Post{Payload: a.out.text, Extra: a.out}
	if a.picky() {
		p.Skip = a.skip
	}
	if a.out.ack != nil {
		a.out.ack.begin()
	}
	// The topic is valid, for topicOfRoom has made it. What the hub has no room for is lost, as with a client that is away.
	r, _ := a.host.hub.PublishPost(topic, p)
	if r.Queued == 0 && a.out.ack != nil {
		a.out.ack.passed()
	}
}

// picky tells whether the members have to be asked for.
func (a *audience) picky() bool {
	return len(a.exceptIDs)+len(a.exceptTopics) > 0 || a.seen != nil || a.out.volatile || a.out.ack != nil || a.out.said != nil
}

// skip tells whether a member that the packet has come to is left out, and otherwise notes that it gets it. On the member's loop, within
// Deliver.
func (a *audience) skip(loop int, member uint32) bool {
	r := a.host.reactors[loop]
	l := r.sink.loop
	c := l.ConnAt(member)
	if c == nil || a.excludes(r, c.ID(), member) {
		return true
	}
	if !a.out.volatile && a.out.ack == nil && a.out.said == nil {
		return false
	}
	session := r.engine.Lookup(l, c.ID())
	if session == nil || a.out.volatile && !r.engine.Writable(l, session) {
		return true
	}
	if s := r.of(session).socket([]byte(a.nsp.name)); s != nil {
		a.reaches(s)
	}
	return false
}

// reaches is for a socket that is about to be sent the packet.
func (a *audience) reaches(s *Socket) {
	if a.out.ack != nil {
		a.out.ack.owes(s)
	}
	if a.out.said == nil {
		return
	}
	defer func() {
		if v := recover(); v != nil {
			s.reactor.panicked(v) // the others of the broadcast must get it all the same
		}
	}()
	for _, f := range s.outgoingListeners() {
		f(a.out.said.event, a.out.said.args)
	}
}

// excludes tells whether the broadcast leaves the member out, or has reached it; if not, it is noted as reached.
func (a *audience) excludes(r *Reactor, conn netpoll.ID, member uint32) bool {
	if slices.Contains(a.exceptIDs, conn) {
		return true
	}
	for _, topic := range a.exceptTopics {
		if r.shard.Subscribed(member, topic) {
			return true
		}
	}
	if a.seen == nil {
		return false
	}
	if _, got := a.seen[r.index][member]; got {
		return true
	}
	if a.seen[r.index] == nil {
		a.seen[r.index] = map[uint32]struct{}{}
	}
	a.seen[r.index][member] = struct{}{}
	return false
}

// sendByID sends the packet to the socket whose id the room's name is, if there is one, behind the meeting with the number after.
func (a *audience) sendByID(id string, after uint64) {
	conn, ok := a.nsp.locate(id)
	if !ok || conn.Loop() >= len(a.host.reactors) {
		return
	}
	r := a.host.reactors[conn.Loop()]
	if a.out.ack != nil {
		a.out.ack.begin()
	}
	err := r.do(order{run: func(l *netpoll.Loop) {
		a.give(l, r, conn, id, after)
		if a.out.ack != nil {
			a.out.ack.passed()
		}
	}})
	if err != nil && a.out.ack != nil {
		a.out.ack.passed()
	}
}

// give sends the packet to one socket on its loop.
func (a *audience) give(l *netpoll.Loop, r *Reactor, conn netpoll.ID, id string, after uint64) {
	session := r.engine.Lookup(l, conn)
	if session == nil {
		return
	}
	s := r.of(session).socket([]byte(a.nsp.name))
	if s == nil || s.id != id || a.excludes(r, conn, session.Member()) || s.had(a.out) {
		return
	}
	a.reaches(s)
	r.execute(l, order{socket: s, out: a.out, after: after})
}

// had tells whether the socket was given a packet already, when it came back and asked for what it had missed.
func (s *Socket) had(out *outgoing) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return out.number > 0 && s.more != nil && out.number <= s.more.start
}
