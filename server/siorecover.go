// Connection state recovery of the stock Socket.IO client for the node's topics.
//
// The client sends back the last string at the end of an event, when it comes back. Each message of
// a topic with history ends in one that says where the client is in all of its topics, so such
// messages are encoded for each client. What it is subscribed to is the Data of its socket, which
// recovery gives back.

package server

import (
	"encoding/json"
	"strconv"
	"strings"

	"c100k/broadcast"
	"c100k/internal/auth"
	"c100k/internal/engineio"
	"c100k/internal/history"
	"c100k/internal/sio"
	"c100k/internal/topicws"
	"c100k/netpoll"
	"c100k/socketio"
)

const (
	// sioKeptMax bounds the topics of a client in which it is recovered: all of them are in each
	// message. To others it is told that messages may be missing.
	sioKeptMax = 64

	// sioOffsetBytesMax bounds what a client says of where it is, in bytes.
	sioOffsetBytesMax = len(sioOffsetPrefix) + sioKeptMax*(8+1+history.PositionBytesMax+1)

	// sioOffsetPrefix tells our offsets from those of package socketio.
	sioOffsetPrefix = "t:"
)

// sioClient is what the node keeps of a client of its own server: the Data of its socket.
type sioClient struct {
	waiting *sioWaiting // nil: no command waits
	topics  []sioTopic  // where it can be recovered
}

// sioTopic is a topic of a client.
type sioTopic struct {
	name string
	sum  uint32             // names it in an offset
	kept bool               // it has positions
	base broadcast.Position // the client has had this one, and those before it
	sent broadcast.Position // of the last message on its way to it
}

// client is what is kept of a client; make says whether it is made where there is nothing.
func (t sioTopics) client(socket *socketio.Socket, make bool) *sioClient {
	c, _ := socket.Data().(*sioClient)
	if c == nil && make {
		c = new(sioClient)
		socket.SetData(c)
	}
	return c
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
func (s *Server) recovers() bool { return s.cfg.SocketIO == nil && s.past.rules.Any() }

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
	kept := t.s.past.kept(topic) && t.s.mayResume(who, topic) && form != first+broadcast.Form(engineio.FormV3) && len(c.topics) < sioKeptMax
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
		c.topics = append(c.topics, sioTopic{topic, history.TopicsSum([]string{topic}), kept, r.Behind, r.Behind})
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
			// A new array: where the client was is what it is when it has left.
			c.topics = append(append([]sioTopic(nil), c.topics[:i]...), c.topics[i+1:]...)
			return
		}
	}
}

func (t sioTopics) loop(socket *socketio.Socket) *loop {
	return &t.s.loops[socket.Conn().Loop()-t.s.loopBase()]
}

// recover subscribes a client that has come back to the topics that it had.
func (t sioTopics) recover(socket *socketio.Socket) {
	old := t.client(socket, false)
	if old == nil {
		old = savedSIO(socket.Data())
	}
	socket.SetData(nil) // another loop may be about to let go of the old one
	var sent struct {
		Offset string `json:"offset"`
	}
	_ = socket.Handshake().DecodeAuth(&sent)
	at, _ := parseSIOOffset(sent.Offset)
	who := sio.Principal(socket)
	for _, topic := range old.topics {
		base := topic.base
		if p, ok := at[topic.sum]; ok && p.Epoch == base.Epoch && p.Offset > base.Offset {
			base = p
		}
		r := broadcast.Resumed{Reset: broadcast.ResetUnknown}
		if t.mayComeBack(who, topic.name) {
			var err error
			if r, err = t.enter(socket, topic.name, history.After(base)); err != nil {
				r.Reset = broadcast.ResetUnknown
			}
		}
		if r.Reset != broadcast.ResetNone {
			t.reset(socket, topic.name, &r)
		}
	}
}

// savedSIOClient is a client as the servers of a cluster see it when they share what recovery
// needs.
type savedSIOClient struct {
	Topics []savedSIOTopic `json:"topics,omitempty"`
}

type savedSIOTopic struct {
	Name  string `json:"name"`
	After string `json:"after,omitempty"` // the client has had this position; empty: the topic has none
}

// Saved implements sio.Saver.
func (c *sioClient) Saved() any {
	var saved savedSIOClient
	for _, topic := range c.topics {
		one := savedSIOTopic{Name: topic.name}
		if topic.kept {
			one.After = history.FormatPosition(topic.base)
		}
		saved.Topics = append(saved.Topics, one)
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
	for _, one := range saved.Topics[:min(len(saved.Topics), topicws.TopicsPerConnectionMax)] {
		if broadcast.ValidTopic(one.Name) != nil {
			continue
		}
		base, err := history.ParsePosition(one.After)
		c.topics = append(c.topics, sioTopic{name: one.Name, sum: history.TopicsSum([]string{one.Name}), kept: err == nil, base: base})
	}
	return c
}

// mayComeBack judges a client's return to a topic. What a backend has allowed stays, unless it is
// denied.
func (t sioTopics) mayComeBack(who *auth.Principal, topic string) bool {
	if t.s.hooks.subscribe != nil {
		return !denied(who, topic)
	}
	return t.s.maySubscribe(who, topic)
}

// reset tells a client that messages of a topic may be missing. A volatile event has no offset of
// its own, which would be taken for ours.
func (t sioTopics) reset(socket *socketio.Socket, topic string, r *broadcast.Resumed) {
	say := map[string]string{"topic": topic, "reason": r.Reset.String()}
	if r.Position != (broadcast.Position{}) {
		say["offset"] = history.FormatPosition(r.Position)
	}
	_ = socket.Volatile().Emit("reset", say) // a client that has left needs none
}

// outside judges an offset for recovery: theirs if it is ours, and tracked if the client has topics
// of which an offset of somebody else says nothing.
func (t sioTopics) outside(data any, offset string) (theirs, tracked bool) {
	_, theirs = parseSIOOffset(offset)
	if c, _ := data.(*sioClient); c != nil {
		for i := range c.topics {
			tracked = tracked || c.topics[i].kept
		}
	}
	return theirs, tracked
}

// encodeKept makes a message for a client that can be recovered, and notes that it is on its way.
func (s *Server) encodeKept(i int) func(dst []byte, c *netpoll.Conn, m *broadcast.Message) []byte {
	var offset []byte
	return func(dst []byte, c *netpoll.Conn, m *broadcast.Message) []byte {
		client := s.loops[i].sioKept[c.ID()]
		if client == nil {
			return dst // gone meanwhile
		}
		offset = append(offset[:0], sioOffsetPrefix...)
		for k := range client.topics {
			topic := &client.topics[k]
			if !topic.kept {
				continue
			}
			if topic.name == m.Topic {
				topic.sent, _ = m.Position()
			}
			offset = appendSIOOffset(offset, topic.sum, topic.sent)
		}
		return appendSIOMessage(dst, engineio.FormV4, m, offset)
	}
}

// appendSIOOffset appends where a client is in one topic.
func appendSIOOffset(dst []byte, sum uint32, p broadcast.Position) []byte {
	if dst[len(dst)-1] != sioOffsetPrefix[len(sioOffsetPrefix)-1] {
		dst = append(dst, ',')
	}
	return history.AppendPosition(append(strconv.AppendUint(dst, uint64(sum), 16), ' '), p)
}

// parseSIOOffset reads where a client is; ok is false for an offset that is not ours.
func parseSIOOffset(offset string) (at map[uint32]broadcast.Position, ok bool) {
	list, ok := strings.CutPrefix(offset, sioOffsetPrefix)
	if !ok || len(offset) > sioOffsetBytesMax {
		return nil, false
	}
	at = map[uint32]broadcast.Position{}
	for one := range strings.SplitSeq(list, ",") {
		text, position, _ := strings.Cut(one, " ")
		sum, err := strconv.ParseUint(text, 16, 32)
		if err != nil {
			return nil, false
		}
		p, err := history.ParsePosition(position)
		if err != nil {
			return nil, false
		}
		at[uint32(sum)] = p
	}
	return at, true
}
