// What clients of Socket.IO ask of the node's topics. A command about which the backend decides
// waits, and so do those behind it: they are done in their order.

package server

import (
	"strconv"
	"sync"
	"sync/atomic"

	"c100k/broadcast"
	"c100k/internal/auth"
	"c100k/internal/sio"
	"c100k/internal/topicws"
	"c100k/netpoll"
	"c100k/socketio"
)

const (
	// sioWaitingBytesMax bounds what waits for the backend on all connections of one loop, in bytes.
	// Without it clients could fill the memory while the backend is slow.
	sioWaitingBytesMax = 16 << 20

	// sioCommandBytes is what a command that waits costs beside its topics and data, in bytes, and
	// sioTopicBytes what each topic costs beside its text.
	sioCommandBytes, sioTopicBytes = 256, 40
)

// sioCommand is one command of a client, in memory of its own.
type sioCommand struct {
	verb    topicws.Verb
	topics  []string // of publish: one
	kind    broadcast.Kind
	payload []byte
	ack     socketio.Ack
	back    *sioReturn // not nil: no command, but a client that has come back
	no      sioAnswer  // with a code: it is not done
}

func (c *sioCommand) bytes() int {
	n := sioCommandBytes + 2*len(c.payload) // it is a part of what the backend is asked, too
	for _, topic := range c.topics {
		n += sioTopicBytes + 2*len(topic)
	}
	return n
}

// sioWaiting are a client's commands that wait, in their order; the first is being decided about.
// Loop only.
type sioWaiting struct {
	commands []*sioCommand
	bytes    int
}

// sioVerdicts are decisions on their way back to their loop: at most one for each client.
type sioVerdicts struct {
	ready atomic.Bool // spares the loop the lock when there are none
	bytes int         // what waits on the loop. Loop only

	mu   sync.Mutex // guards the field below
	list []sioVerdict
}

type sioVerdict struct {
	socket *socketio.Socket
	topicws.Verdict
}

func (v *sioVerdicts) put(one sioVerdict) {
	v.mu.Lock()
	v.list = append(v.list, one)
	v.ready.Store(true)
	v.mu.Unlock()
}

func (v *sioVerdicts) take() []sioVerdict {
	if !v.ready.Load() {
		return nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.ready.Store(false)
	list := v.list
	v.list = nil
	return list
}

func (t sioTopics) subscribe(socket *socketio.Socket, args socketio.Args, ack socketio.Ack) {
	topics, no := t.topics(args)
	t.submit(socket, &sioCommand{verb: topicws.VerbSubscribe, topics: topics, ack: ack, no: no})
}

func (t sioTopics) unsubscribe(socket *socketio.Socket, args socketio.Args, ack socketio.Ack) {
	topics, no := t.topics(args)
	t.submit(socket, &sioCommand{verb: topicws.VerbUnsubscribe, topics: topics, ack: ack, no: no})
}

// publish is for the second argument, to the subscribers of the first.
func (t sioTopics) publish(socket *socketio.Socket, args socketio.Args, ack socketio.Ack) {
	c := &sioCommand{verb: topicws.VerbPublish, topics: []string{""}, ack: ack}
	if args.Len() < 2 || args.Decode(0, &c.topics[0]) != nil {
		c.no = sioRefusal(topicws.CodeBadRequest, "the arguments are a topic and its data")
	} else if err := broadcast.ValidTopic(c.topics[0]); err != nil {
		c.no = sioRefusal(topicws.CodeInvalidTopic, err.Error())
	} else {
		var reason string
		if c.kind, c.payload, reason = sioPayload(args); reason != "" {
			c.no = sioRefusal(topicws.CodeBadRequest, reason)
		}
	}
	t.submit(socket, c)
}

// submit does a command, or has it wait for the backend, or behind another that does.
func (t sioTopics) submit(socket *socketio.Socket, c *sioCommand) {
	w := t.waiting(socket)
	if w == nil && (t.decides(c) == nil || c.no.Code != "") {
		t.perform(socket, c, false)
		return
	}
	v := t.verdicts(socket)
	if w == nil {
		w = new(sioWaiting)
		t.setWaiting(socket, w)
	}
	n := c.bytes()
	if len(w.commands) >= topicws.WaitingCommandsMax || w.bytes+n > topicws.WaitingBytesMax && len(w.commands) > 0 || v.bytes+n > sioWaitingBytesMax {
		c.no = sioRefusal(topicws.CodeOverloaded, "too much of this connection waits for a decision")
		t.perform(socket, c, false)
		return
	}
	w.commands = append(w.commands, c)
	w.bytes += n
	v.bytes += n
	if len(w.commands) == 1 {
		t.goOn(socket, w)
	}
}

// decides is what decides about a command, nil if the rights do.
func (t sioTopics) decides(c *sioCommand) topicws.Decide {
	if c.back != nil {
		return t.decideReturn(c.back)
	}
	switch c.verb {
	case topicws.VerbSubscribe:
		return t.s.decider(t.s.hooks.subscribe, rowSIO)
	case topicws.VerbPublish:
		return t.s.decider(t.s.hooks.publish, rowSIO)
	}
	return nil
}

func (t sioTopics) verdicts(socket *socketio.Socket) *sioVerdicts {
	return &t.s.sioVerdicts[socket.Conn().Loop()-t.s.loopBase()]
}

// goOn does the commands of a client until one needs a decision, or none is left.
func (t sioTopics) goOn(socket *socketio.Socket, w *sioWaiting) {
	for len(w.commands) > 0 {
		c := w.commands[0]
		if decide := t.decides(c); decide != nil && c.no.Code == "" {
			v, remote := t.verdicts(socket), t.s.node.Loop(socket.Conn().Loop()-t.s.loopBase()).Remote()
			q := &topicws.Question{Conn: socket.Conn(), Who: sio.Principal(socket), Topics: c.topics, Kind: c.kind, Data: c.payload}
			decide(q, func(verdict topicws.Verdict) {
				v.put(sioVerdict{socket, verdict})
				remote.Wake()
			})
			return
		}
		t.perform(socket, c, false)
		t.dropFirst(socket, w)
	}
	t.setWaiting(socket, nil)
}

func (t sioTopics) dropFirst(socket *socketio.Socket, w *sioWaiting) {
	n := w.commands[0].bytes()
	w.bytes -= n
	t.verdicts(socket).bytes -= n
	w.commands[0] = nil
	w.commands = w.commands[1:]
}

// decided goes on with the commands of a loop about which has been decided since.
func (t sioTopics) decided(loop int) func(*netpoll.Loop) {
	return func(*netpoll.Loop) {
		for _, one := range t.s.sioVerdicts[loop].take() {
			w := t.waiting(one.socket)
			if w == nil {
				continue // gone meanwhile
			}
			c := w.commands[0]
			switch {
			case one.Allow:
			case one.Failed:
				c.no = sioRefusal(topicws.CodeUnavailable, "the backend of this node, which decides about this, does not answer")
			case one.Reason != "":
				c.no = sioRefusal(topicws.CodeForbidden, one.Reason)
			default:
				c.no = sioRefusal(topicws.CodeForbidden, "this is not allowed to you")
			}
			t.perform(one.socket, c, true)
			t.dropFirst(one.socket, w)
			t.goOn(one.socket, w)
		}
	}
}

// forget drops what waits of a client that has left.
func (t sioTopics) forget(socket *socketio.Socket) {
	if w := t.waiting(socket); w != nil {
		t.verdicts(socket).bytes -= w.bytes
		t.setWaiting(socket, nil)
	}
}

// perform does a command, or says why not; allowed tells that somebody else has judged it.
func (t sioTopics) perform(socket *socketio.Socket, c *sioCommand, allowed bool) {
	answer := c.no
	switch {
	case c.back != nil && answer.Code != "":
		t.comeAgain(socket)
		return
	case c.back != nil:
		t.resume(socket, c.back)
		return
	case answer.Code != "":
	case c.verb == topicws.VerbUnsubscribe:
		answer = t.remove(socket, c.topics)
	case c.verb == topicws.VerbSubscribe:
		if answer = t.judge(socket, c, allowed, "subscribe", t.s.maySubscribe); answer.OK {
			answer = t.add(socket, c.topics)
			t.prime(socket)
		}
	default:
		if answer = t.judge(socket, c, allowed, "publish", t.s.mayPublish); answer.OK {
			// All nodes are asked how many subscribers they have.
			err := t.s.publishLater(c.topics[0], t.post(socket, c), func(r topicws.Published) { _ = c.ack(sioPublished(r)) })
			if err == nil {
				return
			}
			answer = sioRefusal(topicws.CodeInvalidTopic, err.Error())
		}
	}
	_ = c.ack(answer) // a client that has left needs none
}

func (t sioTopics) post(socket *socketio.Socket, c *sioCommand) broadcast.Post {
	return broadcast.Post{Kind: c.kind, Payload: c.payload, From: t.s.from(sio.Principal(socket), c.topics[0])}
}

// judge refuses a command that the client has no right to.
func (t sioTopics) judge(socket *socketio.Socket, c *sioCommand, allowed bool, verb string, may func(*auth.Principal, string) bool) sioAnswer {
	who := sio.Principal(socket)
	for _, topic := range c.topics {
		if !allowed && !may(who, topic) {
			return sioRefusal(topicws.CodeForbidden, "you may not "+verb+" to "+strconv.Quote(topic))
		}
	}
	return sioAnswer{OK: true}
}

// remove ends subscriptions. A topic that the client has not subscribed to is no error.
func (t sioTopics) remove(socket *socketio.Socket, topics []string) sioAnswer {
	for _, topic := range topics {
		t.exit(socket, topic)
	}
	t.prime(socket)
	return sioAnswer{OK: true}
}
