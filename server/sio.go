// Socket.IO on the node: /socket.io/, and the topics as its clients see them.

package server

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"c100k/broadcast"
	"c100k/internal/auth"
	"c100k/internal/edge"
	"c100k/internal/engineio"
	"c100k/internal/history"
	"c100k/internal/jsontext"
	"c100k/internal/node"
	"c100k/internal/proto"
	"c100k/internal/sio"
	"c100k/internal/topicws"
	"c100k/netpoll"
	"c100k/socketio"
)

// sioPath is where Socket.IO is served. The client's scripts are below it.
const sioPath = "/socket.io/"

const rowSIO = "socketio"

// makeSIO takes the server of the configuration, or makes the node's own.
func (s *Server) makeSIO() {
	if s.cfg.NoSocketIO {
		return
	}
	s.sio = s.cfg.SocketIO
	if s.sio == nil {
		t, opt := sioTopics{s}, socketio.Options{Logger: s.log}
		if s.recovers() {
			opt.Recovery = &socketio.Recovery{}
		}
		s.sio = socketio.New(opt)
		sio.SetOutside(s.sio, t.outside)
		s.sio.OnConnection(t.joined)
		s.sio.On("subscribe", t.subscribe)
		s.sio.On("unsubscribe", t.unsubscribe)
		s.sio.On("publish", t.publish)
		s.sio.Of("/").OnDisconnect(t.left)
	}
}

// sioRow is the protocol's row.
func (s *Server) sioRow() proto.Row {
	row := proto.Row{
		Name: rowSIO, Transport: "socketio", CountsClients: true, Paths: []string{sioPath}, Roles: 3, New: s.newSIO,
		HTTP: func(w http.ResponseWriter, r *http.Request) bool {
			return strings.HasPrefix(r.URL.Path, sioPath) && s.forwardRequest(w, r) || strings.HasPrefix(r.URL.Path, sioPath) && socketio.ServeClient(w, r, strings.TrimPrefix(r.URL.Path, sioPath))
		},
	}
	for f := range engineio.FormCount {
		row.Encoders = append(row.Encoders, encodeSIO(f))
	}
	if s.recovers() {
		// That of clients that can be recovered: encodeKept makes their messages.
		row.Encoders, row.Personal = append(row.Encoders, encodeSIO(engineio.FormV4)), 1<<engineio.FormCount
	}
	return row
}

// newSIO makes the part of a loop. A client has one of three roles: an HTTP connection with
// requests of a client that polls, a WebSocket, and the record without a socket of one that began
// with polling.
func (s *Server) newSIO(p *proto.Place) proto.Part {
	if p.Loop == 0 {
		s.sioParts, s.sioVerdicts = sio.Host(s.sio, s.loopBase(), p.Loops, s.cfg.Outbox, p.Wake), make([]sioVerdicts, p.Loops)
	}
	part, count := s.sioParts[p.Loop], p.Count
	e := part.Attach(engineio.Config{
		Roles: engineio.Roles{Head: node.RoleHead, Polling: p.Role, Socket: p.Role + 1, Session: p.Role + 2},
		Node:  tagOf(s.cfg.Advertise), Process: p.Process, Loop: uint8(p.Loop), Move: p.Move, Keep: p.Keep,
		AllowV3:      s.cfg.SocketIOV2,
		PingInterval: max(s.cfg.PingInterval, 0), PingTimeout: s.cfg.PingTimeout,
		PayloadBytesMax: s.cfg.MaxMessage, OutboxBytesMax: s.cfg.Outbox, Rate: s.cfg.Rate, RateBurst: s.cfg.RateBurst, ByteRate: s.cfg.ByteRate,
		Compress: s.cfg.Compress, Origins: s.origins,
		Address: p.Edge.ClientAddr, Edge: p.Edge,
		Draining: p.Draining,
		Refused:  s.rejected.add,
		Shard:    p.Shard, Sink: p.Sink, Counters: &s.loops[p.Loop].counters, Seed: s.seed + uint64(p.Loop),
		Farewell: p.Farewell, Inherit: p.Inherit, Who: part.Who, Tap: p.Tap, Encode: s.encodeKept(p.Loop),
	}, s.watchSIO(count))
	serve := func(l *netpoll.Loop, c *netpoll.Conn, h *edge.Head, rest []byte, _ *auth.Principal) edge.Decision {
		if s.elsewhere(h) {
			return edge.NotOurs
		}
		// A WebSocket keeps its connection. A proxy may use that of a poll for other clients too.
		if !h.UpgradeRequested() || p.Edge.AdmitClient(l, c, h) {
			e.Serve(l, c, h, rest)
		}
		return edge.Handled
	}
	returned := func(l *netpoll.Loop, c *netpoll.Conn, h *edge.Head, rest []byte, _ *auth.Principal) edge.Decision {
		e.ServeHere(l, c, h, rest)
		return edge.Handled
	}
	first := func(l *netpoll.Loop, c *netpoll.Conn, h *edge.Head, rest []byte, who *auth.Principal) edge.Decision {
		switch refusal, decided := s.checkSIO(h); {
		case refusal != nil:
			p.Edge.Refuse(l, c, h, refusal)
			return edge.Handled
		case !decided:
			return edge.Wait
		}
		return serve(l, c, h, rest, who)
	}
	ask := func(l *netpoll.Loop, c *netpoll.Conn, h *edge.Head, t edge.Ticket) {
		q := s.questionOf(l, c, h, p.Edge, rowSIO, answerTo(t))
		q.tokenOnly = true
		s.ask(q)
	}
	return proto.Part{
		Protocols: e.Protocols(func(dst []byte, f broadcast.Form, topic string, missed uint32) []byte {
			form := engineio.Form(f - p.Form)
			if form == engineio.FormCount {
				form = engineio.FormV4
			}
			return appendSIOGap(dst, form, topic, missed)
		}),
		Serve: first, Ask: ask, Resume: resumed(serve), ServeReturned: returned, Made: part.Run, BeforeDeliver: sioTopics{s}.decided(p.Loop), Deliver: part.Deliver,
	}
}

// sioReasons are the reasons of Engine.IO as those of the figures.
var sioReasons = map[engineio.Reason]netpoll.Reason{
	engineio.ReasonTransportClose: netpoll.ReasonPeer, engineio.ReasonTransportError: netpoll.ReasonReset,
	engineio.ReasonPingTimeout: netpoll.ReasonTimeout, engineio.ReasonParseError: netpoll.ReasonProtocol,
	engineio.ReasonForcedClose: netpoll.ReasonLocal, engineio.ReasonShutdown: netpoll.ReasonDrain,
	engineio.ReasonSlow: netpoll.ReasonSlow, engineio.ReasonAdmin: netpoll.ReasonAdmin,
	engineio.ReasonMemory: netpoll.ReasonMemory, engineio.ReasonExpired: netpoll.ReasonExpired, engineio.ReasonRevoked: netpoll.ReasonRevoked,
}

// sioTopics are the node's topics for clients of Socket.IO. Its methods are handlers: on the
// client's loop.
type sioTopics struct{ s *Server }

// sioAnswer acknowledges an event of these.
type sioAnswer struct {
	OK      bool `json:"ok"`
	Matched *int `json:"matched,omitempty"`
	// Partial says that not all nodes were reached, and NodesUnreached how many of those that are
	// known.
	Partial        bool `json:"partial,omitempty"`
	NodesUnreached int  `json:"nodes_unreached,omitempty"`

	Code    string `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
}

// sioRefusal is an answer that says no, in the codes of the topic protocol.
func sioRefusal(code topicws.Code, message string) sioAnswer {
	return sioAnswer{Code: string(code), Message: message}
}

// place is where a socket is a member of topics; there is false if the client has left.
func (t sioTopics) place(socket *socketio.Socket) (shard *broadcast.Shard, member uint32, form broadcast.Form, there bool) {
	i := socket.Conn().Loop() - t.s.loopBase()
	session := t.s.sioParts[i].Endpoint().Lookup(t.s.node.Loop(i), socket.Conn())
	if session == nil {
		return nil, 0, 0, false
	}
	first, _ := t.s.node.Table().Form(rowSIO)
	return t.s.node.Shard(i), session.Member(), first + broadcast.Form(session.Form()), true
}

// topics reads the first argument: a topic, or a list of topics.
func (t sioTopics) topics(args socketio.Args) (topics []string, no sioAnswer) {
	var one string
	if args.Len() == 0 || args.Decode(0, &one) != nil {
		if args.Len() == 0 || args.Decode(0, &topics) != nil {
			return nil, sioRefusal(topicws.CodeBadRequest, "the first argument is a topic, or a list of topics")
		}
	} else {
		topics = []string{one}
	}
	if len(topics) > topicws.TopicsPerCommandMax {
		return nil, sioRefusal(topicws.CodeTooManyTopics, "at most "+strconv.Itoa(topicws.TopicsPerCommandMax)+" topics at once")
	}
	for _, topic := range topics {
		if err := broadcast.ValidTopic(topic); err != nil {
			return nil, sioRefusal(topicws.CodeInvalidTopic, err.Error())
		}
	}
	return topics, sioAnswer{}
}

// add subscribes to all of the topics or none.
func (t sioTopics) add(socket *socketio.Socket, topics []string) sioAnswer {
	if _, _, _, there := t.place(socket); !there {
		return sioAnswer{}
	}
	t.note(socket)
	var fresh []string
	for _, topic := range topics {
		r, err := t.enter(socket, topic, history.From{})
		if err != nil {
			for _, topic := range fresh {
				t.exit(socket, topic)
			}
			if errors.Is(err, broadcast.ErrTopicsPerMember) {
				return sioRefusal(topicws.CodeTooManyTopics, err.Error())
			}
			return sioRefusal(topicws.CodeOverloaded, err.Error())
		}
		if r.Added {
			fresh = append(fresh, topic)
		}
	}
	return sioAnswer{OK: true}
}

// sioPublished is the answer to a publish.
func sioPublished(r topicws.Published) sioAnswer {
	if r.Err != nil {
		return sioRefusal(topicws.CodeUnavailable, r.Err.Error())
	}
	if r.Dropped > 0 && r.Queued == 0 {
		return sioRefusal(topicws.CodeOverloaded, "the node has more to deliver than it can hold; the message was dropped")
	}
	return sioAnswer{OK: true, Matched: &r.Matched, Partial: r.Partial, NodesUnreached: r.Unreached}
}

// sioPayload is what is published: a string as text, binary as bytes, anything else as JSON, as
// from all other clients. Binary data inside JSON is an object {"$binary":"…"}; see
// docs/socketio.md.
func sioPayload(args socketio.Args) (kind broadcast.Kind, payload []byte, reason string) {
	if data, ok := args.Bytes(1); ok {
		return broadcast.Binary, data, ""
	}
	text, reason := sio.BinaryJSON(args, 1)
	if reason != "" {
		return 0, nil, reason
	}
	payload = append([]byte(nil), text...)
	if payload[0] == '"' {
		if text, fault := jsontext.Unescape(payload[1 : len(payload)-1]); fault == "" {
			return broadcast.Text, text, ""
		}
	}
	return broadcast.JSON, payload, ""
}

// left ends the subscriptions of a client that has left "/". One that has closed has left the shard
// already.
func (t sioTopics) left(socket *socketio.Socket, _ socketio.Reason) {
	t.forget(socket)
	if shard, member, _, there := t.place(socket); there {
		shard.Leave(member)
	}
	delete(t.loop(socket).sioClients, socket.Conn())
	delete(t.loop(socket).sioKept, socket.Conn())
}

// note keeps who a client is, for presence: its connection does not know.
func (t sioTopics) note(socket *socketio.Socket) {
	who := sio.Principal(socket)
	if t.s.attendance == nil || who == nil {
		return
	}
	l := t.loop(socket)
	if l.sioClients == nil {
		l.sioClients = map[netpoll.ID]*auth.Principal{}
	}
	l.sioClients[socket.Conn()] = who
}

// encodeSIO makes the encoder of one of the forms.
func encodeSIO(f engineio.Form) broadcast.Encoder {
	return func(dst []byte, m *broadcast.Message) []byte { return appendSIOMessage(dst, f, m, nil) }
}

// appendSIOMessage makes a topic's message an event "message" with {topic, data} and, in a topic
// with history, {offset}. resume is what a client that is recovered sends back; nil for nothing.
func appendSIOMessage(dst []byte, f engineio.Form, m *broadcast.Message, resume []byte) []byte {
	data, attachments := m.Payload, [][]byte(nil)
	switch m.Kind {
	case broadcast.Binary:
		data, attachments = []byte(`{"_placeholder":true,"num":0}`), [][]byte{m.Payload}
	case broadcast.JSON:
		data, attachments = sio.SplitBinaryJSON(data)
	}
	text := make([]byte, 0, len(data)+len(m.Topic)+64)
	if len(attachments) > 0 {
		text = append(strconv.AppendInt(append(text, '5'), int64(len(attachments)), 10), '-')
	} else {
		text = append(text, '2')
	}
	text = jsontext.AppendString(append(text, `["message",{"topic":`...), m.Topic)
	text = append(text, `,"data":`...)
	if m.Kind == broadcast.Text {
		text = jsontext.AppendString(text, data)
	} else {
		text = append(text, data...)
	}
	text = append(text, '}')
	if p, ok := m.Position(); ok {
		text = append(history.AppendPosition(append(text, `,{"offset":"`...), p), `"}`...)
	}
	if resume != nil {
		text = append(append(append(text, `,"`...), resume...), '"')
	}
	return engineio.AppendMessage(dst, f, append(text, ']'), attachments...)
}

// appendSIOGap makes an event "gap" with {topic, missed}.
func appendSIOGap(dst []byte, f engineio.Form, topic string, missed uint32) []byte {
	text := jsontext.AppendString([]byte(`2["gap",{"topic":`), topic)
	text = strconv.AppendUint(append(text, `,"missed":`...), uint64(missed), 10)
	return engineio.AppendMessage(dst, f, append(text, "}]"...))
}
