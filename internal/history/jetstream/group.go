// Groups: with Options.SyncSubject, what the server has stored waits for the next sync before this
// process delivers or acknowledges it.

package jetstream

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"c100k/internal/history"
)

// group is what waits for the next sync, in the order in which it came.
type group struct {
	kick chan struct{} // holds a token when something waits

	mu         sync.Mutex // guards the fields below
	waiting    []func()
	deliveries int // of waiting
	bytes      int // of the deliveries
}

// add takes in what is to be called after the next sync.
func (g *group) add(f func()) {
	g.mu.Lock()
	g.waiting = append(g.waiting, f)
	g.mu.Unlock()
	g.wake()
}

// addDelivery is add for a message of so many bytes. Beyond the bounds of what may wait it is
// dropped, and read from the stream later.
func (g *group) addDelivery(bytes int, f func()) {
	g.mu.Lock()
	if g.deliveries < livePendingMax && g.bytes+bytes <= livePendingBytesMax || g.deliveries == 0 {
		g.waiting = append(g.waiting, f)
		g.deliveries++
		g.bytes += bytes
	}
	g.mu.Unlock()
	g.wake()
}

func (g *group) wake() {
	select {
	case g.kick <- struct{}{}:
	default:
	}
}

func (g *group) take() []func() {
	g.mu.Lock()
	defer g.mu.Unlock()
	list := g.waiting
	g.waiting, g.deliveries, g.bytes = nil, 0, 0
	return list
}

// grouped tells whether messages wait for syncs.
func (s *Store) grouped() bool { return s.opt.SyncSubject != "" }

// syncGroups syncs group after group until the store is closed.
func (s *Store) syncGroups() {
	for {
		select {
		case <-s.group.kick:
		case <-s.stop:
			return
		}
		list := s.group.take()
		for len(list) > 0 && !s.synced() {
			select {
			case <-time.After(tryEvery):
			case <-s.stop:
				return
			}
		}
		for _, f := range list {
			f()
		}
	}
}

// synced waits until all that was stored before is on the disk. False: that is not known.
func (s *Store) synced() bool {
	if !s.grouped() {
		return true
	}
	ctx, cancel := context.WithTimeout(s.over, syncTimeout)
	defer cancel()
	m, err := s.conn.RequestWithContext(ctx, s.opt.SyncSubject, nil)
	if err == nil && len(m.Data) > 0 {
		err = errors.New(string(m.Data))
	}
	switch {
	case err == nil:
		s.well()
	case s.over.Err() == nil:
		s.complain("it does not sync", err)
	}
	return err == nil
}

// arrivedLive gets a message that the server has just stored.
func (s *Store) arrivedLive(st *stream, m *nats.Msg) {
	if !s.grouped() {
		s.arrived(st, m)
		return
	}
	s.group.addDelivery(len(m.Data)+history.AppendOverheadBytes, func() { s.arrived(st, m) })
}
