// One step as it is done: its node, its load, what it notes.

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"c100k/bench/rig"
	"c100k/loadgen"
)

// trial is a step that is being done.
type trial struct {
	options
	*section
	step    string
	workers []int // of the node that was started last
}

// node starts a fresh node: none inherits another's heap.
func (t *trial) node(args ...string) (*rig.Node, error) {
	if t.tls {
		args = append(args, "--tls-cert", t.cert, "--tls-key", t.key)
	}
	node, err := rig.Start(t.binary, rig.Environment{}, append([]string{"--workers", t.options.workers, "--max-conns", fmt.Sprint(t.maxConns()),
		"--public-topics", ">", "--drain", "1s"}, args...)...)
	if err != nil {
		return nil, err
	}
	t.workers = node.Workers()
	t.Workers = len(t.workers)
	return node, nil
}

// load runs the generator with subscribers, and keeps what it writes.
func (t *trial) load(ctx context.Context, node *rig.Node, name string, conns int, args ...string) (*rig.Load, error) {
	topic := "crowd"
	if strings.Contains(strings.Join(args, " "), "--topic ") {
		topic = "{topic}"
	}
	return t.loadAt(ctx, node, "/ws?topic="+topic, name, conns, args...)
}

// loadAt is load at another path.
func (t *trial) loadAt(ctx context.Context, node *rig.Node, path, name string, conns int, args ...string) (*rig.Load, error) {
	base := filepath.Join(t.out, t.name+"-"+name)
	load, err := rig.Run(ctx, t.binary, base, os.Stderr, append([]string{t.scheme() + "://" + node.Public + path, "--insecure",
		"--conns", fmt.Sprint(conns), "--size", fmt.Sprint(messageBytes), "--server-pid", fmt.Sprint(node.PID())}, args...)...)
	if err != nil {
		return nil, err
	}
	t.Runs = append(t.Runs, filepath.Base(load.JSON))
	if load.Void {
		t.Void = true
	}
	return load, nil
}

// beside is a load of a few clients that goes on beside another; nil is none.
type beside struct {
	stop  chan struct{}
	ended chan besideEnd
}

type besideEnd struct {
	load *rig.Load
	err  error
}

// startOthers has a few clients listen to a topic of their own, and returns when they do.
func (t *trial) startOthers(ctx context.Context, node *rig.Node) (*beside, error) {
	b, progress := &beside{make(chan struct{}), make(chan besideEnd, 1)}, rig.NewProgress()
	base := filepath.Join(t.out, t.name+"-"+t.step+"-others")
	go func() {
		load, err := rig.Until(ctx, b.stop, t.binary, base, progress, t.scheme()+"://"+node.Public+"/ws?topic={topic}", "--insecure", "--plain",
			"--conns", fmt.Sprint(othersCount), "--size", fmt.Sprint(messageBytes), "--topic", "others", "--for", "1h",
			"--publish", "http://"+node.Admin+"/v1/topics/others", "--publish-rate", fmt.Sprintf("%d/s", othersRate))
		if err != nil {
			err = fmt.Errorf("the others: %w\n%s", err, progress.Tail())
		}
		b.ended <- besideEnd{load, err}
	}()
	select {
	case <-progress.Measures:
		t.Runs = append(t.Runs, filepath.Base(base)+".json")
		return b, nil
	case early := <-b.ended:
		return nil, early.err
	}
}

// end ends it and returns what came of it.
func (b *beside) end() (*loadgen.Result, error) {
	if b == nil {
		return nil, nil
	}
	close(b.stop)
	end := <-b.ended
	if end.err != nil {
		return nil, end.err
	}
	return end.load.Result, nil
}

// replaced is how many workers are others than at the start.
func (t *trial) replaced(node *rig.Node) (n int) {
	was := map[int]bool{}
	for _, pid := range t.workers {
		was[pid] = true
	}
	for _, pid := range node.Workers() {
		if !was[pid] {
			n++
		}
	}
	return n
}

// sound notes whether the node is as it was: the same processes, and nothing in its log that should
// not be there.
func (t *trial) sound(node *rig.Node) error {
	t.note("workers that were started anew", float64(t.replaced(node)), "").none()
	errors := node.Errors()
	t.note("errors in the log of the node", float64(len(errors)), "").none()
	for _, line := range errors {
		fmt.Fprintln(os.Stderr, "  the node logged:", line)
	}
	return nil
}
