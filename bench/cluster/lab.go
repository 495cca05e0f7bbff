// Machines that are network namespaces on one bridge, and the processes on them.

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// patience bounds each wait for something to begin or to settle.
	patience = 30 * time.Second
	// pollPause is the time between two looks.
	pollPause = 5 * time.Millisecond
)

// lab is the network and what runs on it.
type lab struct {
	prefix string // of the names of namespaces
	dir    string
	keep   bool // dir
	hosts  []*host
}

// host is one machine.
type host struct {
	lab     *lab
	name    string
	ns      string // its namespace
	link    string // its end of the cable at the bridge
	address string
	process []*process
}

type process struct {
	cmd   *exec.Cmd
	ended chan struct{}
}

func newLab(logs string) (*lab, error) {
	l := &lab{prefix: "c100k-" + strconv.Itoa(os.Getpid()) + "-", dir: logs, keep: logs != ""}
	var err error
	if l.keep {
		err = os.MkdirAll(logs, 0o755)
	} else {
		l.dir, err = os.MkdirTemp("", "cluster-")
	}
	if err == nil {
		err = l.ip("netns", "add", l.prefix+"hub")
	}
	if err == nil {
		err = l.ip("-n", l.prefix+"hub", "link", "add", "bridge", "type", "bridge")
	}
	if err == nil {
		err = l.ip("-n", l.prefix+"hub", "link", "set", "bridge", "up")
	}
	if err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

func (l *lab) ip(args ...string) error {
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

// add makes a machine and connects it to the bridge.
func (l *lab) add(name string) (*host, error) {
	n := len(l.hosts) + 1
	h := &host{lab: l, name: name, ns: l.prefix + name, link: "port" + strconv.Itoa(n), address: fmt.Sprintf("10.87.0.%d", n)}
	l.hosts = append(l.hosts, h)
	hub := l.prefix + "hub"
	for _, args := range [][]string{
		{"netns", "add", h.ns},
		{"-n", hub, "link", "add", h.link, "type", "veth", "peer", "name", "eth0", "netns", h.ns},
		{"-n", hub, "link", "set", h.link, "master", "bridge", "up"},
		{"-n", h.ns, "address", "add", h.address + "/24", "dev", "eth0"},
		{"-n", h.ns, "link", "set", "eth0", "up"},
		{"-n", h.ns, "link", "set", "lo", "up"},
	} {
		if err := l.ip(args...); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// close ends all processes and takes the network down.
func (l *lab) close() {
	for _, h := range l.hosts {
		for _, p := range h.process {
			_ = p.cmd.Process.Kill() // it may have ended
			<-p.ended
		}
	}
	for _, h := range l.hosts {
		_ = l.ip("netns", "del", h.ns) // what is not there needs no removing
	}
	_ = l.ip("netns", "del", l.prefix+"hub")
	if !l.keep {
		_ = os.RemoveAll(l.dir)
	}
}

// start starts a program on the machine. Its output goes to a file.
func (h *host) start(dir, program string, args ...string) (*process, error) {
	out, err := os.OpenFile(filepath.Join(h.lab.dir, h.name+"-"+filepath.Base(program)+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd := exec.Command("ip", append([]string{"netns", "exec", h.ns, program}, args...)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, out, out
	// It must not outlive this program: it would keep the namespace.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, ended: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // its log says how it ended
		close(p.ended)
	}()
	h.process = append(h.process, p)
	return p, nil
}

// kill ends the process without a word.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// plug connects the machine to the others, or cuts it off.
func (h *host) plug(in bool) error {
	state := "down"
	if in {
		state = "up"
	}
	return h.lab.ip("-n", h.lab.prefix+"hub", "link", "set", h.link, state)
}

// on runs f, which opens sockets, on the machine. What it opens stays there. The thread comes back:
// if it ended, the processes that it has started would be killed.
func (h *host) on(f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return err
	}
	defer home.Close()
	ns, err := os.Open("/run/netns/" + h.ns)
	if err != nil {
		return err
	}
	defer ns.Close()
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
		return err
	}
	err = f()
	if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back != nil {
		panic("cannot leave a network namespace: " + back.Error()) // this thread would dial from there
	}
	return err
}

// dial connects to an address as the machine sees it.
func (h *host) dial(ctx context.Context, network, address string) (c net.Conn, err error) {
	err = h.on(func() error {
		c, err = (&net.Dialer{Timeout: time.Second}).DialContext(ctx, network, address)
		return err
	})
	return c, err
}

// await waits until ok returns nil.
func await(ctx context.Context, what string, ok func() error) error {
	for giveUp := time.Now().Add(patience); ; {
		err := ok()
		if err == nil {
			return nil
		}
		if time.Now().After(giveUp) {
			return fmt.Errorf("%s: not after %v: %w", what, patience, err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pollPause):
		}
	}
}

var errNotYet = errors.New("not yet")
