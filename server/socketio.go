// Socket.IO on the node: /socket.io/, and the topics as its clients see them.

package server

import (
	"errors"
	"strconv"

	"c100k/broadcast"
	"c100k/internal/edge"
	"c100k/internal/engineio"
	"c100k/internal/jsontext"
	"c100k/internal/topicws"
	"c100k/netpoll"
	"c100k/socketio"
)

// sioPath is where Socket.IO is served. The client's scripts are below it.
const sioPath = "/socket.io/"

// isSIO tells whether a connection's role is one of Socket.IO's.
func isSIO(role netpoll.Role) bool {
	return role == roleSIOPolling || role == roleSIOSocket || role == roleSIOSession
}

// makeSIO makes the server of the configuration, or the node's own.
func (s *Server) makeSIO() {
	if s.cfg.NoSocketIO {
		return
	}
	s.sio = s.cfg.SocketIO
	if s.sio == nil {
		s.sio = socketio.New(socketio.Options{Logger: s.log})
		t := sioTopics{s}
		s.sio.On("subscribe", t.subscribe)
		s.sio.On("unsubscribe", t.unsubscribe)
		s.sio.On("publish", t.publish)
		s.sio.Of("/").OnDisconnect(t.left)
	}
	s.sioParts = s.sio.Host(s.cfg.Loops, s.cfg.Outbox, func(i int) { s.reactors[i].loop.Remote().Wake() })
}

// attachSIO gives a loop its roles of Socket.IO.
func (s *Server) attachSIO(r *reactor, i int, opt *netpoll.Options) {
	if s.sio == nil {
		return
	}
	r.sio = s.sioParts[i]
	count := &s.transports[transportSocketIO]
	e := r.sio.Attach(engineio.Config{
		Roles:   engineio.Roles{Head: roleHead, Polling: roleSIOPolling, Socket: roleSIOSocket, Session: roleSIOSession},
		Process: s.workerNumber(), Loop: uint8(i), Move: s.moveSIO,
		AllowV3:      s.cfg.SocketIOV2,
		PingInterval: max(s.cfg.PingInterval, 0), PingTimeout: s.cfg.PingTimeout,
		PayloadBytesMax: s.cfg.MaxMessage, OutboxBytesMax: s.cfg.Outbox, Rate: s.cfg.Rate, RateBurst: s.cfg.RateBurst,
		Compress: s.cfg.Compress, Origins: s.origins,
		Address:  r.edge.ClientAddr,
		Draining: s.draining.Load,
		Refused:  s.rejected.add,
		Shard:    r.shard, Sink: &r.sink, Counters: &r.counters, Seed: s.seed + uint64(i),
	}, socketio.Watch{
		Opened: func() { count.opened.Add(1) },
		Closed: func(reason engineio.Reason) { count.closed[sioReasons[reason]].Add(1) },
	})
	opt.Handlers[roleSIOPolling], opt.Handlers[roleSIOSocket], opt.Handlers[roleSIOSession] =
		e.PollingHandler(), e.SocketHandler(), e.SessionHandler()
	opt.Handlers[roleSIOReturned] = s.returnedHandler(r)
}

// sioReasons are the ends of clients as labels of the metrics.
var sioReasons = map[engineio.Reason]netpoll.Reason{
	engineio.ReasonTransportClose: netpoll.ReasonPeer, engineio.ReasonTransportError: netpoll.ReasonReset,
	engineio.ReasonPingTimeout: netpoll.ReasonTimeout, engineio.ReasonParseError: netpoll.ReasonProtocol,
	engineio.ReasonForcedClose: netpoll.ReasonLocal, engineio.ReasonShutdown: netpoll.ReasonDrain,
	engineio.ReasonSlow: netpoll.ReasonSlow, engineio.ReasonAdmin: netpoll.ReasonAdmin,
}

// serveSIO serves a request to sioPath.
func (s *Server) serveSIO(r *reactor, l *netpoll.Loop, c *netpoll.Conn, h *edge.Head, rest []byte) {
	// A WebSocket has its connection for itself; that of a poll is the proxy's to use for others.
	if h.UpgradeRequested() && !r.edge.AdmitClient(l, c, h) {
		return
	}
	r.sio.Endpoint().Serve(l, c, h, rest)
}

// moveSIO takes a request to the loop that its client lives on.
func (s *Server) moveSIO(l *netpoll.Loop, c *netpoll.Conn, process, loop uint8, first []byte) bool {
	switch {
	case process != s.workerNumber():
		return s.handOver(l, c, int(process), int(loop), first)
	case int(loop) >= len(s.reactors):
		return false
	}
	tag := c.Tag()
	s.adoptOn(s.reactors[loop].loop.Remote(), roleHead, l.Detach(c), tag, first)
	return true
}

// sioTopics are the node's topics for clients of Socket.IO. Its methods are handlers: on the client's loop.
type sioTopics struct{ s *Server }

// sioAnswer acknowledges an event of these.
type sioAnswer struct {
	OK      bool   `json:"ok"`
	Matched *int   `json:"matched,omitempty"`
	Code    string `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
}

// sioRefusal is an answer that says no, in the codes of the topic protocol.
func sioRefusal(code topicws.Code, message string) sioAnswer {
	return sioAnswer{Code: string(code), Message: message}
}

// place is where a socket is a member.
func (t sioTopics) place(socket *socketio.Socket) (shard *broadcast.Shard, member uint32, form broadcast.Form, there bool) {
	r := t.s.reactors[socket.Conn().Loop()-t.s.loopBase()]
	session := r.sio.Endpoint().Lookup(r.loop, socket.Conn())
	if session == nil {
		return nil, 0, 0, false
	}
	return r.shard, session.Member(), formSIO + broadcast.Form(session.Form()), true
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
	return topics, sioAnswer{OK: true}
}

// subscribe adds all of the topics or none.
func (t sioTopics) subscribe(socket *socketio.Socket, args socketio.Args, ack socketio.Ack) {
	topics, answer := t.topics(args)
	if answer.OK {
		answer = t.add(socket, topics)
	}
	_ = ack(answer) // who is gone needs none
}

func (t sioTopics) add(socket *socketio.Socket, topics []string) sioAnswer {
	for _, topic := range topics {
		if !t.s.maySubscribe(topic) {
			return sioRefusal(topicws.CodeForbidden, "you may not subscribe to "+strconv.Quote(topic))
		}
	}
	shard, member, form, there := t.place(socket)
	if !there {
		return sioAnswer{}
	}
	var fresh []string
	for _, topic := range topics {
		added, err := shard.Subscribe(member, form, topic)
		if err != nil {
			for _, topic := range fresh {
				shard.Unsubscribe(member, topic)
			}
			if errors.Is(err, broadcast.ErrTopicsPerMember) {
				return sioRefusal(topicws.CodeTooManyTopics, err.Error())
			}
			return sioRefusal(topicws.CodeOverloaded, err.Error())
		}
		if added {
			fresh = append(fresh, topic)
		}
	}
	return sioAnswer{OK: true}
}

// unsubscribe takes topics away; one that the client has not subscribed to is already as it should be.
func (t sioTopics) unsubscribe(socket *socketio.Socket, args socketio.Args, ack socketio.Ack) {
	topics, answer := t.topics(args)
	if shard, member, _, there := t.place(socket); there {
		for _, topic := range topics {
			shard.Unsubscribe(member, topic)
		}
	}
	_ = ack(answer)
}

// publish sends the second argument to the subscribers of the first, on all nodes; the answer counts them.
func (t sioTopics) publish(_ *socketio.Socket, args socketio.Args, ack socketio.Ack) {
	topic, answer := t.mayPublish(args)
	if !answer.OK {
		_ = ack(answer)
		return
	}
	kind, payload := sioPayload(args)
	err := t.s.publishLater(topic, kind, payload, func(r broadcast.Result) { _ = ack(sioPublished(r)) })
	if err != nil {
		_ = ack(sioRefusal(topicws.CodeInvalidTopic, err.Error()))
	}
}

// mayPublish reads the topic, and judges it.
func (t sioTopics) mayPublish(args socketio.Args) (topic string, answer sioAnswer) {
	if args.Len() < 2 || args.Decode(0, &topic) != nil {
		return "", sioRefusal(topicws.CodeBadRequest, "the arguments are a topic and its data")
	}
	if err := broadcast.ValidTopic(topic); err != nil {
		return "", sioRefusal(topicws.CodeInvalidTopic, err.Error())
	}
	if !t.s.mayPublish() {
		return "", sioRefusal(topicws.CodeForbidden, "you may not publish to "+strconv.Quote(topic))
	}
	return topic, sioAnswer{OK: true}
}

// sioPublished is the answer to a publish.
func sioPublished(r broadcast.Result) sioAnswer {
	if r.Dropped > 0 && r.Queued == 0 {
		return sioRefusal(topicws.CodeOverloaded, "the node has more to deliver than it can hold; the message was dropped")
	}
	return sioAnswer{OK: true, Matched: &r.Matched}
}

// sioPayload is what is published: a string as text, binary as bytes, anything else as JSON, as from all other clients.
func sioPayload(args socketio.Args) (broadcast.Kind, []byte) {
	if data, ok := args.Bytes(1); ok {
		return broadcast.Binary, data
	}
	payload := append([]byte(nil), args.JSON(1)...)
	if payload[0] == '"' {
		if text, fault := jsontext.Unescape(payload[1 : len(payload)-1]); fault == "" {
			return broadcast.Text, text
		}
	}
	return broadcast.JSON, payload
}

// left ends the subscriptions of a client that has left "/". One that has closed has left the shard already.
func (t sioTopics) left(socket *socketio.Socket, _ socketio.Reason) {
	if shard, member, _, there := t.place(socket); there {
		shard.Leave(member)
	}
}

// encodeSIO makes a topic's message an event "message" with {topic, data}, in one of the forms.
func encodeSIO(f engineio.Form) broadcast.Encoder {
	return func(dst []byte, m *broadcast.Message) []byte {
		text := make([]byte, 0, len(m.Payload)+len(m.Topic)+64)
		if m.Kind == broadcast.Binary {
			text = append(text, "51-"...)
		} else {
			text = append(text, '2')
		}
		text = jsontext.AppendString(append(text, `["message",{"topic":`...), m.Topic)
		text = append(text, `,"data":`...)
		switch m.Kind {
		case broadcast.Binary:
			text = append(text, `{"_placeholder":true,"num":0}}]`...)
			return engineio.AppendMessage(dst, f, text, m.Payload)
		case broadcast.JSON:
			text = append(text, m.Payload...)
		default:
			text = jsontext.AppendString(text, m.Payload)
		}
		return engineio.AppendMessage(dst, f, append(text, "}]"...))
	}
}

// appendSIOGap makes an event "gap" with {topic, missed}.
func appendSIOGap(f engineio.Form, topic string, missed uint32) []byte {
	text := jsontext.AppendString([]byte(`2["gap",{"topic":`), topic)
	text = strconv.AppendUint(append(text, `,"missed":`...), uint64(missed), 10)
	return engineio.AppendMessage(nil, f, append(text, "}]"...))
}
