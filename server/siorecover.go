// Connection state recovery of the stock Socket.IO client for the node's topics.
//
// The client sends back the last string at the end of an event, when it comes back. That string has
// all of its state: its topics, and where it is in each. So it can come back to any worker, and to
// any node that has the history of its topics. Each message of a topic with history ends in one, so
// such messages are encoded for each client; and an event "offsets" does, when its topics change.

package server

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"c100k/broadcast"
	"c100k/frame"
	"c100k/internal/engineio"
	"c100k/internal/history"
	"c100k/internal/jsontext"
	"c100k/internal/sio"
	"c100k/internal/topicws"
	"c100k/netpoll"
	"c100k/socketio"
)

const (
	// sioTopicsMax bounds the topics of a client that can be recovered: all of them are in each
	// message. One with more comes back as a new client.
	sioTopicsMax = 64

	// sioOffsetBytesMax bounds an offset, in bytes: each message has one. A client whose offsets could
	// become larger has too many topics.
	sioOffsetBytesMax = 8 << 10

	// sioOffsetPrefix tells our offsets from those of package socketio. Behind it is a checksum of
	// whom the client speaks for, and for each topic a comma, its position, or nothing, the length of
	// its name in bytes, and the name, with a space between each two.
	sioOffsetPrefix = "t:"

	// sioReturnPause is how long a client that has come back waits at least until a backend or a store
	// that did not answer is asked once more; each pause is twice as long as the one before. After
	// sioReturnTries, which take half a minute at most, its connection ends, and it comes back by
	// itself. If that came first, all clients would connect once a second while the backend is away.
	sioReturnPause = time.Second
	sioReturnTries = 4

	// sioOffsetNone is the offset of a client that has too many topics.
	sioOffsetNone = "t:-"
)

// sioClient is what the node keeps of a client of its own server: the Data of its socket.
type sioClient struct {
	waiting *sioWaiting // nil: no command waits
	topics  []sioTopic
	head    string // what its offsets begin with
	bytes   int    // of an offset at most
	primed  bool   // the client has been told an offset
	none    bool   // that was sioOffsetNone
}

// sioTopic is a topic of a client.
type sioTopic struct {
	name string
	text string             // the name, as in a JSON string
	kept bool               // it has positions
	sent broadcast.Position // of the last message on its way to it
}

// client is what is kept of a client; make says whether it is made where there is nothing.
func (t sioTopics) client(socket *socketio.Socket, make bool) *sioClient {
	c, _ := socket.Data().(*sioClient)
	if c == nil && make {
		c = &sioClient{head: sioOffsetHead(subjectOf(sio.Principal(socket)))}
		c.bytes = len(c.head)
		socket.SetData(c)
	}
	return c
}

// sioOffsetHead is what the offsets of a user begin with.
func sioOffsetHead(sub string) string {
	return sioOffsetPrefix + strconv.FormatUint(uint64(history.TopicsSum([]string{sub})), 16)
}

// bytesMax is what the topic takes in an offset, at most.
func (topic *sioTopic) bytesMax() int {
	n := len(",") + len(" 255 ") + len(topic.name)
	if topic.kept {
		n += history.PositionBytesMax
	}
	return n
}

// whole tells whether the client's topics are few enough for an offset.
func (c *sioClient) whole() bool {
	return len(c.topics) <= sioTopicsMax && c.bytes <= sioOffsetBytesMax
}

// appendOffset appends where the client is, as in a JSON string.
func (c *sioClient) appendOffset(dst []byte) []byte {
	if !c.whole() {
		return append(dst, sioOffsetNone...)
	}
	dst = append(dst, c.head...)
	for i := range c.topics {
		topic := &c.topics[i]
		dst = append(dst, ',')
		if topic.kept {
			dst = history.AppendPosition(dst, topic.sent)
		}
		dst = strconv.AppendInt(append(dst, ' '), int64(len(topic.name)), 10)
		dst = append(append(dst, ' '), topic.text...)
	}
	return dst
}

// waiting are the commands of a client that wait, nil if there are none.
func (t sioTopics) waiting(socket *socketio.Socket) *sioWaiting {
	if c := t.client(socket, false); c != nil {
		return c.waiting
	}
	return nil
}

func (t sioTopics) setWaiting(socket *socketio.Socket, w *sioWaiting) {
	if c := t.client(socket, w != nil); c != nil {
		c.waiting = w
	}
}

// recovers tells whether clients of the node's own server can be recovered.
func (s *Server) recovers() bool {
	return s.cfg.SocketIO == nil && (s.past.rules.Any() || s.cfg.SocketIOAdapter == AdapterStreams)
}

// enter subscribes a client to a topic from a point on, and keeps where it is.
func (t sioTopics) enter(socket *socketio.Socket, topic string, from history.From) (r broadcast.Resumed, err error) {
	shard, member, form, there := t.place(socket)
	if !there {
		return r, nil
	}
	if !t.s.recovers() {
		r.Added, err = shard.Subscribe(member, form, topic)
		return r, err
	}
	c, who, l := t.client(socket, true), sio.Principal(socket), t.loop(socket)
	first, _ := t.s.node.Table().Form(rowSIO)
	kept := t.s.past.kept(topic) && t.s.mayResume(who, topic) && form != first+broadcast.Form(engineio.FormV3)
	if kept {
		form = first + broadcast.Form(engineio.FormCount)
		if l.sioKept == nil {
			l.sioKept = map[netpoll.ID]*sioClient{}
		}
		l.sioKept[socket.Conn()] = c
	} else if !from.IsNow() {
		from = history.Unknown()
	}
	if r, err = shard.Resume(member, form, topic, from.At(netpoll.Monotonic())); err == nil && r.Added {
		c.topics = append(c.topics, sioTopic{topic, string(jsontext.AppendEscaped(nil, topic)), kept, r.Behind})
		c.bytes += c.topics[len(c.topics)-1].bytesMax()
	}
	return r, err
}

// exit ends a subscription.
func (t sioTopics) exit(socket *socketio.Socket, topic string) {
	if shard, member, _, there := t.place(socket); there {
		shard.Unsubscribe(member, topic)
	}
	c := t.client(socket, false)
	if c == nil {
		return
	}
	for i := range c.topics {
		if c.topics[i].name == topic {
			c.bytes -= c.topics[i].bytesMax()
			// A new array: where the client was is what it is when it has left.
			c.topics = append(append([]sioTopic(nil), c.topics[:i]...), c.topics[i+1:]...)
			return
		}
	}
}

// prime tells a client where it is, when its topics have changed: it may be idle until it is cut
// off. A client without topics that have positions needs nothing.
func (t sioTopics) prime(socket *socketio.Socket) {
	c := t.client(socket, false)
	if c == nil {
		return
	}
	text, n, whole := []byte(`2["offsets",{`), 0, c.whole()
	for i := range c.topics {
		topic := &c.topics[i]
		if !topic.kept {
			continue
		}
		if n++; !whole {
			break // the names of many topics, at each change of one, would be much to send
		}
		if n > 1 {
			text = append(text, ',')
		}
		text = append(append(append(text, '"'), topic.text...), `":"`...)
		text = append(history.AppendPosition(text, topic.sent), '"')
	}
	if n == 0 && !c.primed || c.none && !whole {
		return
	}
	c.primed, c.none = true, !whole
	t.send(socket, append(c.appendOffset(append(text, `},"`...)), `"]`...))
}

// send sends a packet of Socket.IO as it is, before what is published from now on. An event that
// package socketio sends would have an offset of its log, which the client would take for ours.
func (t sioTopics) send(socket *socketio.Socket, packet []byte) {
	i := socket.Conn().Loop() - t.s.loopBase()
	l := t.s.node.Loop(i)
	if session := t.s.sioParts[i].Endpoint().Lookup(l, socket.Conn()); session != nil {
		t.s.sioParts[i].Endpoint().SendText(l, session, packet)
	}
}

func (t sioTopics) loop(socket *socketio.Socket) *loop {
	return &t.s.loops[socket.Conn().Loop()-t.s.loopBase()]
}

// sioReturn is a client that has come back.
type sioReturn struct {
	topics []sioBack
	held   bool // the client has said them itself
}

// sioBack is a topic that a client had.
type sioBack struct {
	name    string
	from    history.From
	allowed bool // it may have it
}

// returning is the client's state when it left: what it says itself, or else what the node has
// kept.
func (t sioTopics) returning(socket *socketio.Socket) *sioReturn {
	known := t.client(socket, false)
	old := known
	if old == nil {
		old = savedSIO(socket.Data())
	}
	socket.SetData(nil) // another loop may be about to let go of the old one
	var sent struct {
		Offset string `json:"offset"`
	}
	_ = socket.Handshake().DecodeAuth(&sent)
	who := sio.Principal(socket)
	back := new(sioReturn)
	if at, ok := parseSIOOffset(sent.Offset, subjectOf(who)); ok {
		back.held = true
		for _, one := range at {
			from := history.Unknown()
			if one.Position != (broadcast.Position{}) {
				from = history.After(one.Position)
			}
			back.topics = append(back.topics, sioBack{name: one.name, from: from})
		}
	} else {
		// It has not heard where it is, or does not say so: of its topics something may be missing.
		for _, topic := range old.topics {
			back.topics = append(back.topics, sioBack{name: topic.name, from: history.Unknown()})
		}
	}
	for i := range back.topics {
		topic := &back.topics[i]
		topic.allowed = known.has(topic.name) && t.s.mayBegin(who, topic.name) || t.s.hooks.subscribe == nil && t.s.maySubscribe(who, topic.name)
	}
	return back
}

// savedSIOClient is a client as the servers of a cluster see it when they share what recovery
// needs.
type savedSIOClient struct {
	Topics []string `json:"topics,omitempty"`
}

// Saved implements sio.Saver. Where the client is in its topics, only its offset says.
func (c *sioClient) Saved() any {
	var saved savedSIOClient
	for _, topic := range c.topics {
		saved.Topics = append(saved.Topics, topic.name)
	}
	return saved
}

// savedSIO reads what Saved returned, from another server. It was in Redis: who may subscribe is
// judged again.
func savedSIO(data any) *sioClient {
	text, err := json.Marshal(data)
	var saved savedSIOClient
	if err != nil || json.Unmarshal(text, &saved) != nil {
		return new(sioClient)
	}
	c := new(sioClient)
	for _, name := range saved.Topics[:min(len(saved.Topics), topicws.TopicsPerConnectionMax)] {
		if broadcast.ValidTopic(name) == nil {
			c.topics = append(c.topics, sioTopic{name: name})
		}
	}
	return c
}

// has tells whether the client has a topic. What a backend has allowed stays, unless it is denied.
func (c *sioClient) has(topic string) bool {
	return c != nil && slices.ContainsFunc(c.topics, func(one sioTopic) bool { return one.name == topic })
}

// recover subscribes a client that has come back to the topics that it had. It waits where the
// backend is to be asked, or messages are to be read from the store.
func (t sioTopics) recover(socket *socketio.Socket) {
	back := t.returning(socket)
	c := &sioCommand{back: back}
	for i := range back.topics {
		c.topics = append(c.topics, back.topics[i].name)
	}
	t.submit(socket, c)
}

// decideReturn finds out what is to be known before the client has its topics again; nil if all is.
func (t sioTopics) decideReturn(back *sioReturn) topicws.Decide {
	hook := t.s.decider(t.s.hooks.subscribe, rowSIO)
	asks := hook != nil && slices.ContainsFunc(back.topics, func(topic sioBack) bool { return !topic.allowed })
	if !asks && (!t.s.past.engine || len(t.s.past.missing(back.wanted())) == 0) {
		return nil
	}
	return func(q *topicws.Question, done func(topicws.Verdict)) {
		var next func(i int)
		tries := 0
		failed := func() {
			if tries == sioReturnTries {
				done(topicws.Verdict{Failed: true})
				return
			}
			pause := t.s.returnPause << tries
			tries++
			time.AfterFunc(pause+rand.N(pause), func() { next(0) })
		}
		fetch := func() {
			names, from := back.wanted()
			ready := func(err error) {
				if err != nil {
					failed()
					return
				}
				done(topicws.Verdict{Allow: true})
			}
			if !t.s.prepare(names, from, ready) {
				ready(nil)
			}
		}
		next = func(i int) {
			for ; i < len(back.topics) && (hook == nil || back.topics[i].allowed); i++ {
			}
			if i == len(back.topics) {
				fetch()
				return
			}
			one := *q
			one.Topics = []string{back.topics[i].name}
			hook(&one, func(v topicws.Verdict) {
				if v.Failed {
					failed()
					return
				}
				back.topics[i].allowed = v.Allow
				next(i + 1)
			})
		}
		next(0)
	}
}

// wanted are the topics that the client may have again, and from where on.
func (back *sioReturn) wanted() (names []string, from []history.From) {
	for i := range back.topics {
		if topic := &back.topics[i]; topic.allowed {
			names, from = append(names, topic.name), append(from, topic.from)
		}
	}
	return names, from
}

// resume gives the client its topics again, what it missed, and those that it joins by its token.
func (t sioTopics) resume(socket *socketio.Socket, back *sioReturn) {
	for i := range back.topics {
		topic := &back.topics[i]
		r := broadcast.Resumed{Reset: broadcast.ResetUnknown}
		if topic.allowed {
			var err error
			if r, err = t.enter(socket, topic.name, topic.from); err != nil {
				r.Reset = broadcast.ResetUnknown
			}
		}
		if r.Reset != broadcast.ResetNone {
			t.reset(socket, topic.name, &r)
		}
	}
	if back.held {
		t.client(socket, true).primed = true
	}
	t.note(socket)
	t.join(socket)
	t.prime(socket)
}

// comeAgain ends the connection of a client whose state cannot be had now: it keeps its offset, and
// comes back by itself.
func (t sioTopics) comeAgain(socket *socketio.Socket) {
	i := socket.Conn().Loop() - t.s.loopBase()
	l, e := t.s.node.Loop(i), t.s.sioParts[i].Endpoint()
	if session := e.Lookup(l, socket.Conn()); session != nil {
		e.Close(l, session, engineio.ReasonForcedClose, frame.CodeTryLater, "what was missed cannot be read at present")
	}
}

// reset tells a client that messages of a topic may be missing.
func (t sioTopics) reset(socket *socketio.Socket, topic string, r *broadcast.Resumed) {
	text := jsontext.AppendString([]byte(`2["reset",{"topic":`), topic)
	text = jsontext.AppendString(append(text, `,"reason":`...), r.Reset.String())
	if r.Position != (broadcast.Position{}) {
		text = append(history.AppendPosition(append(text, `,"offset":"`...), r.Position), '"')
	}
	t.send(socket, append(text, "}]"...))
}

// outside judges an offset for recovery: see sio.SetOutside.
func (t sioTopics) outside(data any, sub, offset string) (o sio.Outside) {
	at, ok := parseSIOOffset(offset, sub)
	if o.Theirs = ok; ok {
		// Where other servers of Socket.IO take part, they may have sent the client something.
		o.Alone = t.s.cfg.SocketIOAdapter == "" || t.s.cfg.SocketIOAdapter == AdapterBus
		for _, one := range at {
			o.Alone = o.Alone && (one.Position == (broadcast.Position{}) || t.s.past.has(one.name, one.Position))
		}
	}
	if c, _ := data.(*sioClient); c != nil {
		for i := range c.topics {
			o.Tracked = o.Tracked || c.topics[i].kept
		}
	}
	return o
}

// has tells whether a position is one of the topic as this process knows it, and not of another
// node's or of an earlier life. Any goroutine.
func (p *past) has(topic string, at broadcast.Position) bool {
	if k, ok := p.hub.Kept(topic, broadcast.Position{}, 0, false); ok {
		return k.Newest.Epoch == at.Epoch
	}
	if !p.engine {
		return false
	}
	first, ok := p.store.First(topic)
	return ok && first.Epoch == at.Epoch
}

// encodeKept makes a message for a client that can be recovered, and notes that it is on its way.
func (s *Server) encodeKept(i int) func(dst []byte, c *netpoll.Conn, m *broadcast.Message) []byte {
	var offset []byte
	return func(dst []byte, c *netpoll.Conn, m *broadcast.Message) []byte {
		client := s.loops[i].sioKept[c.ID()]
		if client == nil {
			return dst // gone meanwhile
		}
		for k := range client.topics {
			if topic := &client.topics[k]; topic.kept && topic.name == m.Topic {
				topic.sent, _ = m.Position()
			}
		}
		offset = client.appendOffset(offset[:0])
		return appendSIOMessage(dst, engineio.FormV4, m, offset)
	}
}

// sioAt is where a client is in one topic; a zero position says that it has none there.
type sioAt struct {
	name string
	broadcast.Position
}

// parseSIOOffset reads where a client is; ok is false for an offset that is not ours, or that of
// another user.
func parseSIOOffset(offset, sub string) (at []sioAt, ok bool) {
	list, ok := strings.CutPrefix(offset, sioOffsetHead(sub))
	if !ok || len(offset) > sioOffsetBytesMax {
		return nil, false
	}
	for list != "" {
		position, rest, _ := strings.Cut(list, " ")
		length, rest, spaced := strings.Cut(rest, " ")
		n, err := strconv.Atoi(length)
		if !strings.HasPrefix(position, ",") || !spaced || err != nil || strconv.Itoa(n) != length || n < 1 || n > len(rest) || len(at) == sioTopicsMax {
			return nil, false
		}
		one := sioAt{name: rest[:n]}
		list = rest[n:]
		if broadcast.ValidTopic(one.name) != nil || slices.ContainsFunc(at, func(a sioAt) bool { return a.name == one.name }) {
			return nil, false
		}
		if position != "," {
			if one.Position, err = history.ParsePosition(position[1:]); err != nil {
				return nil, false
			}
		}
		at = append(at, one)
	}
	return at, true
}
