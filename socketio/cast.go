// A broadcast on its way: an order to each loop that has somebody for it, and there a message of
// the loop's hub.

package socketio

import (
	"slices"

	"c100k/broadcast"
	"c100k/netpoll"
)

// cast is one broadcast. Immutable but for seen, of which each loop touches its own.
type cast struct {
	nsp    *Namespace
	out    *outgoing
	topics []string // of the rooms; that of the namespace if it is for everybody
	only   string   // the topic, if there is one and nobody is named by an id; else ""

	ids          []target // sockets that are named by their id
	exceptIDs    []target
	exceptTopics []string
	seen         []map[uint32]struct{} // by loop: who has got it; nil where a member can be met once only
}

// target is a socket that a broadcast names by its id.
type target struct {
	id   string
	conn netpoll.ID
}

// newCast makes the broadcast of a packet.
func newCast(nsp *Namespace, to Selection, out *outgoing, loops int) *cast {
	c := &cast{nsp: nsp, out: out}
	rooms := slices.Compact(slices.Sorted(slices.Values(to.Rooms)))
	for _, room := range rooms {
		if conn, ok := nsp.locate(room); ok {
			c.ids = append(c.ids, target{room, conn})
		}
		c.topics = append(c.topics, topicOfRoom(nsp.topic, room))
	}
	if len(rooms) == 0 {
		c.topics = []string{nsp.topic}
	}
	if len(rooms) > 1 {
		c.seen = make([]map[uint32]struct{}, loops)
	}
	if len(c.topics) == 1 && len(c.ids) == 0 {
		c.only = c.topics[0]
	}
	for _, room := range to.Except {
		if conn, ok := nsp.locate(room); ok {
			c.exceptIDs = append(c.exceptIDs, target{room, conn})
		}
		c.exceptTopics = append(c.exceptTopics, topicOfRoom(nsp.topic, room))
	}
	return c
}

// personal tells whether the selection is one socket, by its id: then only the loop of that is
// concerned. Any goroutine.
func (nsp *Namespace) personal(to Selection) bool {
	if len(to.Rooms) != 1 || nsp.shared.Load() {
		return false
	}
	_, ok := nsp.locate(to.Rooms[0])
	return ok
}

// locate is the connection of the socket with that id; false if no socket can have it.
func (nsp *Namespace) locate(id string) (netpoll.ID, bool) {
	if s, moved := nsp.moved.Load(id); moved {
		return s.(*Socket).session, true
	}
	return placeOf(id)
}

// cast gives a broadcast to all loops that may have somebody for it, in the same order as every
// other broadcast. The error is ErrBusy, and nobody gets it, or ErrClosed.
func (io *Server) cast(nsp *Namespace, to Selection, out *outgoing) error {
	h := io.host.Load()
	if h == nil {
		return nil // nobody can be there yet
	}
	c := newCast(nsp, to, out, len(h.reactors))
	personal := nsp.personal(to)
	o := order{cast: c}
	size := o.size()
	io.casting.Lock()
	defer io.casting.Unlock()
	var room [8]*reactor
	concerned := room[:0]
	for _, r := range h.reactors {
		if !c.concerns(r, personal) {
			continue
		}
		if !r.reserve(size) {
			for _, r := range concerned {
				r.unreserve(size)
			}
			return ErrBusy
		}
		concerned = append(concerned, r)
	}
	if len(concerned) > 1 || len(c.topics) > 1 {
		out.share(io)
	}
	var failed error
	for _, r := range concerned {
		if out.ack != nil {
			out.ack.begin()
		}
		if err := r.enqueueReserved(o, size); err != nil {
			failed = err // the loop has stopped: there is nobody on it
			c.passed()
		}
	}
	return failed
}

// concerns tells whether the loop may have somebody for the broadcast: now, or when it has executed
// what it was ordered before. Any goroutine.
func (c *cast) concerns(r *reactor, personal bool) bool {
	for _, id := range c.ids {
		if id.conn.Loop() == r.index {
			return true
		}
	}
	if personal {
		return false
	}
	if r.pending.Load() > 0 {
		return true
	}
	for _, topic := range c.topics {
		if _, anybody := r.hub.Topic(topic); anybody {
			return true
		}
	}
	return false
}

// passed ends the broadcast on one loop.
func (c *cast) passed() {
	if c.out.ack != nil {
		c.out.ack.passed()
	}
}

// begin gives the broadcast to those who are named by their id, and to the hub for all others. It
// returns false if the hub has nobody to give it to. Loop.
func (r *reactor) begin(l *netpoll.Loop, c *cast) (onItsWay bool) {
	var except []string
	for _, topic := range c.exceptTopics {
		if _, anybody := r.hub.Topic(topic); anybody {
			except = append(except, topic)
		}
	}
	late := r.mayHave(c)
	p := broadcast.Post{Payload: c.out.text, Extra: c.out}
	if len(except)+len(c.exceptIDs) > 0 || c.seen != nil || c.out.volatile || c.out.ack != nil || c.out.heard != nil || late {
		p.Skip = func(_ int, member uint32) bool { return c.skips(r, member, except, late) }
	}
	for _, id := range c.ids {
		if id.conn.Loop() == r.index {
			c.give(l, r, id, except)
		}
	}
	for _, topic := range c.topics {
		// topicOfRoom has made the topic, so it is valid. What is larger than all the hub may hold
		// is lost, as with a client that is away.
		if result, _ := r.hub.PublishPost(topic, p); result.Queued > 0 {
			onItsWay = true
		}
	}
	return onItsWay
}

// mayHave tells whether sockets of this loop may have got the packet already, when they came back
// and were given what they had missed: they joined behind it in the log, and in front of it in the
// queue.
func (r *reactor) mayHave(c *cast) bool {
	log := c.nsp.log
	if log == nil || c.out.number == 0 {
		return false
	}
	joined, any := r.joinedAt[log]
	if any && c.out.number > joined {
		delete(r.joinedAt, log) // nor has anybody what comes behind it
		return false
	}
	return any
}

// skips tells whether a member that the packet has come to is left out, and otherwise notes that it
// gets it. On the member's loop, within Deliver.
func (c *cast) skips(r *reactor, member uint32, except []string, late bool) bool {
	l := r.sink.loop
	conn := l.ConnAt(member)
	if conn == nil || c.excludes(r, conn.ID(), member, except) {
		return true
	}
	if !c.out.volatile && c.out.ack == nil && c.out.heard == nil && !late {
		return false
	}
	session := r.engine.Lookup(l, conn.ID())
	if session == nil || c.out.volatile && !r.engine.Writable(l, session) {
		return true
	}
	if s := r.of(session).socket([]byte(c.nsp.name)); s != nil {
		if late && s.had(c.out) {
			return true
		}
		c.reaches(s)
	}
	return false
}

// reaches is for a socket that is about to be sent the packet.
func (c *cast) reaches(s *Socket) {
	if c.out.ack != nil {
		c.out.ack.owes(s)
	}
	if c.out.heard == nil {
		return
	}
	defer func() {
		if v := recover(); v != nil {
			s.reactor.panicked(v) // the others of the broadcast must get it all the same
		}
	}()
	for _, f := range s.outgoingListeners() {
		f(c.out.heard.event, c.out.heard.args)
	}
}

// excludes tells whether the broadcast leaves the member out, or has reached it; if not, it is
// noted as reached.
func (c *cast) excludes(r *reactor, conn netpoll.ID, member uint32, except []string) bool {
	for _, id := range c.exceptIDs {
		if id.conn == conn && c.names(r, id) {
			return true
		}
	}
	for _, topic := range except {
		if r.shard.Subscribed(member, topic) {
			return true
		}
	}
	if c.seen == nil {
		return false
	}
	if _, got := c.seen[r.index][member]; got {
		return true
	}
	if c.seen[r.index] == nil {
		c.seen[r.index] = map[uint32]struct{}{}
	}
	c.seen[r.index][member] = struct{}{}
	return false
}

// names tells whether the socket of the connection has the id: that of a socket on another server
// may name a connection that is here too. Loop.
func (c *cast) names(r *reactor, to target) bool {
	session := r.engine.Lookup(r.sink.loop, to.conn)
	if session == nil {
		return false
	}
	s := r.of(session).socket([]byte(c.nsp.name))
	return s != nil && s.id == to.id
}

// give sends the packet to a socket that is named by its id. Loop.
func (c *cast) give(l *netpoll.Loop, r *reactor, to target, except []string) {
	session := r.engine.Lookup(l, to.conn)
	if session == nil {
		return
	}
	s := r.of(session).socket([]byte(c.nsp.name))
	if s == nil || s.id != to.id || !s.Connected() || s.had(c.out) || c.excludes(r, to.conn, session.Member(), except) {
		return
	}
	if c.out.volatile && !r.engine.Writable(l, session) {
		return
	}
	c.reaches(s)
	r.sendTo(l, session, c.out)
}

// had tells whether the socket was given a packet already, when it came back and asked for what it
// had missed.
func (s *Socket) had(out *outgoing) bool {
	if out.number == 0 {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.more != nil && out.number <= s.more.start
}
