// The callbacks of internal/engineio: messages of a session become packets. Loop only.

package socketio

import (
	"encoding/json"
	"log/slog"

	"c100k/internal/engineio"
	"c100k/netpoll"
)

// app is the engineio.App of a reactor.
type app struct{ *reactor }

// Opened makes the client of a new session. A client of protocol 4 joins "/" without a CONNECT
// packet.
func (a app) Opened(l *netpoll.Loop, s *engineio.Session, r *engineio.Request) {
	i, c := a.clients.Alloc()
	s.SetValue(i)
	c.session, c.facts = s.ID(), a.factsReader.facts(r)
	a.server.connected.Add(1)
	a.server.forms[s.Form()].Add(1)
	if a.watch.Opened != nil {
		a.watch.Opened()
	}
	a.joining.add(l.Now()+a.server.opt.ConnectTimeout, c.session)
	a.armAlarm(l)
	if s.Version() == 3 {
		a.connect(l, s, c, []byte(rootNamespace), nil)
	}
}

// Text handles a text message: it is one packet.
func (a app) Text(l *netpoll.Loop, s *engineio.Session, p []byte) {
	c := a.of(s)
	if a.server.opt.Parser == ParserMsgpack {
		a.reject(l, s, faultMsgpack)
		return
	}
	if c.assembly != nil {
		a.reject(l, s, faultMissing)
		return
	}
	k, bad := parsePacket(p)
	if bad == "" {
		bad = k.checkPayload()
	}
	switch {
	case bad != "":
		a.reject(l, s, bad)
	case k.attachments > 0:
		if bad := checkTarget(c, &k); bad != "" {
			a.reject(l, s, bad)
			return
		}
		a.assemble(l, c, p)
	default:
		a.handle(l, s, c, &k, nil)
	}
}

// checkTarget refuses a packet for a namespace that the client is not in, before its attachments
// are collected.
func checkTarget(c *client, k *packet) fault {
	name, _ := splitNamespace(k.namespace)
	if c.socket(name) == nil && !c.wasIn(name) {
		return faultNotJoined
	}
	return ""
}

// faultNotJoined is a packet for a namespace that the client has never been in.
const faultNotJoined fault = "packet for a namespace that was not joined"

// Binary handles a binary message: an attachment, or with ParserMsgpack a packet.
func (a app) Binary(l *netpoll.Loop, s *engineio.Session, p []byte) {
	c := a.of(s)
	if a.server.opt.Parser == ParserMsgpack {
		k, attachments, bad := parseMsgpack(p)
		if bad == "" {
			bad = k.checkPayload()
		}
		if bad != "" {
			a.reject(l, s, bad)
			return
		}
		a.handle(l, s, c, &k, attachments)
		return
	}
	if c.assembly == nil {
		a.reject(l, s, faultStray)
		return
	}
	complete, bad := c.assembly.add(p, a.engine.PayloadBytesMax())
	a.assembled += int64(len(p))
	if bad != "" {
		a.forgetAssembly(c)
		a.reject(l, s, bad)
		return
	}
	if !complete {
		return
	}
	whole := a.forgetAssembly(c)
	k := whole.packet
	if bad := k.checkPayload(); bad != "" {
		a.reject(l, s, bad)
		return
	}
	a.handle(l, s, c, &k, whole.attachments)
}

// Upgraded changes the transport of the client's sockets. Packets look the same on both.
func (a app) Upgraded(_ *netpoll.Loop, s *engineio.Session) {
	for _, socket := range a.of(s).sockets() {
		socket.mu.Lock()
		socket.webSocket = true
		var upgraded []func()
		if socket.more != nil {
			upgraded = socket.more.upgraded
		}
		socket.mu.Unlock()
		for _, f := range upgraded {
			f()
		}
	}
}

// Closed removes the client of a session. Its sockets leave their namespaces.
func (a app) Closed(l *netpoll.Loop, s *engineio.Session, r engineio.Reason) {
	c := a.of(s)
	who := c.who
	a.shard.Leave(s.Member())
	for _, socket := range c.sockets() {
		a.leave(l, c, socket, reasonOf(r))
	}
	a.forgetAssembly(c)
	if c.greeted && a.watch.Left != nil {
		a.watch.Left(c.session, c.who, r)
	}
	a.clients.Free(s.Value())
	a.server.connected.Add(-1)
	a.server.forms[s.Form()].Add(-1)
	if a.watch.Closed != nil {
		a.watch.Closed(l, s, who, r)
	}
}

// reject closes the connection of a client that violated the protocol.
func (r *reactor) reject(l *netpoll.Loop, s *engineio.Session, bad fault) {
	r.server.opt.Logger.Debug("a client is disconnected for what it sent", slog.String("conn", s.ID().String()), slog.String("fault", string(bad)))
	r.engine.Close(l, s, engineio.ReasonForcedClose, 0, "")
}

// handle processes a complete packet.
func (r *reactor) handle(l *netpoll.Loop, s *engineio.Session, c *client, k *packet, attachments [][]byte) {
	name, query := splitNamespace(k.namespace)
	if k.kind == typeConnect {
		r.connectRequest(l, s, c, k, name, query)
		return
	}
	socket := c.socket(name)
	if socket == nil || socket.state == socketConnecting { // state changes on this loop only
		if socket != nil || !c.wasIn(name) {
			r.reject(l, s, faultNotJoined)
		}
		return
	}
	switch k.kind {
	case typeDisconnect:
		r.unsubscribeAll(l, s, socket)
		c.remove(socket)
		r.leave(l, c, socket, ReasonClient)
	case typeEvent:
		r.event(l, s, socket, k, attachments)
	case typeAck:
		args, bad := splitArray(r.elements[:0], k.payload)
		if bad == "" {
			bad = checkPlaceholders(args, len(attachments))
		}
		if bad == "" && !k.hasID {
			bad = faultPayload
		}
		if bad != "" {
			r.reject(l, s, bad)
			return
		}
		socket.acknowledged(k.id, Args{raw: args, attachments: attachments})
	default:
		r.reject(l, s, faultType) // only a server sends CONNECT_ERROR
	}
}

// event passes an event on to its socket.
func (r *reactor) event(l *netpoll.Loop, s *engineio.Session, socket *Socket, k *packet, attachments [][]byte) {
	name, args, bad := splitEvent(r.elements[:0], k.payload)
	if bad == "" {
		bad = checkPlaceholders(args, len(attachments))
	}
	if bad != "" {
		r.reject(l, s, bad)
		return
	}
	ack := Ack(noAnswer)
	if k.hasID {
		ack = socket.answer(k.id)
	}
	socket.dispatch(name, Args{raw: args, attachments: attachments}, ack)
}

// connectRequest handles a CONNECT packet.
func (r *reactor) connectRequest(l *netpoll.Loop, s *engineio.Session, c *client, k *packet, name, query []byte) {
	v3 := s.Version() == 3
	if c.socket(name) != nil {
		if v3 && string(name) == rootNamespace {
			return // it joined when the session opened; some clients send CONNECT nevertheless
		}
		r.reject(l, s, "namespace was joined already")
		return
	}
	var auth json.RawMessage
	switch {
	case v3:
		auth = queryAuth(query)
	case len(query) > 0:
		r.refuse(l, s, k.namespace, errInvalidNamespace) // in protocol 5 a question mark is part of the name, and no name has one
		return
	case len(k.payload) > 0:
		auth = append(auth, k.payload...)
	}
	r.connect(l, s, c, name, auth)
}
