// The node as the admin API sees it.

package server

import (
	"errors"
	"time"

	"c100k/broadcast"
	"c100k/internal/admin"
	"c100k/netpoll"
)

// node is the admin.Node of a Server: a type of its own, so that the API's methods are not the Server's.
type node struct{ *Server }

var errDraining = errors.New("draining")

// PublishLater publishes on all nodes.
func (n node) PublishLater(topic string, kind broadcast.Kind, payload []byte, done func(broadcast.Result)) error {
	return n.publishLater(topic, kind, payload, done)
}

// Topics lists the topics with subscribers, all of them.
func (n node) Topics(prefix, _ string, _ int) (list []admin.Topic, missing []string) {
	infos := n.hub.Topics(prefix)
	list = make([]admin.Topic, len(infos))
	for i := range infos {
		list[i] = topicOf(&infos[i])
	}
	return list, nil
}

// Topic is one topic, if it has a subscriber.
func (n node) Topic(name string) (admin.Topic, bool) {
	info, ok := n.hub.Topic(name)
	if !ok {
		return admin.Topic{}, false
	}
	return topicOf(&info), true
}

func topicOf(info *broadcast.TopicInfo) admin.Topic {
	t := admin.Topic{Name: info.Name, Subscribers: info.Members, Transports: map[string]int{}}
	for form, members := range info.ByForm[:formsUsed] {
		if members > 0 {
			t.Transports[transportNames[transportOf(broadcast.Form(form))]] += members
		}
	}
	return t
}

var errLoopBusy = errors.New("the connection's loop does not answer")

// CloseConnection closes the connection, and says whether there was one.
func (n node) CloseConnection(id netpoll.ID) (found bool, err error) {
	i := id.Loop() - n.loopBase()
	if i < 0 || i >= len(n.reactors) {
		return false, nil
	}
	r := n.reactors[i]
	answer := make(chan bool, 1)
	posted := r.loop.Remote().Post(func(l *netpoll.Loop) {
		c := l.Lookup(id)
		there := c != nil && !c.Closing()
		if there {
			r.kick(l, c)
		}
		answer <- there
	})
	if !posted {
		return false, errLoopBusy
	}
	select {
	case there := <-answer:
		return there, nil
	case <-time.After(closeWait):
		return false, errLoopBusy // or has stopped meanwhile
	}
}

// closeWait bounds how long an API call waits for the loop that owns a connection.
const closeWait = 5 * time.Second

// kick ends a connection because an operator asked for it.
func (r *reactor) kick(l *netpoll.Loop, c *netpoll.Conn) {
	switch role := c.Role(); {
	case r.endpoint(role) != nil:
		r.endpoint(role).Kick(l, c)
	case role == roleSSE:
		r.sse.Kick(l, c)
	case isSIO(role):
		r.sio.Endpoint().Kick(l, c)
	default:
		l.Close(c, netpoll.ReasonAdmin)
	}
}

// Drain starts a drain and returns at once.
func (n node) Drain() error {
	n.beginDrain()
	return nil
}

// Ready is nil while new connections are wanted: a node that has lost the bus serves those it has, but others serve better.
func (n node) Ready() (remarks []string, err error) {
	if n.draining.Load() {
		return nil, errDraining
	}
	return nil, n.busReady()
}
