// A broadcast on its way: a command for each loop that may have receivers, and there a message of
// the loop's hub.

package socketio

import (
	"slices"

	"c100k/broadcast"
	"c100k/netpoll"
)

// cast is one broadcast. Immutable, except that each loop writes its own element of seen.
type cast struct {
	nsp    *Namespace
	out    *outgoing
	topics []string // of the rooms; that of the namespace if all sockets are meant
	only   string   // the topic, if there is one and no socket is named by its id; else ""

	ids          []socketRef // sockets that are named by their id
	exceptIDs    []socketRef
	exceptTopics []string
	seen         []map[uint32]struct{} // by loop: the members that got it; nil if no member can be met twice
}

// socketRef is a socket that a broadcast names by its id.
type socketRef struct {
	id   string
	conn netpoll.ID
}

// newCast makes the broadcast of a packet.
func newCast(nsp *Namespace, to Selection, out *outgoing, loops int) *cast {
	c := &cast{nsp: nsp, out: out}
	rooms := slices.Compact(slices.Sorted(slices.Values(to.Rooms)))
	for _, room := range rooms {
		if conn, ok := nsp.locate(room); ok {
			c.ids = append(c.ids, socketRef{room, conn})
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
			c.exceptIDs = append(c.exceptIDs, socketRef{room, conn})
		}
		c.exceptTopics = append(c.exceptTopics, topicOfRoom(nsp.topic, room))
	}
	return c
}

// addressesOne reports whether the selection is one socket, by its id: then the broadcast concerns
// the loop of that socket only. Any goroutine.
func (nsp *Namespace) addressesOne(to Selection) bool {
	if len(to.Rooms) != 1 || nsp.idRoomShared.Load() {
		return false
	}
	_, ok := nsp.locate(to.Rooms[0])
	return ok
}

// locate returns the connection of the socket with that id; ok is false if no socket can have the
// id.
func (nsp *Namespace) locate(id string) (netpoll.ID, bool) {
	if s, moved := nsp.moved.Load(id); moved {
		return s.(*Socket).session, true
	}
	return connOf(id)
}

// cast enqueues a broadcast on all loops that may have receivers, in the same order as every other
// broadcast. The error is ErrBusy, and then no client gets it, or ErrClosed.
func (io *Server) cast(nsp *Namespace, to Selection, out *outgoing) error {
	h := io.host.Load()
	if h == nil {
		return nil // not mounted yet: there are no clients
	}
	c := newCast(nsp, to, out, len(h.reactors))
	personal := nsp.addressesOne(to)
	o := command{cast: c}
	size := o.size()
	io.broadcastMu.Lock()
	defer io.broadcastMu.Unlock()
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
			out.ack.addDelivery()
		}
		if err := r.enqueueReserved(o, size); err != nil {
			failed = err // the loop has stopped: it has no clients
			c.deliveryDone()
		}
	}
	return failed
}

// concerns reports whether the loop may have receivers of the broadcast: now, or after the commands
// that are already in its queue. Any goroutine.
func (c *cast) concerns(r *reactor, personal bool) bool {
	for _, id := range c.ids {
		if id.conn.Loop() == r.number {
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

// deliveryDone ends the broadcast on one loop.
func (c *cast) deliveryDone() {
	if c.out.ack != nil {
		c.out.ack.deliveryDone()
	}
}

// begin sends the broadcast to the sockets that are named by their id, and publishes it to the hub
// for all others. It returns false if the hub has no members for it. Loop only.
func (r *reactor) begin(l *netpoll.Loop, c *cast) (onItsWay bool) {
	var except []string
	for _, topic := range c.exceptTopics {
		if _, anybody := r.hub.Topic(topic); anybody {
			except = append(except, topic)
		}
	}
	late := r.mayHaveReceived(c)
	p := broadcast.Post{Payload: c.out.text, Extra: c.out}
	if len(except)+len(c.exceptIDs) > 0 || c.seen != nil || c.out.volatile || c.out.ack != nil || c.out.observed != nil || late {
		p.Skip = func(_ int, member uint32) bool { return c.skips(r, member, except, late) }
	}
	for _, id := range c.ids {
		if id.conn.Loop() == r.number {
			c.sendByID(l, r, id, except)
		}
	}
	for _, topic := range c.topics {
		// topicOfRoom made the topic, so it is valid. A message that is larger than the hub's bound is
		// lost.
		if result, _ := r.hub.PublishPost(topic, p); result.Queued > 0 {
			onItsWay = true
		}
	}
	return onItsWay
}

// mayHaveReceived reports whether sockets of this loop may have received the packet already. A
// socket that is recovered gets the packets that it missed from the log. It may get one that is in
// the log and still in the queue of the loop.
func (r *reactor) mayHaveReceived(c *cast) bool {
	log := c.nsp.log
	if log == nil || c.out.number == 0 {
		return false
	}
	joined, any := r.joinedAt[log]
	if any && c.out.number > joined {
		delete(r.joinedAt, log) // later packets cannot have been received either
		return false
	}
	return any
}

// skips reports whether a member does not get the packet. If the member gets it, skips registers
// that. On the member's loop, within Deliver.
func (c *cast) skips(r *reactor, member uint32, except []string, late bool) bool {
	l := r.sink.loop
	conn := l.ConnAt(member)
	if conn == nil || c.excludes(r, conn.ID(), member, except) {
		return true
	}
	if !c.out.volatile && c.out.ack == nil && c.out.observed == nil && !late {
		return false
	}
	session := r.engine.Lookup(l, conn.ID())
	if session == nil || c.out.volatile && !r.engine.Writable(l, session) {
		return true
	}
	if s := r.of(session).socket([]byte(c.nsp.name)); s != nil {
		if late && s.hasReceived(c.out) {
			return true
		}
		c.beforeSend(s)
	}
	return false
}

// beforeSend registers the acknowledgement of a socket that is about to be sent the packet, and
// calls its OnAnyOutgoing listeners.
func (c *cast) beforeSend(s *Socket) {
	if c.out.ack != nil {
		c.out.ack.addSocket(s)
	}
	if c.out.observed == nil {
		return
	}
	defer func() {
		if v := recover(); v != nil {
			s.reactor.panicked(v) // the other sockets must still get the broadcast
		}
	}()
	for _, l := range s.outgoingListeners() {
		l.f(c.out.observed.event, c.out.observed.args)
	}
}

// excludes reports whether the broadcast leaves the member out or has reached it before. If not, it
// marks the member as reached.
func (c *cast) excludes(r *reactor, conn netpoll.ID, member uint32, except []string) bool {
	for _, id := range c.exceptIDs {
		if id.conn == conn && c.isSocket(r, id) {
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

// isSocket reports whether the socket of the connection has the id. The id of a socket on another
// server may name a connection that exists here too. Loop only.
func (c *cast) isSocket(r *reactor, to socketRef) bool {
	session := r.engine.Lookup(r.sink.loop, to.conn)
	if session == nil {
		return false
	}
	s := r.of(session).socket([]byte(c.nsp.name))
	return s != nil && s.id == to.id
}

// sendByID sends the packet to a socket that is named by its id. Loop only.
func (c *cast) sendByID(l *netpoll.Loop, r *reactor, to socketRef, except []string) {
	session := r.engine.Lookup(l, to.conn)
	if session == nil {
		return
	}
	s := r.of(session).socket([]byte(c.nsp.name))
	if s == nil || s.id != to.id || !s.Connected() || s.hasReceived(c.out) || c.excludes(r, to.conn, session.Member(), except) {
		return
	}
	if c.out.volatile && !r.engine.Writable(l, session) {
		return
	}
	c.beforeSend(s)
	r.sendTo(l, session, c.out)
}

// hasReceived reports whether the socket got the packet from the log when it was recovered.
func (s *Socket) hasReceived(out *outgoing) bool {
	if out.number == 0 {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.more != nil && out.number <= s.more.start
}
