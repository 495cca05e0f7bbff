// Warnings that repeat: what is refused by a setting, or fails again and again, is logged at most
// once a minute for each kind, with a count.

package server

import (
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"c100k/internal/edge"
)

const (
	// noticeEvery is how often one kind of notice is logged at most.
	noticeEvery = time.Minute

	// noticePause is how long the log rests after each look at the notices, so that many kinds at
	// once do not make it a stream.
	noticePause = 5 * time.Second
)

// notices count what would be logged too often, and log it in time. Any goroutine may add; loops
// do, so add takes no lock and writes no log line.
type notices struct {
	log   *slog.Logger
	kinds sync.Map // label to *notice; labels are a handful of constants
	fresh chan struct{}
}

// notice is one kind.
type notice struct {
	count  atomic.Uint64
	latest atomic.Pointer[occasion] // the first one since the last line; nil: none

	logged time.Time // when the last line was; of run only
}

// occasion is one of the things that a line stands for.
type occasion struct {
	message string
	args    []any
}

func newNotices(log *slog.Logger) *notices {
	return &notices{log: log, fresh: make(chan struct{}, 1)}
}

// add notes one thing of a kind. describe is called for those only that a line shows.
func (n *notices) add(kind string, describe func() (message string, args []any)) {
	v, ok := n.kinds.Load(kind)
	if !ok {
		v, _ = n.kinds.LoadOrStore(kind, new(notice))
	}
	k := v.(*notice)
	k.count.Add(1)
	if k.latest.Load() != nil {
		return
	}
	message, args := describe()
	if k.latest.CompareAndSwap(nil, &occasion{message, args}) {
		select {
		case n.fresh <- struct{}{}:
		default:
		}
	}
}

// run logs until done is closed.
func (n *notices) run(done <-chan struct{}) {
	pause := time.NewTimer(0)
	defer pause.Stop()
	<-pause.C
	for {
		select {
		case <-n.fresh:
		case <-done:
			return
		}
		for n.flush(time.Now()) {
			pause.Reset(noticePause)
			select {
			case <-pause.C:
			case <-done:
				return
			}
		}
	}
}

// flush logs the kinds whose turn it is; more tells that others wait for theirs.
func (n *notices) flush(now time.Time) (more bool) {
	n.kinds.Range(func(_, v any) bool {
		k := v.(*notice)
		if k.latest.Load() == nil {
			return true
		}
		if !k.logged.IsZero() && now.Sub(k.logged) < noticeEvery {
			more = true
			return true
		}
		o := k.latest.Swap(nil)
		k.logged = now
		n.log.Warn(o.message, append(o.args, "count", k.count.Swap(0))...)
		return true
	})
	return more
}

// refusedFrom counts a refusal, and has the operator warned of those that a setting has decided.
// addr is the client's, if it is known. Any goroutine.
func (s *Server) refusedFrom(r *edge.Refusal, addr netip.Addr) {
	s.rejected.add(r.Label)
	if r.Setting() == "" {
		return
	}
	s.notices.add(r.Label, func() (string, []any) {
		args := []any{"reason", r.Reason, "status", r.Status, "setting", r.Setting()}
		if addr.IsValid() {
			args = append(args, "address", networkOf(addr))
		}
		return "requests refused", args
	})
}

// networkOf is what counts as one address: of IPv6 the first 64 bits.
func networkOf(addr netip.Addr) string {
	addr = addr.Unmap()
	if addr.Is4() {
		return addr.String()
	}
	network, _ := addr.Prefix(64) // 64 bits are not too many
	return network.String()
}
