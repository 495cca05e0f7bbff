// Stopping: a drain lets go of connections evenly, and then everything ends.

package server

import (
	"context"
	"math"
	"time"

	"c100k/netpoll"
)

const (
	// drainStep is how often a drain lets go of the next connections.
	drainStep = 50 * time.Millisecond

	// drainGrace is how long the last connections have for their farewell once the drain's own time is over.
	drainGrace = 3 * time.Second
)

// Shutdown drains the node and returns when it has ended: /readyz answers 503, new connections are refused, those there are
// told to come back elsewhere (WebSocket: close 1012; SSE: a retry time), spread evenly over Config.Drain. When ctx ends first,
// what is left is closed at once and the error is ctx's. A second Shutdown waits for the first.
func (s *Server) Shutdown(ctx context.Context) error {
	s.beginDrain()
	select {
	case <-s.stopped:
		return nil
	case <-ctx.Done():
		_ = s.Close()
		return ctx.Err()
	}
}

// Close stops at once: connections are cut without a word.
func (s *Server) Close() error {
	s.draining.Store(true)
	s.stopOnce.Do(s.stop)
	<-s.stopped
	return nil
}

// beginDrain starts the drain, if it has not begun, and returns at once.
func (s *Server) beginDrain() {
	if s.draining.Swap(true) {
		return
	}
	s.logLife("draining", "connections", s.connections(), "over", max(s.cfg.Drain, 0))
	go func() {
		s.drain()
		s.stopOnce.Do(s.stop)
	}()
}

// drain lets go of everybody and waits, for a bounded time, until they are gone.
func (s *Server) drain() {
	ctx, cancel := context.WithTimeout(context.Background(), max(s.cfg.Drain, 0)+drainGrace)
	defer cancel()
	httpDone := make(chan struct{})
	go func() {
		defer close(httpDone)
		_ = s.http.Shutdown(ctx) // open requests end in their own time; ctx bounds it
	}()
	tick := time.NewTicker(drainStep)
	defer tick.Stop()
	for begun, over := time.Now(), max(s.cfg.Drain, 0); ; {
		// By the clock and not by steps: a machine that is busy loses some of those.
		left := 0.0
		if gone := time.Since(begun) + drainStep; gone < over {
			left = float64(over-gone) / float64(over)
		}
		for _, r := range s.reactors {
			r.letGo(left)
		}
		if left == 0 || s.connections() == 0 {
			break
		}
		if !s.pause(tick) {
			return
		}
	}
	for s.connections() > 0 && ctx.Err() == nil {
		if !s.pause(tick) {
			return
		}
		for _, r := range s.reactors {
			r.letGo(0) // whoever a full mailbox has kept from hearing it
		}
	}
	<-httpDone
}

// pause waits for the next step; it is false when the node was stopped meanwhile.
func (s *Server) pause(tick *time.Ticker) bool {
	select {
	case <-tick.C:
		return true
	case <-s.stopped:
		return false
	}
}

// letGo says goodbye to as many as have to go for the share left of those who were there at the first call to stay. Who came in
// meanwhile, on the way from net/http, goes first. Any goroutine.
func (r *reactor) letGo(left float64) {
	r.loop.Remote().Post(func(l *netpoll.Loop) {
		staying := 0
		l.Each(func(c *netpoll.Conn) bool {
			if stays(c) {
				staying++
			}
			return true
		})
		if r.drained == 0 {
			r.drained = staying
		}
		quota := staying - int(math.Round(float64(r.drained)*left))
		l.Each(func(c *netpoll.Conn) bool {
			if quota > 0 && stays(c) {
				r.farewell(l, c)
				quota--
			}
			return quota > 0
		})
	})
}

// stays tells whether c is a stream that has not been told to go. A request head that is on its way is let come: it will be
// answered 503, and its own deadline bounds it.
func stays(c *netpoll.Conn) bool {
	return !c.Closing() && c.Role() != roleHead && c.Role() != roleSIOReturned
}

// farewell ends one stream in its protocol's own way.
func (r *reactor) farewell(l *netpoll.Loop, c *netpoll.Conn) {
	if e := r.endpoint(c.Role()); e != nil {
		e.Drain(l, c)
		return
	}
	if isSIO(c.Role()) {
		r.sio.Endpoint().Drain(l, c)
		return
	}
	r.sse.Drain(l, c)
}

// stop ends everything, in the order in which things use each other.
func (s *Server) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draining.Store(true)
	for _, ln := range s.closers {
		ln.Close()
	}
	_ = s.acceptor.Close()
	_ = s.http.Close()
	s.fallback.Close()
	s.watchdog.end()
	s.stopLoops()
	if s.crowd != nil {
		s.crowd.closed.Store(true)
	}
	s.leaveBus()
	if s.admin != nil {
		_ = s.admin.Close()
	}
	s.logLife("stopped", "uptime", time.Since(s.started).Round(time.Millisecond))
	close(s.stopped)
}

func (s *Server) stopLoops() {
	for _, r := range s.reactors {
		if r.running {
			r.loop.Stop()
		}
	}
}

// connections is how many the loops hold.
func (s *Server) connections() (n int) {
	for _, r := range s.reactors {
		n += r.loop.Stats().Connections
	}
	return n
}
