// Command cluster shows what a cluster does when its parts fail: three c100k nodes and two Node
// socket.io servers on Redis with Sentinel, each a machine of its own (a network namespace). One
// node is cut off, the master of Redis dies, a node dies. It prints one table of what was
// published, received, missed and counted, and exits with 1 if a goal is missed. It needs root.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"c100k/bench/rig"
	"c100k/internal/netlab"
)

// options are what the command line says.
type options struct {
	binary  string
	scripts string
	calm    time.Duration // how long traffic flows before and after a fault
	outage  time.Duration // how long a node is cut off
	logs    string
}

func main() {
	o := options{}
	flag.StringVar(&o.binary, "c100k", filepath.Join("bin", "c100k"), "the program")
	flag.StringVar(&o.scripts, "node", filepath.Join("internal", "e2e", "node"), "where the Node server and its packages are")
	flag.DurationVar(&o.calm, "calm", 3*time.Second, "how long messages flow before and after each fault")
	flag.DurationVar(&o.outage, "outage", 5*time.Second, "how long a node is cut off")
	flag.StringVar(&o.logs, "logs", "", "keep the logs of all processes in this directory")
	flag.Parse()
	rig.Main("cluster", func(ctx context.Context) error {
		if err := needs(o); err != nil {
			return err
		}
		t, err := run(ctx, o)
		if err != nil {
			return err
		}
		t.print(os.Stdout)
		if !t.met() {
			return errors.New("a goal was missed")
		}
		return nil
	})
}

// needs says what is missing.
func needs(o options) error {
	if err := netlab.Check(); err != nil {
		return err
	}
	for _, program := range []string{"redis-server", "redis-sentinel", "node", o.binary} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("%s is missing: make test-setup installs what tests need, make build builds c100k", program)
		}
	}
	if _, err := os.Stat(filepath.Join(o.scripts, "node_modules", "ioredis")); err != nil {
		return errors.New("the Node packages are missing: make test-setup installs them")
	}
	return nil
}

// run builds the cluster, puts it through the steps, and takes it down.
func run(ctx context.Context, o options) (*table, error) {
	dir := o.logs
	var err error
	if dir != "" {
		err = os.MkdirAll(dir, 0o755)
	} else if dir, err = os.MkdirTemp("", "cluster-"); err == nil {
		defer os.RemoveAll(dir)
	}
	if err != nil {
		return nil, err
	}
	l, err := netlab.New(dir)
	if err != nil {
		return nil, err
	}
	defer l.Close()
	c, err := start(l, o)
	if err != nil {
		return nil, err
	}
	tr, err := begin(c)
	if err != nil {
		return nil, err
	}
	defer tr.end()
	t := &table{}
	for _, s := range []struct {
		title string
		fault func(context.Context, *trial) error
	}{
		{"nothing happens", nothing},
		{"one node is cut off", partition},
		{"the master of Redis is killed", failover},
		{"a node is killed", killNode},
	} {
		fmt.Fprintln(os.Stderr, "cluster:", s.title)
		one := &trial{options: o, cluster: c, traffic: tr, title: s.title}
		if err := one.run(ctx, s.fault); err != nil {
			return nil, fmt.Errorf("%s: %w", s.title, err)
		}
		t.rows = append(t.rows, one.rows...)
	}
	return t, nil
}
