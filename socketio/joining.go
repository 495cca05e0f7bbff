// Joining and leaving a namespace. Loop only.

package socketio

import (
	"sync"

	"c100k/internal/engineio"
	"c100k/netpoll"
)

// connect runs the middlewares of a namespace for a client that wants to join it.
func (r *reactor) connect(l *netpoll.Loop, s *engineio.Session, c *client, name []byte, auth []byte) {
	h := &Handshake{facts: c.facts, namespace: string(name), auth: auth, id: r.idFor(s, name)}
	if c.namespaces() >= NamespacesPerClientMax && !c.wasIn(name) {
		r.refuse(l, s, name, errNamespaces)
		return
	}
	nsp, refusal := r.server.find(h)
	if refusal != nil {
		r.refuse(l, s, name, refusal)
		return
	}
	socket := &Socket{
		nsp: nsp, reactor: r, session: c.session, id: h.id, facts: c.facts, webSocket: s.Transport() == engineio.TransportWebSocket,
	}
	h.socket = socket
	if len(auth) > 0 {
		socket.rare().auth = auth
	}
	if log := nsp.log; log != nil && log.outside != nil && s.Version() != 3 {
		h.id, socket.rare().pid = newProof(s.ID())
		socket.id = h.id
	}
	c.put(socket)
	if r.watch.Identify == nil {
		r.identified(l, s, c, socket, h)
		return
	}
	h.identifying = true
	r.runMiddlewares(l, socket, h, []func(*Handshake, func(error)){r.identify})
}

// identified goes on with a socket whose client is identified or not: it is recovered, or the
// middlewares of its namespace are asked.
func (r *reactor) identified(l *netpoll.Loop, session *engineio.Session, c *client, s *Socket, h *Handshake) {
	log := s.nsp.log
	if log == nil {
		r.judge(l, session, c, s, h)
		return
	}
	if shared := log.sharedBy(); shared == nil {
		log.claim(s, h.auth)
	} else if r.restore(s, h, shared) {
		return
	}
	r.judge(l, session, c, s, h)
}

// judge asks the middlewares of the namespace, if they are for this socket.
func (r *reactor) judge(l *netpoll.Loop, session *engineio.Session, c *client, s *Socket, h *Handshake) {
	if s.recovered && !s.nsp.log.opt.RunMiddlewares {
		r.admit(l, session, c, s)
		return
	}
	h.id = s.id
	r.runMiddlewares(l, s, h, s.nsp.middlewares())
}

// idFor returns the id of a new socket. Clients of protocol 4 expect the id of their connection.
func (r *reactor) idFor(s *engineio.Session, name []byte) string {
	switch {
	case s.Version() != 3:
		return newID(s.ID())
	case string(name) == rootNamespace:
		return r.engine.SID(s)
	}
	return string(name) + "#" + r.engine.SID(s)
}

// refuse answers CONNECT with CONNECT_ERROR.
func (r *reactor) refuse(l *netpoll.Loop, s *engineio.Session, name []byte, err error) {
	message, data := refusalText(err)
	k := packet{kind: typeConnectError, namespace: name}
	if s.Version() == 3 {
		k.payload = appendRefusalV4(nil, message, data)
	} else {
		k.payload = appendRefusal(nil, message, data)
	}
	r.sendTo(l, s, newOutgoing(r.server.opt.Parser, &k, nil, flags{}))
}

// middlewareResult is the result of one middleware, which may come after the middleware has
// returned.
type middlewareResult struct {
	mu     sync.Mutex // guards the fields below
	given  bool
	err    error
	waited bool // the middleware has returned without a result
}

// runMiddlewares calls the middlewares one after the other, and admits or refuses the socket.
func (r *reactor) runMiddlewares(l *netpoll.Loop, s *Socket, h *Handshake, middlewares []func(*Handshake, func(error))) {
	for i, ask := range middlewares {
		v := &middlewareResult{}
		ask(h, func(err error) {
			v.mu.Lock()
			late := v.waited && !v.given
			if !v.given {
				v.given, v.err = true, err
			}
			v.mu.Unlock()
			if late {
				// An error means that the loop has stopped, and the client has left.
				_ = r.submit(command{run: func(l *netpoll.Loop) { r.middlewareDone(l, s, h, middlewares[i+1:], err) }})
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
			r.middlewareDone(l, s, h, nil, err)
			return
		}
	}
	r.middlewareDone(l, s, h, nil, nil)
}

// middlewareDone continues with the result of a middleware.
func (r *reactor) middlewareDone(l *netpoll.Loop, s *Socket, h *Handshake, rest []func(*Handshake, func(error)), err error) {
	session := r.engine.Lookup(l, s.session)
	if session == nil || s.state != socketConnecting {
		return // it has left meanwhile
	}
	c := r.of(session)
	switch {
	case err != nil:
		r.turnAway(l, session, c, s, err)
	case h.identifying:
		h.identifying = false
		r.identified(l, session, c, s, h)
	case len(rest) > 0:
		r.runMiddlewares(l, s, h, rest)
	default:
		s.data = h.data // no other goroutine has the socket yet
		r.admit(l, session, c, s)
	}
}

// turnAway refuses a socket that is connecting.
func (r *reactor) turnAway(l *netpoll.Loop, session *engineio.Session, c *client, s *Socket, err error) {
	s.mu.Lock()
	s.state = socketLeft
	s.mu.Unlock()
	c.remove(s)
	r.refuse(l, session, []byte(s.nsp.name), err)
	r.server.removeIfEmpty(s.nsp)
}

// admit makes the socket a member of its namespace, after all commands that are in the loop's
// queue: so it gets no broadcast that was made before.
func (r *reactor) admit(l *netpoll.Loop, session *engineio.Session, c *client, s *Socket) {
	c.joined = true
	if r.pending.Load() == 0 {
		r.join(l, session, s)
		return
	}
	err := r.submit(command{run: func(l *netpoll.Loop) {
		if session := r.engine.Lookup(l, s.session); session != nil && s.state == socketConnecting {
			r.join(l, session, s)
		}
	}})
	if err != nil { // the queue of the loop is full: the client will reconnect
		r.engine.Close(l, session, engineio.ReasonForcedClose, 0, "")
	}
}

// join subscribes the socket to its topics, answers CONNECT, and calls the connection handlers.
func (r *reactor) join(l *netpoll.Loop, session *engineio.Session, s *Socket) {
	nsp, c := s.nsp, r.of(session)
	if refused := r.enter(c, s); refused != nil {
		r.turnAway(l, session, c, s, refused)
		return
	}
	nsp.members.Add(1)
	s.mu.Lock()
	s.state = socketConnected
	nsp.watch.join(s.id, s.id)
	rooms := s.joined()
	nsp.watch.join(s.id, rooms...)
	s.mu.Unlock()
	r.members.add(s)
	if place, ok := connOf(s.id); !ok || place != s.session {
		nsp.moved.Store(s.id, s)
	}
	take := func() {
		// The bounds of the hub are above those of this package.
		_, _ = r.shard.Subscribe(session.Member(), formOf(session), nsp.topic)
		s.subscribe(l, rooms)
	}
	if nsp.log == nil {
		take()
	} else {
		missed, newest := nsp.log.join(s, take)
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
	r.sendControl(l, session, &k)
	r.sendEarly(l, session, s)
	r.greet(c, s)
	r.limitRights(l, s)
	nsp.watch.notify()
	for _, f := range nsp.connectionHandlers() {
		f(s)
	}
}

// sendEarly sends the packets that middlewares have emitted.
func (r *reactor) sendEarly(l *netpoll.Loop, session *engineio.Session, s *Socket) {
	s.mu.Lock()
	var early []*outgoing
	if s.more != nil {
		early, s.more.early = s.more.early, nil
	}
	s.mu.Unlock()
	for _, out := range early {
		r.sendTo(l, session, out)
	}
}

// pid returns the socket's private id, "" without recovery.
func (s *Socket) pid() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.more == nil {
		return ""
	}
	return s.more.pid
}

// leave ends a socket of c. The caller has unsubscribed it from its topics and removed it from c,
// or the session has ended.
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
	unanswered := s.markLeft(reason)
	r.rightsLeft(c, s)
	r.members.remove(s)
	s.nsp.moved.CompareAndDelete(s.id, s) // a client may be back before its end is noticed
	s.nsp.members.Add(-1)
	s.nsp.watch.notify()
	for _, w := range unanswered {
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
	r.server.removeIfEmpty(s.nsp)
}

// markLeft marks the socket as disconnected, and saves its state if it may be recovered. It returns
// the pending acknowledgements.
func (s *Socket) markLeft(reason Reason) (unanswered map[uint64]pendingAck) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.own != nil {
		unanswered, s.own.acks = s.own.acks, nil
	}
	s.state = socketLeft
	s.nsp.watch.leave(s.id, s.joined()...)
	s.nsp.watch.leave(s.id, s.id)
	if s.nsp.log != nil && reason.recoverable() {
		s.state = socketAway
		s.nsp.log.save(s)
	}
	return unanswered
}

// unsubscribeAll unsubscribes the socket from all its topics.
func (r *reactor) unsubscribeAll(l *netpoll.Loop, session *engineio.Session, s *Socket) {
	s.unsubscribe(l, s.Rooms())
	r.shard.Unsubscribe(session.Member(), s.nsp.topic)
}

// subscribe subscribes the socket to the topics of rooms. Loop only.
func (s *Socket) subscribe(l *netpoll.Loop, rooms []string) {
	session := s.reactor.engine.Lookup(l, s.session)
	if session == nil || s.state != socketConnected {
		return
	}
	for _, room := range rooms {
		_, _ = s.reactor.shard.Subscribe(session.Member(), formOf(session), topicOfRoom(s.nsp.topic, room)) // the hub's bounds are above those of this package
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

// disconnect carries out Socket.Disconnect.
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
		if !r.dismiss(l, session, c, s) {
			return
		}
	}
	if closing {
		r.engine.Close(l, session, engineio.ReasonForcedClose, 0, "")
	}
}

// dismiss disconnects a socket from its namespace. False: its outbox was full, and the session has
// ended.
func (r *reactor) dismiss(l *netpoll.Loop, session *engineio.Session, c *client, s *Socket) bool {
	k := packet{kind: typeDisconnect, namespace: []byte(s.nsp.name)}
	r.sendTo(l, session, newOutgoing(r.server.opt.Parser, &k, nil, flags{}))
	r.unsubscribeAll(l, session, s)
	c.remove(s)
	r.leave(l, c, s, ReasonServer)
	return r.engine.Lookup(l, s.session) != nil
}

// joinTimedOut closes the connection of a client that has not joined a namespace in time.
func (r *reactor) joinTimedOut(l *netpoll.Loop, id netpoll.ID) {
	if session := r.engine.Lookup(l, id); session != nil && !r.of(session).joined {
		r.engine.Close(l, session, engineio.ReasonForcedClose, 0, "")
	}
}

// Reason is why a socket left its namespace, in the words of Node's server.
type Reason string

// The reasons. ReasonTransportError is also that of a client that reads too slowly.
const (
	ReasonClient         Reason = "client namespace disconnect" // the client left the namespace
	ReasonServer         Reason = "server namespace disconnect" // Socket.Disconnect
	ReasonTransportClose Reason = "transport close"             // the client closed the connection
	ReasonTransportError Reason = "transport error"             // the connection broke
	ReasonPingTimeout    Reason = "ping timeout"                // the client did not answer the heartbeat
	ReasonParseError     Reason = "parse error"                 // the client violated the Engine.IO protocol
	ReasonForcedClose    Reason = "forced close"                // the client violated the Socket.IO protocol
	ReasonShutdown       Reason = "server shutting down"        // Server.Close, or a node that drains
	ReasonForcedServer   Reason = "forced server close"         // an operator closed the connection
)

func reasonOf(r engineio.Reason) Reason { return Reason(r.String()) }

// recoverable reports whether a client that left for this reason may be recovered.
func (r Reason) recoverable() bool {
	return r != ReasonClient && r != ReasonServer && r != ReasonParseError
}
