// Command relay measures what passes between two nodes through one Redis: how many messages a
// second arrive without a loss, and what a message costs the node that delivers it to 10,000
// subscribers, beside the same message published there. It prints one table, and exits with 1 if a
// goal is missed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"c100k/bench/rig"
)

// options are what the command line says.
type options struct {
	binary      string
	rate        int
	size        int
	flow        time.Duration
	subscribers int
	rounds      int
	window      time.Duration
}

func main() {
	o := options{}
	flag.StringVar(&o.binary, "c100k", filepath.Join("bin", "c100k"), "the program")
	flag.IntVar(&o.rate, "rate", 50000, "messages a second from one node to the other")
	flag.IntVar(&o.size, "size", 128, "bytes of a message")
	flag.DurationVar(&o.flow, "for", 5*time.Second, "how long they flow")
	flag.IntVar(&o.subscribers, "subscribers", 10000, "subscribers of the fan-out")
	flag.IntVar(&o.rounds, "rounds", 10, "windows of each way of the fan-out, by turns")
	flag.DurationVar(&o.window, "window", 2*time.Second, "how long a window is")
	flag.Parse()
	rig.Main("relay", func(ctx context.Context) error {
		met, err := run(ctx, o, os.Stdout)
		if err == nil && !met {
			err = errors.New("a goal was missed")
		}
		return err
	})
}

// pair is two nodes and the Redis between them.
type pair struct {
	options
	redis    *exec.Cmd
	from, to *rig.Node
}

func run(ctx context.Context, o options, w io.Writer) (met bool, err error) {
	p := &pair{options: o}
	defer p.close()
	if err := p.start(); err != nil {
		return false, err
	}
	m := rig.Describe(o.binary)
	fmt.Fprintf(w, "%s · %s, %d CPUs · %s · %s\n\n| | | goal |\n|---|---:|---|\n", m.Kernel, m.CPU, m.CPUs, m.Commit, m.Date)
	met = true
	for _, measure := range []func(context.Context) ([]figure, error){p.throughput, p.fanout} {
		figures, err := measure(ctx)
		if err != nil {
			return false, err
		}
		for _, f := range figures {
			fmt.Fprintln(w, f.text())
			met = met && f.met
		}
	}
	return met, nil
}

// figure is a line of the table.
type figure struct {
	title, value, goal string
	met                bool
}

func (f *figure) text() string {
	verdict := f.goal
	if f.goal != "" && !f.met {
		verdict += ", MISSED"
	}
	return fmt.Sprintf("| %s | %s | %s |", f.title, f.value, verdict)
}

// plainly is a figure without a goal.
func plainly(title, format string, args ...any) figure {
	return figure{title: title, value: fmt.Sprintf(format, args...), met: true}
}

// start starts Redis and both nodes.
func (p *pair) start() error {
	address, err := rig.FreeAddress("127.0.0.1")
	if err != nil {
		return err
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	p.redis = exec.Command("redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--loglevel", "warning", "--dir", os.TempDir())
	p.redis.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p.redis.Stderr = os.Stderr
	if err := p.redis.Start(); err != nil {
		return fmt.Errorf("start redis-server: %w", err)
	}
	if err := answers(address); err != nil {
		return err
	}
	for _, n := range []**rig.Node{&p.from, &p.to} {
		if *n, err = rig.Start(p.binary, rig.Environment{}, "--dev", "--workers", "1", "--drain", "1s", "--bus", "redis://"+address,
			"--max-conns", fmt.Sprint(p.subscribers+1000)); err != nil {
			return err
		}
	}
	return nil
}

// answers waits until something listens.
func answers(address string) error {
	for giveUp := time.Now().Add(patience); ; time.Sleep(pollPause) {
		c, err := net.Dial("tcp", address)
		if err == nil {
			return c.Close()
		}
		if time.Now().After(giveUp) {
			return err
		}
	}
}

func (p *pair) close() {
	for _, n := range []*rig.Node{p.from, p.to} {
		if n != nil {
			n.Stop()
		}
	}
	if p.redis != nil && p.redis.Process != nil {
		_ = p.redis.Process.Kill()
		_ = p.redis.Wait() // killed
	}
}
