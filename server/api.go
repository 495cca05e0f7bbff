// The node as the admin API sees it.

package server

import (
	"errors"

	"c100k/broadcast"
	"c100k/internal/admin"
	"c100k/netpoll"
)

// adminNode is the admin.Node of a Server: a type of its own, so that the API's methods are not the
// Server's.
type adminNode struct{ *Server }

var errDraining = errors.New("draining")

// PublishLater publishes on all nodes.
func (n adminNode) PublishLater(topic string, kind broadcast.Kind, payload []byte, done func(admin.Outcome)) error {
	_, err := n.publish(topic, kind, payload, done)
	return err
}

// Topics lists topics with subscribers, by name.
func (n adminNode) Topics(prefix, after string, most int) (list []admin.Topic, missing []string) {
	infos := n.node.Hub().Topics(prefix, after, most)
	list = make([]admin.Topic, len(infos))
	for i := range infos {
		list[i] = n.topicOf(&infos[i])
	}
	return list, nil
}

// Topic is one topic, if it has a subscriber.
func (n adminNode) Topic(name string) (admin.Topic, bool) {
	info, ok := n.node.Hub().Topic(name)
	if !ok {
		return admin.Topic{}, false
	}
	return n.topicOf(&info), true
}

func (n adminNode) topicOf(info *broadcast.TopicInfo) admin.Topic {
	t := admin.Topic{Name: info.Name, Subscribers: info.Members, Transports: map[string]int{}}
	table := n.node.Table()
	for form := range table.Encoders() {
		if members := info.ByForm[form]; members > 0 {
			t.Transports[table.TransportOf(broadcast.Form(form))] += members
		}
	}
	return t
}

// CloseConnection closes the connection, and tells whether there was one.
func (n adminNode) CloseConnection(id netpoll.ID) (found bool, err error) { return n.node.Kick(id) }

// Drain starts a drain and returns at once.
func (n adminNode) Drain() error {
	n.beginDrain()
	return nil
}

// Ready is nil while new connections are wanted. A node that has lost the bus serves those it has,
// but others serve better, unless they have lost it too: Config.ReadyWithoutBus decides.
func (n adminNode) Ready() (remarks []string, err error) {
	if n.draining() {
		return nil, errDraining
	}
	if err := n.node.Stuck(); err != nil {
		return nil, err
	}
	if err := n.memoryReady(); err != nil {
		return nil, err
	}
	err = n.busReady()
	if err != nil && n.cfg.ReadyWithoutBus {
		return []string{err.Error()}, nil
	}
	return nil, err
}
