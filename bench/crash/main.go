// Command crash kills a node with --history-dir again and again while messages are published, and
// counts which of those that were acknowledged are lost, doubled or out of order afterwards.
//
// It starts `c100k serve`, publishes over HTTP with idempotency keys, and tries again what was not
// acknowledged. A subscriber of each topic comes back with the id of the last event. It prints one
// table.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"c100k/bench/rig"
)

// options are what the command line says.
type options struct {
	binary     string
	kills      int
	publishers int
	topics     int
	workers    string
	sync       string
	lifeMin    time.Duration // of a node
	lifeMax    time.Duration
}

func main() {
	o := options{}
	flag.StringVar(&o.binary, "c100k", filepath.Join("bin", "c100k"), "the program")
	flag.IntVar(&o.kills, "kills", 100, "how many times the node is killed")
	flag.IntVar(&o.publishers, "publishers", 8, "publishers, each of which waits for its acknowledgement")
	flag.IntVar(&o.topics, "topics", 4, "topics")
	flag.StringVar(&o.workers, "workers", "1", "processes of the node; the parent is killed")
	flag.StringVar(&o.sync, "history-sync", "100ms", "as in c100k serve")
	flag.DurationVar(&o.lifeMin, "life-min", 50*time.Millisecond, "shortest life of a node, from when it is ready")
	flag.DurationVar(&o.lifeMax, "life-max", 400*time.Millisecond, "longest life")
	flag.Parse()
	rig.Main("crash", func(ctx context.Context) error {
		r, err := run(ctx, o)
		if err != nil {
			return err
		}
		r.print(os.Stdout)
		if !r.met() {
			return errors.New("a goal was missed")
		}
		return nil
	})
}

// result is what has become of the messages.
type result struct {
	kills, acknowledged, retried, resumed int
	lost, doubled, disordered, resets     int
	longest                               time.Duration // from a kill to the next acknowledgement
}

func (r *result) met() bool {
	return r.lost == 0 && r.doubled == 0 && r.disordered == 0 && r.resets == 0 && r.acknowledged > 0
}

func (r *result) print(w io.Writer) {
	fmt.Fprintf(w, "| kill -9 of the node %d times under publishing | | goal |\n|---|---:|---:|\n", r.kills)
	for _, row := range []struct {
		name string
		n    int
		goal string
	}{
		{"acknowledged messages", r.acknowledged, ""}, {"sent again with their key", r.retried, ""}, {"resumes of subscribers", r.resumed, ""},
		{"acknowledged and lost", r.lost, "0"}, {"doubled", r.doubled, "0"}, {"out of order", r.disordered, "0"}, {"resets", r.resets, "0"},
	} {
		fmt.Fprintf(w, "| %s | %d | %s |\n", row.name, row.n, row.goal)
	}
	fmt.Fprintf(w, "| longest time from a kill to an acknowledgement | %v | |\n", r.longest.Round(time.Millisecond))
}

// trial is one run.
type trial struct {
	options
	dir  string
	node atomic.Pointer[rig.Node]
	end  chan struct{} // closed when nothing more is to be published

	acknowledged atomic.Int64 // messages
}

// run does a trial.
func run(ctx context.Context, o options) (*result, error) {
	dir, err := os.MkdirTemp("", "crash-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	t := &trial{options: o, dir: dir, end: make(chan struct{})}
	if err := t.start(); err != nil {
		return nil, err
	}
	defer func() { t.node.Load().Stop() }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	subscribers, publishers := make([]*subscriber, o.topics), make([]*publisher, o.publishers)
	var listening, publishing sync.WaitGroup
	for i := range subscribers {
		subscribers[i] = newSubscriber(t, i)
		listening.Go(func() { subscribers[i].run(ctx) })
	}
	for _, s := range subscribers {
		select {
		case <-s.began:
		case <-time.After(patience):
			return nil, errors.New("a subscriber does not hear its first event")
		}
	}
	for i := range publishers {
		publishers[i] = &publisher{trial: t, number: i}
		publishing.Go(func() { publishers[i].run(ctx) })
	}
	r := &result{}
	err = t.kill(ctx, r)
	close(t.end)
	publishing.Wait()
	if err == nil {
		err = t.settle(ctx, publishers, subscribers)
	}
	cancel()
	listening.Wait()
	if err != nil {
		return nil, err
	}
	return r, t.judge(r, publishers, subscribers)
}

// start starts the node.
func (t *trial) start() error {
	n, err := rig.Start(t.binary, rig.Environment{}, "--dev", "--workers", t.workers, "--drain", "100ms", "--history", "crash.>=1000000,1h",
		"--history-dir", filepath.Join(t.dir, "history"), "--history-sync", t.sync)
	if err == nil {
		t.node.Store(n)
	}
	return err
}

// kill kills the node as often as it is to be, each time while messages are acknowledged.
func (t *trial) kill(ctx context.Context, r *result) error {
	for r.kills < t.kills {
		if err := t.live(ctx); err != nil {
			return err
		}
		killed := time.Now()
		if err := t.node.Load().Kill(); err != nil {
			return err
		}
		r.kills++
		if err := t.start(); err != nil {
			return err
		}
		before := t.acknowledged.Load()
		for t.acknowledged.Load() == before {
			if err := pause(ctx, time.Millisecond); err != nil {
				return err
			}
			if time.Since(killed) > patience {
				return errors.New("nothing is acknowledged any more")
			}
		}
		r.longest = max(r.longest, time.Since(killed))
	}
	return t.live(ctx)
}

// live lets the node live for a random time.
func (t *trial) live(ctx context.Context) error {
	return pause(ctx, t.lifeMin+rand.N(t.lifeMax-t.lifeMin+1))
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// settle waits until the subscribers have what was acknowledged last.
func (t *trial) settle(ctx context.Context, publishers []*publisher, subscribers []*subscriber) error {
	deadline := time.Now().Add(patience)
	for _, p := range publishers {
		if len(p.acked) == 0 {
			continue
		}
		last := p.acked[len(p.acked)-1].payload
		for !subscribers[p.topic()].has(last) {
			if time.Now().After(deadline) {
				return nil // the judge says what is missing
			}
			if err := pause(ctx, time.Millisecond); err != nil {
				return err
			}
		}
	}
	return nil
}
