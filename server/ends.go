// The ends of connections: kept for those who ask why, and logged where neither side was done.

package server

import (
	"log/slog"
	"sync/atomic"
	"time"

	"c100k/internal/auth"
	"c100k/internal/ends"
	"c100k/internal/engineio"
	"c100k/internal/trace"
	"c100k/netpoll"
)

const (
	// endsLogged is how many abnormal ends a second are logged, and how many at once. Without it a
	// node that loses 10,000 clients writes 10,000 lines.
	endsLogged = 10
	// endsLogPause is how long the log waits until it says how many ends it left out.
	endsLogPause = 5 * time.Second
)

// endings keep the ends of connections.
type endings struct {
	// immutable after init
	log   *slog.Logger
	queue *ends.Queue

	// any goroutine
	kept   ends.Log
	missed atomic.Uint64 // ends for which the queue had no room

	// of run
	tokens  float64
	filled  time.Time
	skipped map[netpoll.Reason]int // abnormal ends that were not logged
}

func (e *endings) init(log *slog.Logger) {
	e.log, e.queue, e.tokens, e.skipped = log, ends.NewQueue(), endsLogged, map[netpoll.Reason]int{}
}

// noteEnd hears of a connection or session that ends; owed is how many bytes it had been sent and
// had not taken. Loop only.
func (s *Server) noteEnd(l *netpoll.Loop, id netpoll.ID, owed int, transport string, who *auth.Principal, reason netpoll.Reason) {
	noted := s.node.Ended(l, id)
	if reason == netpoll.ReasonDetached {
		return // it goes on elsewhere
	}
	e := ends.End{
		ID: id, Lasted: noted.Lasted, Transport: transport, Addr: noted.Addr,
		Reason: reason, Code: noted.Code, Text: noted.Text, Owed: max(owed, noted.Owed),
	}
	if who != nil {
		e.Sub = who.Subject
	}
	if tap := s.node.Tap(l); tap.On() {
		tap.Tell(l, &trace.Event{Kind: trace.Close, Conn: id, Addr: e.Addr, Reason: reason, Code: e.Code, Text: e.Text, Bytes: e.Owed}, who)
	}
	if !s.ends.queue.Put(&e) {
		s.ends.missed.Add(1)
	}
}

// sioEnded hears of a client of Socket.IO that ends. Loop only.
func (s *Server) sioEnded(l *netpoll.Loop, session *engineio.Session, who *auth.Principal, reason engineio.Reason) {
	owed := s.sioParts[l.Index()-s.loopBase()].Endpoint().Pending(l, session)
	s.noteEnd(l, session.ID(), owed, rowSIO, who, sioReasons[reason])
}

// run keeps and logs until done is closed.
func (e *endings) run(done <-chan struct{}) {
	pause := time.NewTimer(endsLogPause)
	defer pause.Stop()
	waits := true
	for {
		select {
		case <-e.queue.Ready:
			e.queue.All(func(end *ends.End) {
				end.At = time.Now() // a loop reads no clock
				e.kept.Add(end)
				if end.Abnormal() && !e.tell(end, end.At) && !waits {
					pause.Reset(endsLogPause)
					waits = true
				}
			})
		case <-pause.C:
			waits = false
			e.tellSkipped()
		case <-done:
			return
		}
	}
}

// tell logs an abnormal end; false if there were too many.
func (e *endings) tell(end *ends.End, now time.Time) bool {
	e.tokens = min(e.tokens+now.Sub(e.filled).Seconds()*endsLogged, endsLogged)
	e.filled = now
	if e.tokens < 1 {
		e.skipped[end.Reason]++
		return false
	}
	e.tokens--
	args := []any{"conn", end.ID.String(), "transport", end.Transport, "reason", end.Reason.String(), "behind", end.Owed, "after", end.Lasted.Round(time.Second)}
	if end.Sub != "" {
		args = append(args, "sub", end.Sub)
	}
	if end.Addr.IsValid() {
		args = append(args, "address", end.Addr.String())
	}
	if end.Code != 0 {
		args = append(args, "code", end.Code, "text", end.Text)
	}
	e.log.Info("connection ended", args...)
	return true
}

// tellSkipped logs how many ends were not logged.
func (e *endings) tellSkipped() {
	if len(e.skipped) == 0 {
		return
	}
	args := make([]any, 0, 2*len(e.skipped))
	for reason, n := range e.skipped {
		args = append(args, reason.String(), n)
	}
	clear(e.skipped)
	e.log.Info("more connections ended", args...)
}
