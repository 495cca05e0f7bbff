// Whom the client of a socket speaks for, on a node that identifies clients, and the end of its
// rights. Loop only, but for the principal.

package socketio

import (
	"c100k/internal/auth"
	"c100k/internal/engineio"
	"c100k/internal/sio"
	"c100k/netpoll"
)

func init() {
	sio.Principal = func(socket any) *auth.Principal { return socket.(*Socket).principal() }
}

// principal is the client, nil if it was not identified. Any goroutine.
func (s *Socket) principal() *auth.Principal {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.who
}

func subjectOf(who *auth.Principal) string {
	if who == nil {
		return ""
	}
	return who.Subject
}

// identify is the first middleware on a node: it finds out who the client is, for this namespace.
func (r *reactor) identify(h *Handshake, next func(error)) {
	r.watch.Identify(h, func(who *auth.Principal, refused *sio.Refused) {
		if refused != nil {
			next(Refuse(refused.Message, refused))
			return
		}
		h.socket.mu.Lock()
		h.socket.who = who
		h.socket.mu.Unlock()
		next(nil)
	})
}

// enter counts the connection of a client for the user that it speaks for, once for each. The error
// says that it is one too many.
func (r *reactor) enter(c *client, s *Socket) error {
	if s.who == nil || r.holder(c, s) != nil {
		return nil
	}
	if refused := r.watch.Enter(s.who); refused != nil {
		return Refuse(refused.Message, refused)
	}
	s.counted = true
	return nil
}

// holder is another socket of the client that speaks for the same user, one that is counted if
// there is one.
func (r *reactor) holder(c *client, s *Socket) (holder *Socket) {
	if s.who.Subject == "" {
		return nil
	}
	for _, other := range c.sockets() {
		if other == s || other.state != socketConnected || subjectOf(other.who) != s.who.Subject {
			continue
		}
		if holder = other; other.counted {
			break
		}
	}
	return holder
}

// greet reports a client that has joined its first namespace.
func (r *reactor) greet(c *client, s *Socket) {
	if c.greeted {
		return
	}
	c.greeted, c.who = true, s.who
	if r.watch.Joined != nil {
		r.watch.Joined(c.session, s.who, c.facts.addr())
	}
}

// limitRights has a socket looked at when its client's rights end.
func (r *reactor) limitRights(l *netpoll.Loop, s *Socket) {
	if s.who != nil && s.who.Expires != 0 {
		r.deadlines.add(s.who.Expires, s, endOfRights)
		r.armAlarm(l)
	}
}

// rightsLeft takes back what enter and limitRights did for a socket that was connected; its client
// is c.
func (r *reactor) rightsLeft(c *client, s *Socket) {
	if s.who == nil {
		return
	}
	if s.who.Expires != 0 {
		r.deadlines.left()
	}
	if !s.counted {
		return
	}
	s.counted = false
	if other := r.holder(c, s); other != nil {
		other.counted = true
		return
	}
	r.watch.Leave(s.who)
}

// rightsEnd is how rights end: the event that tells the client, and the close behind it.
type rightsEnd struct {
	event  string
	reason engineio.Reason
	code   uint16
	text   string
}

var (
	expired = rightsEnd{"expired", engineio.ReasonExpired, auth.CloseExpired, auth.TextExpired}
	revoked = rightsEnd{"revoked", engineio.ReasonRevoked, auth.CloseRevoked, auth.TextRevoked}
)

// endRights ends a socket whose client's rights have ended: it gets an event that says so and is
// disconnected. A client in no other namespace loses its connection.
func (r *reactor) endRights(l *netpoll.Loop, s *Socket, end *rightsEnd) {
	session := r.engine.Lookup(l, s.session)
	if session == nil || s.state != socketConnected {
		return
	}
	k := packet{kind: typeEvent, namespace: []byte(s.nsp.name), payload: []byte(`["` + end.event + `"]`)}
	r.sendTo(l, session, newOutgoing(r.server.opt.Parser, &k, nil, flags{}))
	if r.engine.Lookup(l, s.session) == nil {
		return // its outbox was full, and the session has ended
	}
	c := r.of(session)
	if r.dismiss(l, session, c, s) && len(c.sockets()) == 0 {
		r.engine.Close(l, session, end.reason, end.code, end.text)
	}
}

// Speaks implements engineio.Speaker.
func (a app) Speaks(s *engineio.Session, matches func(*auth.Principal) bool) bool {
	for _, socket := range a.of(s).sockets() {
		if socket.state == socketConnected && socket.who != nil && matches(socket.who) {
			return true
		}
	}
	return false
}

// Revoke implements engineio.Speaker.
func (a app) Revoke(l *netpoll.Loop, s *engineio.Session, matches func(*auth.Principal) bool) {
	for _, socket := range a.of(s).sockets() {
		if socket.who != nil && matches(socket.who) {
			a.endRights(l, socket, &revoked)
		}
	}
}
