// The limits on messages and bytes a second: token buckets, each kept as one time.

package wsconn

import (
	"time"

	"c100k/netpoll"
)

// budget is two token buckets, of messages and of bytes, each as the time at which it is full again
// (GCRA): one integer, no clock of its own, no rounding that adds up.
type budget struct{ messages, bytes time.Duration }

// Allowance is a limit: the time in which what is spent comes back, and the time in which an empty
// bucket is full. The zero value is no limit.
type Allowance struct {
	each time.Duration // of one message
	byte float64       // of one byte, in nanoseconds
	Full time.Duration
}

// Cost is the time in which the tokens of one message of n bytes come back.
func (a *Allowance) Cost(n int) time.Duration {
	return a.each + time.Duration(float64(n)*a.byte)
}

// spend takes the tokens of one message of n bytes from a bucket that is full again at full.
func (a *Allowance) spend(full *time.Duration, now time.Duration, n int) bool {
	next := max(*full, now) + a.Cost(n)
	if a.Full == 0 {
		return true
	}
	if next-now > a.Full {
		return false
	}
	*full = next
	return true
}

// Within tells whether one more message, of n bytes, is within the rates of the client. The
// endpoint asks for each message on a connection; a protocol whose clients can also send in another
// way asks for those messages.
func (e *Endpoint) Within(l *netpoll.Loop, s *State, n int) bool {
	if !e.limited() {
		return true
	}
	if s.budget == 0 {
		s.budget, _ = e.budgets.Alloc()
	}
	b := e.budgets.At(s.budget)
	return e.messages.spend(&b.messages, l.Now(), n) && e.bytes.spend(&b.bytes, l.Now(), n)
}

// limited tells whether there is a limit at all.
func (e *Endpoint) limited() bool { return e.messages.Full|e.bytes.Full != 0 }

// Allowances are the limits that Within applies to messages and to bytes. Any goroutine.
func (e *Endpoint) Allowances() (messages, bytes Allowance) { return e.messages, e.bytes }

// longest is longer than the life of a connection, in nanoseconds; it does not overflow.
const longest = float64(1000 * time.Hour)

// messageAllowance is the limit of a rate, in messages a second, and of a burst.
func messageAllowance(rate float64, burst int) (a Allowance) {
	if rate > 0 {
		each := min(float64(time.Second)/rate, longest)
		a.each = time.Duration(each)
		a.Full = a.each + time.Duration(min(each*float64(burst-1), longest))
	}
	return a
}

// byteAllowance is the limit of a rate in bytes a second.
func byteAllowance(rate, burst int) (a Allowance) {
	if rate > 0 {
		a.byte = float64(time.Second) / float64(rate)
		a.Full = time.Duration(min(a.byte*float64(max(rate, burst)), longest)) + 1 // the cost of all of them is rounded down
	}
	return a
}

// ForgetBudget frees a budget that is full, because it equals no budget. A protocol with a
// heartbeat of its own calls it there.
func (e *Endpoint) ForgetBudget(l *netpoll.Loop, s *State) {
	if s.budget == 0 {
		return
	}
	if b := e.budgets.At(s.budget); max(b.messages, b.bytes) <= l.Now() {
		e.budgets.Free(s.budget)
		s.budget = 0
	}
}
