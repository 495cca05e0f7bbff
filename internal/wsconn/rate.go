// The limit on messages a second: a token bucket kept as one time.

package wsconn

import (
	"time"

	"c100k/netpoll"
)

// budget is a token bucket as the time at which it is full again (GCRA): one integer, no clock of
// its own, no rounding that adds up.
type budget struct{ full time.Duration }

// spend takes the token of one message: a token comes back every period, and window is the time
// that the others of the burst take.
func (b *budget) spend(now, period, window time.Duration) bool {
	full := max(b.full, now)
	if full-now > window {
		return false
	}
	b.full = full + period
	return true
}

// Within tells whether one more message is within the rate of the client. The endpoint asks for
// each message on a connection; a protocol whose clients can also send in another way asks for
// those messages.
func (e *Endpoint) Within(l *netpoll.Loop, s *State) bool {
	if e.cfg.Rate <= 0 {
		return true
	}
	if s.budget == 0 {
		s.budget, _ = e.budgets.Alloc()
	}
	return e.budgets.At(s.budget).spend(l.Now(), e.period, e.window)
}

// Tokens is the limit that Within applies: the time in which one message's token comes back, and
// the time that all but one of the burst take; both are 0 without a limit. Any goroutine.
func (e *Endpoint) Tokens() (period, window time.Duration) { return e.period, e.window }

// tokens turns a rate and a burst into the time between two tokens and the time that all but one of
// the burst take to come back.
func tokens(rate float64, burst int) (period, window time.Duration) {
	if rate <= 0 {
		return 0, 0
	}
	const longest = float64(1000 * time.Hour) // longer than the life of a connection; it does not overflow
	each := min(float64(time.Second)/rate, longest)
	return time.Duration(each), time.Duration(min(each*float64(burst-1), longest))
}

// ForgetBudget frees a budget that is full, because it equals no budget. A protocol with a
// heartbeat of its own calls it there.
func (e *Endpoint) ForgetBudget(l *netpoll.Loop, s *State) {
	if s.budget != 0 && e.budgets.At(s.budget).full <= l.Now() {
		e.budgets.Free(s.budget)
		s.budget = 0
	}
}
