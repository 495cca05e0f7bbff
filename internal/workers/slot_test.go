// The life of a place, in faked time.

package workers

import (
	"errors"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// fakeSupervisor is a supervisor without processes.
func fakeSupervisor() *Supervisor {
	return &Supervisor{log: slog.New(slog.DiscardHandler), stop: make(chan struct{})}
}

// TestPlaceIsFilledAgain: the first restart is at once, later ones wait longer, and after a long
// life it is at once again.
func TestPlaceIsFilledAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := fakeSupervisor()
		s.up.Store(true)
		p := newSlot(s, 0)
		began := time.Now()
		lives := []time.Duration{time.Hour, time.Second, time.Second, 0, 0, 0, 0, 0, 0, time.Minute, 0}
		var starts []time.Duration
		p.life = func() (string, error) {
			lived := lives[len(starts)]
			starts = append(starts, time.Since(began).Round(time.Millisecond))
			if len(starts) == len(lives) {
				s.draining.Store(true)
				close(s.stop)
			}
			time.Sleep(lived)
			return "exit status 1", errors.New("it cannot listen any more")
		}
		if err := p.run(); err != nil {
			t.Error(err)
		}
		var pauses []time.Duration
		for i := range starts[1:] {
			pauses = append(pauses, starts[i+1]-starts[i]-lives[i])
		}
		want := []time.Duration{0, 250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second,
			8 * time.Second, restartDelayMax, restartDelayMax, 0}
		if !slices.Equal(pauses, want) {
			t.Errorf("pauses %v, want %v", pauses, want)
		}
		if p.restarts != uint64(len(lives)-1) {
			t.Errorf("%d restarts", p.restarts)
		}
	})
}

// TestStopEndsThePause: a node that stops does not wait for a place to be filled again.
func TestStopEndsThePause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := fakeSupervisor()
		s.up.Store(true)
		p := newSlot(s, 0)
		p.life = func() (string, error) { return "killed", nil }
		ended := make(chan error)
		go func() { ended <- p.run() }()
		time.Sleep(time.Hour)
		began := time.Now()
		s.draining.Store(true)
		close(s.stop)
		if err := <-ended; err != nil || time.Since(began) > 0 {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

// TestFirstStart: before the node has served, an error that a worker reports ends the node; a death
// without a report does not.
func TestFirstStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newSlot(fakeSupervisor(), 0)
		cause := errors.New("it cannot listen")
		lives := 0
		p.life = func() (string, error) {
			if lives++; lives < 5 {
				return "killed", nil
			}
			return "exit status 1", cause
		}
		if err := p.run(); !errors.Is(err, cause) || lives != 5 {
			t.Errorf("%v after %d lives", err, lives)
		}
	})
}

func TestBackoff(t *testing.T) {
	const short, long = time.Second, youthTime
	for _, test := range []struct {
		name  string
		lived []time.Duration
		want  []time.Duration
	}{
		{"the first start again is at once", []time.Duration{short}, []time.Duration{0}},
		{"those that die young wait longer each time", []time.Duration{0, 0, 0, 0, short, 0, 0, 0, 0},
			[]time.Duration{0, 250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second,
				8 * time.Second, restartDelayMax, restartDelayMax}},
		{"a long life makes good", []time.Duration{0, 0, 0, long, 0}, []time.Duration{0, 250 * time.Millisecond, 500 * time.Millisecond, 0, 250 * time.Millisecond}},
		{"deaths of old age never wait", []time.Duration{long, long, long}, []time.Duration{0, 0, 0}},
	} {
		var b backoff
		var got []time.Duration
		for _, lived := range test.lived {
			got = append(got, b.after(lived))
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
	b := backoff{young: 1000}
	if got := b.after(0); got != restartDelayMax {
		t.Errorf("after a thousand deaths: %v", got)
	}
}
