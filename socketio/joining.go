// How a client joins a namespace, and how it leaves. Loop only.

package socketio

import (
	"sync"

	"c100k/internal/engineio"
	"c100k/netpoll"
)

// connect lets a client into a namespace if its middlewares do.
func (r *reactor) connect(l *netpoll.Loop, s *engineio.Session, c *client, name []byte, auth []byte) {
	h := &Handshake{facts: c.facts, namespace: string(name), auth: auth, id: r.idFor(s, name)}
	if c.namespaces() >= NamespacesPerClientMax && !c.knew(name) {
		r.refuse(l, s, name, errNamespaces)
		return
	}
	nsp, refusal := r.server.find(h)
	if refusal != nil {
		r.refuse(l, s, name, refusal)
		return
	}
	socket := &Socket{nsp: nsp, reactor: r, session: c.session, id: h.id, facts: c.facts}
	if len(auth) > 0 {
		socket.rare().auth = auth
	}
	c.put(socket)
	if nsp.log != nil && nsp.log.claim(socket, auth) && !nsp.log.opt.RunMiddlewares {
		r.seat(l, s, c, socket)
		return
	}
	h.id = socket.id
	r.judge(l, socket, h, nsp.middlewares())
}

// idFor makes the id of a socket. Clients of protocol 4 expect that of their connection.
func (r *reactor) idFor(s *engineio.Session, name []byte) string {
	switch {
	case s.Version() != 3:
		return newID(s.ID())
	case string(name) == rootNamespace:
		return r.engine.SID(s)
	}
	return string(name) + "#" + r.engine.SID(s)
}

// refuse answers a CONNECT with no.
func (r *reactor) refuse(l *netpoll.Loop, s *engineio.Session, name []byte, err error) {
	message, data := told(err)
	k := packet{kind: typeConnectError, namespace: name}
	if s.Version() == 3 {
		k.payload = appendRefusalV4(nil, message, data)
	} else {
		k.payload = appendRefusal(nil, message, data)
	}
	r.sendTo(l, s, newOutgoing(r.server.opt.Parser, &k, nil, flags{}))
}

// verdict is what a middleware says, at once or later.
type verdict struct {
	mu     sync.Mutex // guards the fields below
	given  bool
	err    error
	waited bool // the call has returned without one
}

// judge asks the middlewares, one after the other, and lets the socket in or not.
func (r *reactor) judge(l *netpoll.Loop, s *Socket, h *Handshake, middlewares []func(*Handshake, func(error))) {
	for i, ask := range middlewares {
		v := &verdict{}
		ask(h, func(err error) {
			v.mu.Lock()
			late := v.waited && !v.given
			if !v.given {
				v.given, v.err = true, err
			}
			v.mu.Unlock()
			if late {
				// The loop may have stopped: then there is nobody to let in.
				_ = r.do(order{run: func(l *netpoll.Loop) { r.judged(l, s, h, middlewares[i+1:], err) }})
			}
		})
		v.mu.Lock()
		v.waited = true
		given, err := v.given, v.err
		v.mu.Unlock()
		if !given {
			return
		}
		if err != nil {
			r.judged(l, s, h, nil, err)
			return
		}
	}
	r.judged(l, s, h, nil, nil)
}

// judged goes on where a middleware has said something.
func (r *reactor) judged(l *netpoll.Loop, s *Socket, h *Handshake, rest []func(*Handshake, func(error)), err error) {
	session := r.engine.Lookup(l, s.session)
	if session == nil || s.state != socketConnecting {
		return // gone meanwhile
	}
	c := r.of(session)
	switch {
	case err != nil:
		s.mu.Lock()
		s.state = socketLeft
		s.mu.Unlock()
		c.remove(s)
		r.refuse(l, session, []byte(s.nsp.name), err)
		r.server.forget(s.nsp)
	case len(rest) > 0:
		r.judge(l, s, h, rest)
	default:
		s.data = h.data // nobody else has the socket yet
		r.seat(l, session, c, s)
	}
}

// seat makes the socket a member of its namespace, behind everything that the loop was ordered
// before: so it gets no broadcast of before.
func (r *reactor) seat(l *netpoll.Loop, session *engineio.Session, c *client, s *Socket) {
	c.joined = true
	if r.pending.Load() == 0 {
		r.enter(l, session, s)
		return
	}
	err := r.do(order{run: func(l *netpoll.Loop) {
		if session := r.engine.Lookup(l, s.session); session != nil && s.state == socketConnecting {
			r.enter(l, session, s)
		}
	}})
	if err != nil { // the loop has more to do than it may hold: the client comes back
		r.engine.Close(l, session, engineio.ReasonForcedClose, 0, "")
	}
}

// enter takes the socket's seats and tells everybody.
func (r *reactor) enter(l *netpoll.Loop, session *engineio.Session, s *Socket) {
	nsp := s.nsp
	nsp.members.Add(1)
	s.mu.Lock()
	s.state = socketConnected
	nsp.watch.join(s.id, s.id)
	rooms := s.joined()
	nsp.watch.join(s.id, rooms...)
	s.mu.Unlock()
	r.members.add(s)
	if place, ok := placeOf(s.id); !ok || place != s.session {
		nsp.moved.Store(s.id, s)
	}
	take := func() {
		// The hub's bounds are above ours.
		_, _ = r.shard.Subscribe(session.Member(), formOf(session), nsp.topic)
		s.subscribe(l, rooms)
	}
	if nsp.log == nil {
		take()
	} else {
		missed, newest := nsp.log.enter(s, take)
		r.joinedAt[nsp.log] = newest
		for _, out := range missed {
			r.sendTo(l, session, out)
		}
	}
	k := packet{kind: typeConnect, namespace: []byte(nsp.name)}
	if session.Version() != 3 {
		r.payload = appendConnect(r.payload[:0], s.id, s.pid())
		k.payload = r.payload
	}
	r.tell(l, session, &k)
	nsp.watch.tell()
	for _, f := range nsp.connectionHandlers() {
		f(s)
	}
}

// pid is the socket's private id, "" without recovery.
func (s *Socket) pid() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.more == nil {
		return ""
	}
	return s.more.pid
}

// leave ends a socket. Its seats are the caller's to give up, or have gone with the session; c is
// nil if the client goes with it.
func (r *reactor) leave(l *netpoll.Loop, c *client, s *Socket, reason Reason) {
	if s.state != socketConnected {
		s.mu.Lock()
		s.state = socketLeft
		s.mu.Unlock()
		return
	}
	s.mu.Lock()
	var disconnecting, disconnected []func(Reason)
	if s.more != nil {
		disconnecting, disconnected = s.more.disconnecting, s.more.disconnected
	}
	s.mu.Unlock()
	for _, f := range disconnecting {
		f(reason)
	}
	owed := s.depart(reason)
	r.members.remove(s)
	s.nsp.moved.Delete(s.id)
	s.nsp.members.Add(-1)
	if c != nil {
		c.remove(s)
	}
	s.nsp.watch.tell()
	for _, w := range owed {
		if err := w.done(Args{}, ErrDisconnected); err != nil {
			s.fail(err)
		}
	}
	for _, f := range disconnected {
		f(reason)
	}
	for _, f := range s.nsp.disconnectHandlers() {
		f(s, reason)
	}
	r.server.forget(s.nsp)
}

// depart marks the socket as gone and, if it may come back, saves what it is. It returns the
// acknowledgements that it owes.
func (s *Socket) depart(reason Reason) (owed map[uint64]waiting) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.own != nil {
		owed, s.own.acks = s.own.acks, nil
	}
	s.state = socketLeft
	s.nsp.watch.leave(s.id, s.joined()...)
	s.nsp.watch.leave(s.id, s.id)
	if s.nsp.log != nil && reason.recoverable() {
		s.state = socketAway
		s.nsp.log.save(s)
	}
	return owed
}

// unseat gives up the socket's seats in the hub.
func (r *reactor) unseat(l *netpoll.Loop, session *engineio.Session, s *Socket) {
	s.unsubscribe(l, s.Rooms())
	r.shard.Unsubscribe(session.Member(), s.nsp.topic)
}

// subscribe takes seats in rooms. Loop.
func (s *Socket) subscribe(l *netpoll.Loop, rooms []string) {
	session := s.reactor.engine.Lookup(l, s.session)
	if session == nil || s.state != socketConnected {
		return
	}
	for _, room := range rooms {
		_, _ = s.reactor.shard.Subscribe(session.Member(), formOf(session), topicOfRoom(s.nsp.topic, room)) // its bounds are above ours
	}
}

func (s *Socket) unsubscribe(l *netpoll.Loop, rooms []string) {
	session := s.reactor.engine.Lookup(l, s.session)
	if session == nil || s.state != socketConnected {
		return
	}
	for _, room := range rooms {
		s.reactor.shard.Unsubscribe(session.Member(), topicOfRoom(s.nsp.topic, room))
	}
}

// disconnect is Socket.Disconnect.
func (r *reactor) disconnect(l *netpoll.Loop, s *Socket, closing bool) {
	session := r.engine.Lookup(l, s.session)
	if session == nil || s.state > socketConnected {
		return
	}
	c := r.of(session)
	leaving := []*Socket{s}
	if closing {
		leaving = c.sockets()
	}
	for _, s := range leaving {
		k := packet{kind: typeDisconnect, namespace: []byte(s.nsp.name)}
		r.sendTo(l, session, newOutgoing(r.server.opt.Parser, &k, nil, flags{}))
		r.unseat(l, session, s)
		r.leave(l, c, s, ReasonServer)
		if r.engine.Lookup(l, s.session) == nil {
			return // it could not take even that
		}
	}
	if closing {
		r.engine.Close(l, session, engineio.ReasonForcedClose, 0, "")
	}
}

// tooLate ends a client that has not joined a namespace in time.
func (r *reactor) tooLate(l *netpoll.Loop, id netpoll.ID) {
	if session := r.engine.Lookup(l, id); session != nil && !r.of(session).joined {
		r.engine.Close(l, session, engineio.ReasonForcedClose, 0, "")
	}
}
