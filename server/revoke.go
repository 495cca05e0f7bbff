// Revocations on all nodes: what is revoked here is told to the others over the bus, and a node
// that joins asks for theirs.

package server

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"c100k/internal/auth"
	"c100k/internal/bus"
)

// topicUsers is the topic of messages on the bus about users, which nobody subscribes to.
const topicUsers = "c100k.users"

const (
	// revocationsPerMessage bounds the revocations of one message on the bus: it has about 16 KiB.
	revocationsPerMessage = 64

	// revokeEvery is the least time between two looks at all connections: those that are revoked one
	// by one, by the thousand, are looked for together.
	revokeEvery = 100 * time.Millisecond
)

// usersMessage is what nodes tell each other. One of the fields is set.
type usersMessage struct {
	Revoke []auth.Revocation `json:"revoke,omitempty"`
	Remove string            `json:"remove,omitempty"` // id of one that was taken back
	Close  string            `json:"close,omitempty"`  // subject whose connections are closed
	Wanted bool              `json:"wanted,omitempty"` // tell me all of yours
}

// openRevocations reads those of Config.StateDir. The first of several workers keeps them.
func (s *Server) openRevocations() error {
	if s.cfg.StateDir == "" {
		return nil
	}
	if err := s.revocations.Open(s.cfg.StateDir, s.workerNumber() == 0, time.Now()); err != nil {
		return &SettingError{"StateDir", err}
	}
	return nil
}

// purgeEvery is how often revocations that have expired are forgotten.
const purgeEvery = time.Minute

// purgeRevocations forgets them until the node has ended.
func (s *Server) purgeRevocations() {
	tick := time.NewTicker(purgeEvery)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			s.revocations.Purge(now)
		case <-s.stopped:
			return
		}
	}
}

// Revoke refuses tokens and closes the connections that have them, on all nodes.
func (n adminNode) Revoke(list []auth.Revocation) error {
	if err := n.revocations.Add(time.Now(), list...); err != nil {
		return err
	}
	n.sweepSoon()
	return n.tellRevocations(list)
}

// tellRevocations tells the other nodes.
func (s *Server) tellRevocations(list []auth.Revocation) error {
	for len(list) > 0 {
		k := min(len(list), revocationsPerMessage)
		if err := s.tell(&usersMessage{Revoke: list[:k]}); err != nil {
			return err
		}
		list = list[k:]
	}
	return nil
}

// Revocations lists those that hold.
func (n adminNode) Revocations(after string, most int) ([]auth.Revocation, error) {
	return n.revocations.List(time.Now(), after, most), nil
}

// Unrevoke takes one back.
func (n adminNode) Unrevoke(id string) (found bool, err error) {
	found, err = n.revocations.Remove(id)
	if err != nil || !found {
		return found, err
	}
	return true, n.tell(&usersMessage{Remove: id})
}

// CloseUser closes the connections of a subject.
func (n adminNode) CloseUser(sub string) error {
	if !n.closeUser(sub) {
		return fmt.Errorf("a loop is too busy: try again")
	}
	return n.tell(&usersMessage{Close: sub})
}

func (s *Server) closeUser(sub string) bool {
	return s.node.Revoke(true, func(p *auth.Principal) bool { return p.Subject == sub })
}

// tell tells the other nodes, if there are any.
func (s *Server) tell(m *usersMessage) error {
	if s.others == nil {
		return nil
	}
	payload, err := json.Marshal(m)
	if err == nil {
		err = s.others.bus.Publish(context.Background(), bus.Message{Topic: topicUsers, Kind: bus.KindUsers, Payload: payload})
	}
	if err != nil {
		return fmt.Errorf("done on this node, and the others could not be told: %w", err)
	}
	return nil
}

// hearUsers does what another node tells.
func (s *Server) hearUsers(payload []byte) {
	var m usersMessage
	if json.Unmarshal(payload, &m) != nil {
		return // of a later version
	}
	switch {
	case m.Wanted:
		s.answerWanted()
	case m.Remove != "":
		if _, err := s.revocations.Remove(m.Remove); err != nil {
			s.log.Error("a revocation was not kept", "err", err)
		}
	case m.Close != "":
		s.closeUser(m.Close)
	}
	now, valid := time.Now(), m.Revoke[:0]
	for _, r := range m.Revoke {
		if r.Check(now) == nil {
			valid = append(valid, r)
		}
	}
	if len(valid) == 0 {
		return
	}
	if err := s.revocations.Add(now, valid...); err != nil {
		s.log.Error("a revocation was not kept", "err", err)
	}
	s.sweepSoon()
}

// askRevocations asks the other nodes for theirs, if there are tokens here at all.
func (s *Server) askRevocations() {
	if s.live.Load().verifier == nil && len(s.identify.steps) == 0 {
		return
	}
	if err := s.tell(&usersMessage{Wanted: true}); err != nil {
		s.log.Warn("what other nodes have revoked is not known", "err", err)
	}
}

// answerWanted tells a node that has joined what is revoked. All nodes do; what it knows already
// changes nothing.
func (s *Server) answerWanted() {
	if !s.telling.CompareAndSwap(false, true) {
		return // another one has just asked, and hears that answer
	}
	go func() {
		defer s.telling.Store(false)
		if err := s.tellRevocations(s.revocations.List(time.Now(), "", auth.RevocationsMax)); err != nil {
			s.log.Warn("a node that joined was not told what is revoked", "err", err)
		}
	}()
}

// sweepSoon has all connections looked at, and those closed whose tokens are revoked. Calls within
// revokeEvery are one.
func (s *Server) sweepSoon() {
	if !s.sweeping.CompareAndSwap(false, true) {
		return
	}
	time.AfterFunc(revokeEvery, func() {
		s.sweeping.Store(false)
		select {
		case <-s.stopped:
		default:
			if !s.node.Revoke(false, s.revocations.Revoked) {
				s.sweepSoon() // a mailbox was full
			}
		}
	})
}
