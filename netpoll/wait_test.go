// When a loop naps, when it waits, and for how long.

package netpoll

import (
	"fmt"
	"syscall"
	"testing"
	"time"
)

// recorder is a kernel that only takes note of how the loop waits.
type recorder struct {
	now    time.Duration
	ready  []int // what the next waits report, in events of a connection that does not exist
	waited []string
}

func (k *recorder) Name() string { return "recorder" }

func (k *recorder) Wait(ev []Event, timeout time.Duration) (n int) {
	if timeout < 0 {
		k.waited = append(k.waited, "for good")
	} else {
		k.waited = append(k.waited, fmt.Sprintf("wait %v", timeout))
		k.now += timeout
	}
	if len(k.ready) > 0 {
		n, k.ready = k.ready[0], k.ready[1:]
	}
	return n
}

func (k *recorder) Nap(d time.Duration) {
	k.waited = append(k.waited, fmt.Sprintf("nap %v", d))
	k.now += d
}

func (k *recorder) Wake()                            {}
func (k *recorder) Add(int32, uint64) error          { return nil }
func (k *recorder) Modify(int32, uint64, bool, bool) {}
func (k *recorder) Remove(int32)                     {}
func (k *recorder) Read([]IO)                        {}
func (k *recorder) Write([]IO)                       {}
func (k *recorder) ShutdownWrite(int32)              {}
func (k *recorder) Error(int32) syscall.Errno        { return 0 }
func (k *recorder) Close([]int32)                    {}
func (k *recorder) Release()                         {}

// turns runs a loop for so many turns and returns what it did in phase 1.
func turns(t *testing.T, n int, opt Options, k *recorder) []string {
	t.Helper()
	k.now = time.Hour
	opt.Kernel, opt.Clock = k, func() time.Duration { return k.now }
	l, err := NewLoop(opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Stop)
	for range n {
		l.Turn()
	}
	return k.waited
}

func expectWaits(t *testing.T, got []string, want ...string) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("\n%q\nwant\n%q", got, want)
	}
}

func TestNapNever(t *testing.T) {
	k := &recorder{ready: []int{1}}
	expectWaits(t, turns(t, 2, Options{}, k), "for good", "wait 1s") // the second gives the arenas back
}

// TestNapWhileBusy: naps for napCalm after the last event, and then waits.
func TestNapWhileBusy(t *testing.T) {
	k := &recorder{ready: []int{1}}
	got := turns(t, 7, Options{Nap: 4 * time.Millisecond}, k)
	expectWaits(t, got, "for good", "nap 4ms", "wait 0s", "nap 4ms", "wait 0s", "nap 4ms", "wait 0s", "wait 988ms", "for good", "for good")
}

// TestNapSkipped: who gets much looks again at once.
func TestNapSkipped(t *testing.T) {
	k := &recorder{ready: []int{napBelow, napBelow - 1}}
	got := turns(t, 3, Options{Nap: time.Millisecond}, k)
	expectWaits(t, got, "for good", "wait 0s", "nap 1ms", "wait 0s")
}

// TestNapUntilTurn: a turn that is wanted at a time comes at that time, and OnTurn is called once a turn.
func TestNapUntilTurn(t *testing.T) {
	calls := 0
	k := &recorder{}
	opt := Options{OnTurn: func(l *Loop) time.Duration {
		if calls++; calls == 4 {
			panic("once")
		}
		return time.Hour + 5*time.Millisecond + 150*time.Microsecond
	}}
	got := turns(t, 4, opt, k)
	if calls != 4 {
		t.Errorf("%d calls in 4 turns", calls)
	}
	// For good once, for nobody has asked yet; then a wait that the kernel may round up; then naps.
	expectWaits(t, got, "for good", "wait 4.15ms", "nap 100µs", "wait 0s", "nap 100µs", "wait 0s")
}

func TestNapForATask(t *testing.T) {
	k := &recorder{ready: []int{1}}
	ran := false
	opt := Options{Nap: time.Millisecond, OnTurn: func(l *Loop) time.Duration {
		if !ran {
			l.Remote().Post(func(*Loop) { ran = true })
		}
		return -1
	}}
	expectWaits(t, turns(t, 2, opt, k), "for good", "wait 0s")
	if !ran {
		t.Error("the task did not run")
	}
}

// TestLastTurn: how long the turn before worked; waiting is no work.
func TestLastTurn(t *testing.T) {
	k := &recorder{}
	var got []time.Duration
	turns(t, 3, Options{OnTurn: func(l *Loop) time.Duration {
		got = append(got, l.LastTurn())
		k.now += 3 * time.Microsecond
		return l.Now() + time.Second
	}}, k)
	if want := []time.Duration{0, 3 * time.Microsecond, 3 * time.Microsecond}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", got, want)
	}
}
