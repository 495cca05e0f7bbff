// What the backend is told: who comes and goes, and which topics have subscribers.

package server

import (
	"sync/atomic"

	"c100k/internal/auth"
	"c100k/internal/edge"
	"c100k/internal/hooks"
	"c100k/netpoll"
)

const (
	// occupanciesMax bounds the topics whose occupancy may have changed and that nobody has looked
	// at. Beyond it all topics are looked at.
	occupanciesMax = 16 << 10

	// occupancyPage is how many topics are looked at without a pause for others.
	occupancyPage = 1000
)

// occupancies tell the backend which topics have subscribers. A loop says only that a topic may
// have changed, and a goroutine looks at it: what two loops say at the same time may arrive in any
// order, but what is seen afterwards is true.
type occupancies struct {
	changed chan string
	missed  atomic.Bool // there was no room in changed: look at all topics
	told    map[string]struct{}
}

// topicChanged hears of topics that may have got their first subscriber, or lost the last one. Loop
// only.
func (s *Server) topicChanged(topic string) {
	select {
	case s.occupancies.changed <- topic:
	default:
		s.occupancies.missed.Store(true)
		// The watcher may have emptied the queue meanwhile: it looks at missed behind each topic.
		select {
		case s.occupancies.changed <- topic:
		default:
		}
	}
}

// watchTopics tells of them until the node has ended.
func (s *Server) watchTopics() {
	o := &s.occupancies
	o.told = make(map[string]struct{})
	for {
		select {
		case topic := <-o.changed:
			s.lookAtTopic(topic)
			if o.missed.Swap(false) {
				s.lookAtTopics()
			}
		case <-s.stopped:
			return
		}
	}
}

// lookAtTopic tells of a topic what has not been told.
func (s *Server) lookAtTopic(topic string) {
	o := &s.occupancies
	_, was := o.told[topic]
	is := s.node.Hub().Occupied(topic)
	switch {
	case is && !was:
		o.told[topic] = struct{}{}
		s.event(&hooks.Event{Type: hooks.EventOccupied, Topic: topic})
	case was && !is:
		delete(o.told, topic)
		s.event(&hooks.Event{Type: hooks.EventVacated, Topic: topic})
	}
}

// lookAtTopics looks at all topics that there are or that were told of.
func (s *Server) lookAtTopics() {
	for topic := range s.occupancies.told {
		s.lookAtTopic(topic)
	}
	for after, more := "", true; more; {
		page := s.node.Hub().Topics("", after, occupancyPage)
		for _, topic := range page {
			s.lookAtTopic(topic.Name)
			after = topic.Name
		}
		more = len(page) == occupancyPage
	}
}

// began tells the backend, and those who trace, of a stream that begins. Loop only.
func (s *Server) began(l *netpoll.Loop, c *netpoll.Conn, e *edge.Config, transport string, r *arrival) {
	if tap := s.node.Tap(l); tap.On() {
		tap.Opened(l, c, r.who, e.ClientAddr(l, c, r.head))
	}
	if s.hooks.events == nil {
		return
	}
	s.event(&hooks.Event{Type: hooks.EventConnect, Conn: c.ID().String(), Sub: subjectOf(r.who), Transport: transport, Address: addressText(e.ClientAddr(l, c, r.head))})
}

func subjectOf(who *auth.Principal) string {
	if who == nil {
		return ""
	}
	return who.Subject
}

// ended tells the backend of one that ends. Loop only.
func (s *Server) ended(c *netpoll.Conn, transport string, who *auth.Principal, reason netpoll.Reason) {
	s.event(&hooks.Event{Type: hooks.EventDisconnect, Conn: c.ID().String(), Sub: subjectOf(who), Transport: transport, Reason: reason.String()})
}
