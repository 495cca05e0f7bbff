// History: what is kept of topics, for clients that come back and for the API.

package server

import (
	"time"

	"c100k/broadcast"
	"c100k/internal/admin"
	"c100k/internal/auth"
	"c100k/internal/history"
	"c100k/netpoll"
)

// trimEvery is how often old messages are forgotten in topics to which nothing is published.
const trimEvery = time.Second

// keptIdle is how long a topic without members, of which nothing is kept any more, keeps its
// positions: a client that missed nothing resumes within this time.
const keptIdle = time.Hour

// durableMemory is what a publish answers where messages are kept in memory only.
const durableMemory = "memory"

// past is the history of the node's topics.
type past struct {
	rules  *history.Rules
	epochs *history.Epochs
}

// newPast reads the configuration, which has been validated.
func newPast(c *Config, seed uint64) (*past, error) {
	rules, err := history.ParseRules(c.History)
	if err != nil {
		return nil, err
	}
	return &past{rules: rules, epochs: history.NewEpochs(seed)}, nil
}

// positions is broadcast.Options.Positions.
func (p *past) positions(topic string) (first broadcast.Position, ok bool) {
	if _, ok = p.rules.Keep(topic); !ok {
		return first, false
	}
	return broadcast.Position{Epoch: p.epochs.Next(), Offset: 1}, true
}

// keep is broadcast.Options.Keep.
func (p *past) keep(topic string) broadcast.Keep {
	k, _ := p.rules.Keep(topic)
	return k
}

// kept tells whether messages of a topic are kept.
func (p *past) kept(topic string) bool {
	_, ok := p.rules.Keep(topic)
	return ok
}

// run forgets what is old until stopped is closed.
func (p *past) run(hub *broadcast.Hub, stopped <-chan struct{}) {
	tick := time.NewTicker(trimEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			hub.TrimKept(keptIdle)
		case <-stopped:
			return
		}
	}
}

// mayResume tells whether a client may have kept messages of a topic. Any goroutine.
func (s *Server) mayResume(who *auth.Principal, topic string) bool {
	return s.may(who, auth.History, topic)
}

// History returns kept messages of a topic for the API.
func (n adminNode) History(topic string, after broadcast.Position, most int, reverse bool) (admin.Kept, bool) {
	k, ok := n.node.Hub().Kept(topic, after, most, reverse)
	if !ok {
		return admin.Kept{}, n.past.kept(topic)
	}
	now, wall := netpoll.Monotonic(), time.Now()
	list := make([]admin.KeptMessage, len(k.Messages))
	for i, m := range k.Messages {
		p, _ := m.Position()
		list[i] = admin.KeptMessage{Position: p, Kind: m.Kind, Payload: m.Payload, Published: wall.Add(m.Published - now)}
	}
	return admin.Kept{Messages: list, Newest: k.Newest, More: k.More}, true
}

// ForgetHistory forgets what is kept of a topic, and tells whether messages of it are kept.
func (n adminNode) ForgetHistory(topic string) (ok bool, err error) {
	return n.node.Hub().ForgetKept(topic) || n.past.kept(topic), nil
}
