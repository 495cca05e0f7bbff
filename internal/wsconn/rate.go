// The limit on messages a second: a token bucket kept as one time.

package wsconn

import (
	"time"

	"c100k/netpoll"
)

// budget is a token bucket as the time at which it is full again (GCRA): one integer, no clock of its own, no rounding that adds up.
type budget struct{ full time.Duration }

// spend takes one message's token: one comes back every period, and burst of them fit in.
func (b *budget) spend(now, period time.Duration, burst int) bool {
	full := max(b.full, now)
	if full-now > time.Duration(burst-1)*period {
		return false
	}
	b.full = full + period
	return true
}

// within tells whether one more message is within the connection's rate.
func (e *Endpoint) within(l *netpoll.Loop, s *State) bool {
	if e.cfg.Rate <= 0 {
		return true
	}
	if s.budget == 0 {
		s.budget, _ = e.budgets.Alloc()
	}
	return e.budgets.At(s.budget).spend(l.Now(), time.Second/time.Duration(e.cfg.Rate), e.cfg.RateBurst)
}

// forgetBudget frees a budget that is full: it says no more than none at all.
func (e *Endpoint) forgetBudget(l *netpoll.Loop, s *State) {
	if s.budget != 0 && e.budgets.At(s.budget).full <= l.Now() {
		e.budgets.Free(s.budget)
		s.budget = 0
	}
}
