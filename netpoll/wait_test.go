// When a loop naps, when it waits, and for how long.

package netpoll

import (
	"fmt"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
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

// TestWakeBeforeDelivery: what is queued before phase 6 is delivered in the same turn, and makes
// the loop look once more only if it is queued later.
func TestWakeBeforeDelivery(t *testing.T) {
	for name, phase := range map[string]func(o *Options){
		"for good": func(o *Options) {
			o.OnTurn = func(l *Loop) time.Duration {
				if l.stats.Turns == 0 {
					l.Remote().Wake()
				}
				return -1
			}
		},
		"wait 0s": func(o *Options) {
			o.AfterFlush = func(l *Loop) {
				if l.stats.Turns == 0 {
					l.Remote().Wake()
				}
			}
		},
	} {
		opt := Options{Deliver: func(*Loop, int) bool { return false }}
		phase(&opt)
		expectWaits(t, turns(t, 3, opt, &recorder{}), "for good", name, "for good")
	}
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

// TestNapUntilTurn: a turn that is wanted at a time comes at that time, and OnTurn is called once a
// turn.
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
	// Without end once, for OnTurn was not called yet; then a wait that the kernel may round up; then
	// naps.
	expectWaits(t, got, "for good", "wait 4.15ms", "nap 100µs", "wait 0s", "nap 100µs", "wait 0s")
}

// TestQuietLoopSleeps: with thousands of deadlines beyond a round of the wheel, the loop sleeps
// until the first.
func TestQuietLoopSleeps(t *testing.T) {
	k := &recorder{now: time.Hour}
	fired := 0
	l, err := NewLoop(Options{Kernel: k, Clock: func() time.Duration { return k.now }, Handlers: [RolesMax]Handler{timing{&fired}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Stop)
	const conns, interval = 15000, 5 * time.Minute
	for i := range conns { // as their pings are spread: in 20 groups over a minute and more
		l.Arm(l.Reserve(0), interval+time.Duration(i%20)*4*time.Second)
	}
	turns := 0
	for ; fired < conns; turns++ {
		if turns > 1000 {
			t.Fatalf("%d turns, %d deadlines fired", turns, fired)
		}
		l.Turn()
	}
	if turns > 2*20+5 {
		t.Errorf("%d turns for deadlines at 20 times", turns)
	}
}

type timing struct{ fired *int }

func (timing) OnOpen(*Loop, *Conn)          {}
func (timing) OnData(*Loop, *Conn, []byte)  {}
func (h timing) OnTimer(*Loop, *Conn)       { *h.fired++ }
func (timing) OnWritable(*Loop, *Conn)      {}
func (timing) OnClose(*Loop, *Conn, Reason) {}

// TestIdleLoop: a loop that has nothing to do gives the pages of its arenas back, and then sleeps
// for good.
func TestIdleLoop(t *testing.T) {
	k := &recorder{now: time.Hour, ready: []int{1}}
	l, err := NewLoop(Options{Kernel: k, Clock: func() time.Duration { return k.now }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Stop)
	l.Turn()
	for i := range l.readArena[:64<<10] {
		l.readArena[i] = 1
	}
	if residentPages(l) == 0 {
		t.Error("no page of the read arena is resident after a read")
	}
	l.Turn()
	l.Turn()
	if pages := residentPages(l); pages != 0 {
		t.Errorf("%d pages of the read arena are resident", pages)
	}
	expectWaits(t, k.waited, "for good", "wait 1s", "for good")
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

// residentPages is how many pages of l's read arena are resident.
func residentPages(l *Loop) int {
	state := make([]byte, (len(l.readArena)+pageSize-1)/pageSize)
	_, _, errno := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(&l.readArena[0])), uintptr(len(l.readArena)), uintptr(unsafe.Pointer(&state[0])))
	if errno != 0 {
		return -1
	}
	n := 0
	for _, s := range state {
		n += int(s & 1)
	}
	return n
}
