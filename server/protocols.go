// The protocols of the node, one row each, and how requests for /ws, /sse, /echo and /broadcast
// begin.

package server

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"c100k/broadcast"
	"c100k/frame"
	"c100k/internal/auth"
	"c100k/internal/echo"
	"c100k/internal/edge"
	"c100k/internal/history"
	"c100k/internal/longpoll"
	"c100k/internal/proto"
	"c100k/internal/sse"
	"c100k/internal/topicws"
	"c100k/internal/wsapp"
	"c100k/internal/wsconn"
	"c100k/netpoll"
)

// The names of the rows that others refer to.
const (
	rowTopics = "topics"
	rowSSE    = "sse"
)

const pathSSE = "/sse"

// subprotocol is the enveloped form's name in the handshake.
const subprotocol = "c100k.v1"

var subprotocols = []string{subprotocol}

// The refusals of our own paths, beside those of the edge.
var (
	refuseTopic     = &edge.Refusal{Status: 400, Label: "bad_topic", Reason: "a topic is 1 to 255 bytes of UTF-8 without control characters"}
	refuseNoTopic   = &edge.Refusal{Status: 400, Label: "bad_topic", Reason: "the query names no topic: ask for ?topic=NAME, or speak " + subprotocol + " to choose topics later"}
	refuseForbidden = &edge.Refusal{Status: 403, Label: "forbidden", Reason: "a topic of the query is not open to this client: it needs a token with the right to subscribe, or --public-topics"}
	refuseNotGet    = &edge.Refusal{Status: 405, Label: "bad_handshake", Reason: "a stream of events is asked for with GET", Allow: "GET"}
	refuseForm      = &edge.Refusal{Status: 400, Label: "bad_handshake", Reason: "a stream of events has the form " + subprotocol + ", or without ?form= none"}
	refuseBody      = &edge.Refusal{Status: 400, Label: "bad_handshake", Reason: "a request for a stream has no body"}
)

// rows are the protocols of the node.
func (s *Server) rows() ([]proto.Row, error) {
	rows := []proto.Row{{
		Name: rowTopics, Transport: "websocket", Paths: []string{"/ws"}, Judge: s.judgeTaken, New: s.newTopics,
		Encoders: topicws.Encoders(),
	}, {
		Name: rowSSE, Transport: "sse", Paths: []string{pathSSE}, Judge: s.judgeTaken, New: s.newSSE, HTTP: s.preflight,
		// The epoch tells this process's event ids from those of all others.
		Encoders: []broadcast.Encoder{
			sse.NewEncoder(strconv.FormatUint(s.seed, 36)), sse.EncodeSeveral,
			sse.NewEnveloper(topicws.AppendMessage), sse.NewEnveloper(topicws.AppendMessage),
		},
		Personal: 1<<1 | 1<<3,
	}, {
		Name: rowPoll, Transport: "poll", CountsClients: true, Paths: []string{pathPoll}, Judge: s.judgeTaken, New: s.newPoll, HTTP: s.preflight,
		Encoders: []broadcast.Encoder{longpoll.Encode},
	}}
	if s.cfg.DemoEndpoints {
		rows = append(rows,
			proto.Row{Name: "echo", Transport: "websocket", Paths: []string{"/echo"}, Judge: s.judgeTaken, New: s.newEcho},
			proto.Row{Name: "broadcast", Transport: "websocket", Paths: []string{"/broadcast"}, Judge: s.judgeTaken, New: s.newBroadcast})
	}
	if s.sio != nil {
		rows = append(rows, s.sioRow())
	}
	return s.addWebSockets(rows)
}

// addWebSockets adds the rows of the program's own WebSocket servers. Their wire forms are those of
// the topic protocol without an envelope.
func (s *Server) addWebSockets(rows []proto.Row) ([]proto.Row, error) {
	for _, path := range slices.Sorted(maps.Keys(s.cfg.WebSockets)) {
		row, err := wsapp.Mount(s.cfg.WebSockets[path], wsapp.Host{
			Path: path, Forms: rowTopics, Origins: s.origins, LoopBase: s.loopBase(), Publish: s.publishPost,
			Counters: func(loop int) *wsconn.Counters { return &s.loops[loop].counters },
			Identify: s.identifyClients, Begin: s.beginClient,
		})
		if err != nil {
			return nil, &SettingError{"WebSockets", fmt.Errorf("path %q: %w", path, err)}
		}
		row.Judge = s.judgeTaken
		rows = append(rows, row)
	}
	return rows, nil
}

// identifyClients makes the routes of a program's own server, whose origins are its own.
func (s *Server) identifyClients(p *proto.Place, serve proto.Route) (part proto.Part) {
	part.Serve, part.Ask, part.Resume = s.identifying(p, "websocket", s.identifyToken, serve)
	return part
}

// beginClient counts a connection of a program's own server for its user, or refuses it: a
// wsapp.Host.Begin.
func (s *Server) beginClient(l *netpoll.Loop, c *netpoll.Conn, e *edge.Config, h *edge.Head, who *auth.Principal) *edge.Refusal {
	if refusal := s.admitUser(who); refusal != nil {
		return refusal
	}
	s.began(l, c, e, "websocket", &arrival{head: h, who: who})
	return nil
}

// webSocket is the settings of all WebSocket protocols at a place.
func (s *Server) webSocket(p *proto.Place) wsconn.Config {
	return wsconn.Config{
		MessageBytesMax: s.cfg.MaxMessage, OutboxBytesMax: s.cfg.Outbox,
		PingInterval: max(s.cfg.PingInterval, 0), PingTimeout: s.cfg.PingTimeout,
		Rate: s.cfg.Rate, RateBurst: s.cfg.RateBurst, ByteRate: s.cfg.ByteRate, Principals: p.Principals,
		Shard: p.Shard, Sink: p.Sink, Seed: s.seed + uint64(p.Loop), Counters: &s.loops[p.Loop].counters,
		Farewell: p.Farewell, Tap: p.Tap,
	}
}

func (s *Server) newTopics(p *proto.Place) proto.Part {
	var ask func(string, broadcast.Post, func(topicws.Published)) error
	if s.cfg.Bus != BusMemory {
		ask = s.publishLater
	}
	var prepare func([]string, []history.From, func(error)) bool
	if s.past.engine {
		ask, prepare = s.publishLater, s.prepare
	}
	c := topicws.Config{
		Prepare:   prepare,
		WebSocket: s.webSocket(p), Publish: s.publishPost, Ask: ask, From: s.from,
		Forms:        topicws.FormsFrom(p.Form),
		MaySubscribe: s.maySubscribe, MayPublish: s.mayPublish, MayResume: s.mayResume, Enter: func(who *auth.Principal) string { return reasonOf(s.admitUser(who)) },
		DecideSubscribe: s.decider(s.hooks.subscribe, "websocket"), DecidePublish: s.decider(s.hooks.publish, "websocket"),
		Identify: s.identifyConn(p, "websocket"),
	}
	if a := s.attendance; a != nil {
		c.Presence, c.MayWatch = a, s.mayWatch
		c.Renamed = func(c *netpoll.Conn, old, who *auth.Principal) { a.renamed(p.Shard, c, old, who) }
	}
	h := topicws.NewHandler(c)
	b := s.begin(p, "websocket")
	part := proto.Part{
		Protocols: []proto.Protocol{h},
		BeforeDeliver: func(l *netpoll.Loop) {
			h.Acknowledge(l) // publishes that other nodes have counted
			h.Decided(l)     // commands about which the backend has decided
		},
	}
	part.Serve, part.Ask, part.Resume = s.admitted(p, "websocket", b.serve(func(l *netpoll.Loop, c *netpoll.Conn, r *arrival) *edge.Refusal {
		return b.topics(l, c, h, r)
	}))
	return part
}

func (s *Server) newSSE(p *proto.Place) proto.Part {
	h := sse.NewHandler(sse.Config{
		Shard: p.Shard, Sink: p.Sink, Form: p.Form, Several: p.Form + 1, Principals: p.Principals,
		Enveloped: p.Form + 2, EnvelopedSeveral: p.Form + 3, Envelope: topicws.AppendMessage,
		PingInterval: max(s.cfg.PingInterval, 0), PingTimeout: s.cfg.PingTimeout, Seed: s.seed + uint64(p.Loop),
		Presence: s.attendance,
	})
	b := s.begin(p, "sse")
	part := proto.Part{Protocols: []proto.Protocol{h}}
	serve, ask, resume := s.admitted(p, "sse", b.serve(func(l *netpoll.Loop, c *netpoll.Conn, r *arrival) *edge.Refusal {
		return b.sse(l, c, h, r)
	}))
	part.Ask, part.Resume = ask, resume
	part.Serve = func(l *netpoll.Loop, c *netpoll.Conn, h *edge.Head, rest []byte, who *auth.Principal) edge.Decision {
		if string(h.Method()) == http.MethodOptions {
			return edge.NotOurs // preflight answers
		}
		return serve(l, c, h, rest, who)
	}
	return part
}

func (s *Server) newEcho(p *proto.Place) proto.Part {
	ws := s.webSocket(p)
	ws.Shard, ws.Sink = nil, nil
	h := echo.NewEcho(ws)
	return s.demo(p, h, h.Open)
}

func (s *Server) newBroadcast(p *proto.Place) proto.Part {
	first, _ := p.Table.Form(rowTopics)
	forms := topicws.FormsFrom(first)
	h := echo.NewBroadcast(echo.BroadcastConfig{
		WebSocket: s.webSocket(p), Publish: s.publishChecked, Form: forms.BareOf,
	})
	return s.demo(p, h, h.Open)
}

// demo is the part of a protocol that needs nothing but a WebSocket.
func (s *Server) demo(p *proto.Place, h proto.Protocol, open func(l *netpoll.Loop, c *netpoll.Conn, window frame.Window, who *auth.Principal)) proto.Part {
	b := s.begin(p, "websocket")
	part := proto.Part{Protocols: []proto.Protocol{h}}
	part.Serve, part.Ask, part.Resume = s.admitted(p, "websocket", b.serve(func(l *netpoll.Loop, c *netpoll.Conn, r *arrival) *edge.Refusal {
		if refusal := edge.CheckUpgrade(r.head); refusal != nil {
			return refusal
		}
		window := b.switchProtocols(l, c, r.head, "")
		l.Become(c, b.role)
		open(l, c, window, r.who)
		l.Redeliver(c, r.rest)
		return nil
	}))
	return part
}

// beginning begins the streams of one protocol on one loop. Loop only.
type beginning struct {
	*Server
	role      netpoll.Role
	transport string
	edge      *edge.Config

	topicN []string // the topics of the request in hand
	answer []byte   // the answer to it
}

// arrival is a request for a stream, whose client is identified or not.
type arrival struct {
	head *edge.Head
	rest []byte // what arrived behind it
	who  *auth.Principal
}

func (s *Server) begin(p *proto.Place, transport string) *beginning {
	return &beginning{Server: s, role: p.Role, transport: transport, edge: p.Edge}
}

// serve makes a proto.Route of a function that begins one stream, or refuses it.
func (b *beginning) serve(f func(l *netpoll.Loop, c *netpoll.Conn, r *arrival) *edge.Refusal) proto.Route {
	return func(l *netpoll.Loop, c *netpoll.Conn, h *edge.Head, rest []byte, who *auth.Principal) edge.Decision {
		refusal := b.judge(h)
		if refusal == nil {
			if !b.edge.AdmitClient(l, c, h) {
				return edge.Handled
			}
			refusal = b.beginStream(l, c, &arrival{h, rest, who}, f)
		}
		if refusal != nil {
			b.edge.Refuse(l, c, h, refusal)
		}
		return edge.Handled
	}
}

// beginStream begins one with f, and counts it for its user.
func (b *beginning) beginStream(l *netpoll.Loop, c *netpoll.Conn, r *arrival, f func(l *netpoll.Loop, c *netpoll.Conn, r *arrival) *edge.Refusal) *edge.Refusal {
	refusal := b.admitUser(r.who)
	if refusal != nil {
		return refusal
	}
	if refusal = f(l, c, r); refusal != nil {
		b.leaveUser(r.who)
		return refusal
	}
	b.began(l, c, b.edge, b.transport, r)
	return nil
}

// judge holds for all our paths: a node that goes down begins nothing, and the page of another
// origin must have been allowed.
func (s *Server) judge(h *edge.Head) *edge.Refusal {
	accept, _ := h.Get("accept")
	if s.draining() && !isEventSource(string(h.Path()), string(accept)) {
		return edge.RefuseDraining
	}
	return s.origins.Check(h)
}

// judgeTaken is what can be said of a request before its socket is taken over from net/http.
func (s *Server) judgeTaken(r *http.Request) *edge.Refusal {
	switch {
	case r.ContentLength > 0 || len(r.TransferEncoding) > 0:
		return refuseBody
	case s.draining() && !isEventSource(r.URL.Path, r.Header.Get("Accept")):
		return edge.RefuseDraining
	}
	return nil
}

// isEventSource tells whether a request is that of an EventSource. For it any status but 200 is
// final (WHATWG HTML, 9.2.3), and it would never come back after a restart; so a node that goes
// down answers it with a stream that ends at once and says when to return.
func isEventSource(path, accept string) bool {
	return path == pathSSE && strings.Contains(accept, "text/event-stream")
}

// readTopics takes the topics out of the query; each must be valid and open to this client.
func (b *beginning) readTopics(r *arrival) *edge.Refusal {
	var refusal *edge.Refusal
	b.topicN, refusal = edge.QueryValues(b.topicN[:0], r.head.Query(), "topic")
	if refusal != nil {
		return refusal
	}
	for _, topic := range b.topicN {
		if broadcast.ValidTopic(topic) != nil {
			return refuseTopic
		}
		if !b.mayBegin(r.who, topic) {
			return refuseForbidden
		}
	}
	return nil
}

// topics begins a WebSocket of the topic protocol.
func (b *beginning) topics(l *netpoll.Loop, c *netpoll.Conn, h *topicws.Handler, r *arrival) *edge.Refusal {
	if refusal := edge.CheckUpgrade(r.head); refusal != nil {
		return refusal
	}
	protocol, refusal := edge.SelectProtocol(r.head, subprotocols)
	if refusal != nil {
		return refusal
	}
	if refusal := b.readTopics(r); refusal != nil {
		return refusal
	}
	b.topicN = r.who.AppendJoin(b.topicN)
	p := topicws.Params{Bare: protocol == "", Topics: b.topicN, Who: r.who}
	if p.From, refusal = b.readFrom(r, false); refusal != nil {
		return refusal
	}
	if p.Bare && len(p.Topics) == 0 {
		return refuseNoTopic // without an envelope there is no way to name one later
	}
	p.Window = b.switchProtocols(l, c, r.head, protocol)
	l.Become(c, b.role)
	h.Open(l, c, p)
	l.Redeliver(c, r.rest)
	return nil
}

// switchProtocols answers 101, and returns the window of permessage-deflate if that was agreed on.
func (b *beginning) switchProtocols(l *netpoll.Loop, c *netpoll.Conn, h *edge.Head, protocol string) (window frame.Window) {
	var extensions []byte
	if b.cfg.Compress {
		if offers := h.Extensions(); len(offers) > 0 {
			extensions, window = frame.NegotiateDeflate(offers)
		}
	}
	b.answer = h.Mount().Insert(edge.AppendSwitching(b.answer[:0], h.Key(), protocol, extensions), 0)
	l.Send(c, b.answer)
	return window
}

// sse begins a stream of events.
func (b *beginning) sse(l *netpoll.Loop, c *netpoll.Conn, h *sse.Handler, r *arrival) *edge.Refusal {
	if string(r.head.Method()) != "GET" {
		return refuseNotGet
	}
	if r.head.HasBody() {
		return refuseBody
	}
	if refusal := b.readTopics(r); refusal != nil {
		return refusal
	}
	form, refusal := queryValue(r.head.Query(), "form")
	switch {
	case refusal != nil:
		return refusal
	case form != "" && form != subprotocol:
		return refuseForm
	}
	watch, refusal := b.readWatch(r)
	if refusal != nil {
		return refusal
	}
	// An enveloped stream without topics says that the node is there.
	if b.topicN = r.who.AppendJoin(b.topicN); len(b.topicN) == 0 && len(watch) == 0 && form == "" {
		return refuseNoTopic
	}
	p := sse.Params{Enveloped: form != "", Watch: watch, Topics: b.topicN, Kept: slices.ContainsFunc(b.topicN, b.past.kept), Lines: r.head.Mount().Lines(), Who: r.who}
	if p.From, refusal = b.readFrom(r, true); refusal != nil {
		return refusal
	}
	p.AllowOrigin, p.AllowCredentials = b.eventOrigin(r.head)
	l.Become(c, b.role)
	h.Open(l, c, p)
	if b.draining() {
		h.Drain(l, c)
	}
	return nil
}
