package main

// generator.go: runs of `c100k load` against one server, on a core of their own, and what makes one
// void or wrong.

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"c100k/bench/rig"
	"c100k/loadgen"
)

// generator runs the load.
type generator struct {
	binary string
	dir    string // for documents
	core   int
}

// load is a run that has ended: everything was received as it should be.
type load struct {
	*loadgen.Result
	void string // why its figures count for nothing; empty: they count
}

const (
	// In a closed loop the slower side is always busy. It is the generator where it had no time left
	// while the server had: then the server's turns had little to gather, and its cost an operation is
	// that of waiting too.
	loopBusyMax  = 0.95
	serverIdleAt = 0.65
)

// manner is what one run of the load has of its own. The zero value is what most have.
type manner struct {
	spared    int           // connections that may be dropped: readers that stand still
	unwatched bool          // nobody looks at the server's cost: a look takes the load's core for milliseconds, which latencies would show
	policy    uint32        // of the scheduler; 0 is the usual one
	progress  *rig.Progress // who waits for what it says; nil: nobody
}

// run runs the load to its end. A message lost, doubled, changed or out of order is an error; so is
// a connection that failed or was dropped.
func (g *generator) run(ctx context.Context, s *server, m manner, args ...string) (*load, error) {
	progress := m.progress
	if progress == nil {
		progress = rig.NewProgress()
	}
	args = append(s.loadArgs(args), "--plain")
	if !m.unwatched {
		args = append(args, "--server-pid", strconv.Itoa(s.pid()))
	}
	if s.protocol != "" {
		args = append(args, "--protocol", s.protocol)
	}
	if s.hello != "" {
		args = append(args, "--hello", s.hello)
	}
	base := filepath.Join(g.dir, strconv.FormatInt(time.Now().UnixNano(), 36))
	var ended *rig.Load
	err := onThread(g.core, m.policy, func() (err error) {
		ended, err = rig.Run(ctx, g.binary, base, progress, args...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("c100k load %s: %w\n%s", strings.Join(args, " "), err, progress.Tail())
	}
	l := &load{Result: ended.Result}
	if fault := faultOf(ended.Result, m.spared); fault != "" {
		return nil, fmt.Errorf("c100k load %s: %s", strings.Join(args, " "), fault)
	}
	l.void = voidReason(ended)
	return l, nil
}

// The policies that a run of the load may have. The one that gives way has a processor only where
// nobody else wants it. The probe goes before all others: what else runs on the box, some of it
// milliseconds at a time, would be measured as the server's latency. Where that is not allowed, it
// has no privilege.
const (
	givesWay = unix.SCHED_IDLE
	probe    = unix.SCHED_RR
)

// onThread calls f on a thread of its own, which children inherit core and policy from, and which
// ends with f: neither need be given back.
func onThread(core int, policy uint32, f func() error) error {
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked
		if core != anywhere {
			if err := rig.Pin(core); err != nil {
				result <- err
				return
			}
		}
		if err := schedule(policy); err != nil {
			result <- err
			return
		}
		result <- f()
	}()
	return <-result
}

// schedule gives the calling thread a policy.
func schedule(policy uint32) error {
	attr := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: policy}
	if policy == probe {
		attr.Priority = 1
	}
	err := unix.SchedSetAttr(0, &attr, 0)
	if err != nil && policy != probe {
		return fmt.Errorf("scheduling policy %d: %w", policy, err)
	}
	return nil
}

func faultOf(r *loadgen.Result, spared int) string {
	m, c := r.Messages, r.Connections
	switch {
	case m.Lost+m.Duplicated+m.Reordered+m.Corrupted > 0:
		return fmt.Sprintf("%d messages lost, %d doubled, %d out of order, %d changed", m.Lost, m.Duplicated, m.Reordered, m.Corrupted)
	case len(m.Refused) > 0:
		return fmt.Sprintf("publishes failed: %v", m.Refused)
	case c.Open < c.Wanted:
		return fmt.Sprintf("%d of %d connections opened: %v", c.Open, c.Wanted, c.Failed)
	case c.LostCount > uint64(spared):
		return fmt.Sprintf("connections were dropped: %v", c.Lost)
	}
	return ""
}

// voidReason is why the figures are not the server's. On an open schedule the generator says so
// itself; in a closed loop one side is always busy, and the question is which.
func voidReason(l *rig.Load) string {
	r := l.Result
	if r.Rate.InFlight > 0 {
		if r.Generator.Busy > loopBusyMax && r.Server != nil && r.Server.Cores < serverIdleAt {
			return fmt.Sprintf("the generator was busy %.0f %% of the time, the server %.0f %%", r.Generator.Busy*100, r.Server.Cores*100)
		}
		return ""
	}
	if l.Void {
		return strings.Join(r.Verdict.Reasons, "; ")
	}
	return ""
}
