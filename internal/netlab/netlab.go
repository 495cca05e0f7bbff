// Package netlab makes machines of one network for tests and demonstrations: network namespaces on
// one bridge, with processes on them, whose cables can be pulled. That needs root and iproute2. It
// also keeps ports for tests.
package netlab

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

// Lab is the network and what runs on it. One goroutine at a time.
type Lab struct {
	Dir string // for the output of processes

	prefix string // of the names of namespaces
	hosts  []*Host
}

// Host is one machine.
type Host struct {
	Name, Address string

	lab       *Lab
	ns        string // its namespace
	link      string // its end of the cable at the bridge
	processes []*Process
}

// Process is one that was started on a machine.
type Process struct {
	Ended chan struct{} // closed when it has ended

	cmd *exec.Cmd
}

// Check says what is missing for a Lab.
func Check() error {
	if os.Geteuid() != 0 {
		return errors.New("network namespaces need root")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		return errors.New("network namespaces need the program ip of iproute2")
	}
	return nil
}

// New makes a network without machines. The output of processes goes to files in dir, which must be
// there.
func New(dir string) (*Lab, error) {
	l := &Lab{Dir: dir, prefix: "c100k-" + strconv.Itoa(os.Getpid()) + "-"}
	hub := l.prefix + "hub"
	for _, args := range [][]string{
		{"netns", "add", hub},
		{"-n", hub, "link", "add", "bridge", "type", "bridge"},
		{"-n", hub, "link", "set", "bridge", "up"},
	} {
		if err := ip(args...); err != nil {
			l.Close()
			return nil, err
		}
	}
	return l, nil
}

func ip(args ...string) error {
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

// Add makes a machine and connects it to the others.
func (l *Lab) Add(name string) (*Host, error) {
	n := len(l.hosts) + 1
	h := &Host{lab: l, Name: name, Address: fmt.Sprintf("10.87.0.%d", n), ns: l.prefix + name, link: "port" + strconv.Itoa(n)}
	l.hosts = append(l.hosts, h)
	hub := l.prefix + "hub"
	for _, args := range [][]string{
		{"netns", "add", h.ns},
		{"-n", hub, "link", "add", h.link, "type", "veth", "peer", "name", "eth0", "netns", h.ns},
		{"-n", hub, "link", "set", h.link, "master", "bridge", "up"},
		{"-n", h.ns, "address", "add", h.Address + "/24", "dev", "eth0"},
		{"-n", h.ns, "link", "set", "eth0", "up"},
		{"-n", h.ns, "link", "set", "lo", "up"},
	} {
		if err := ip(args...); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// Close ends all processes and takes the network down.
func (l *Lab) Close() {
	for _, h := range l.hosts {
		for _, p := range h.processes {
			p.Kill()
		}
	}
	for _, h := range l.hosts {
		_ = ip("netns", "del", h.ns) // what is not there needs no removing
	}
	_ = ip("netns", "del", l.prefix+"hub")
}

// Start starts a program on the machine, in a directory (empty: that of this process). Its output
// goes to a file of the lab. It is killed when this process ends.
func (h *Host) Start(dir, program string, args ...string) (*Process, error) {
	out, err := os.OpenFile(filepath.Join(h.lab.Dir, h.Name+"-"+filepath.Base(program)+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd := h.Command(program, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, out, out
	// It must not outlive this program: it would keep the namespace.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &Process{cmd: cmd, Ended: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // its log says how it ended
		close(p.Ended)
	}()
	h.processes = append(h.processes, p)
	return p, nil
}

// Command is a program that will run on the machine.
func (h *Host) Command(program string, args ...string) *exec.Cmd {
	return exec.Command("ip", append([]string{"netns", "exec", h.ns, program}, args...)...)
}

// Kill ends the process without a word, and waits for its end.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.Ended
}

// Plug connects the machine to the others, or cuts it off. Nobody is told of it.
func (h *Host) Plug(in bool) error {
	state := "down"
	if in {
		state = "up"
	}
	return ip("-n", h.lab.prefix+"hub", "link", "set", h.link, state)
}

// On runs f, which opens sockets, on the machine. What it opens stays there. The thread comes back:
// if it ended, the processes that it has started would be killed.
func (h *Host) On(f func() error) error {
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

// Dial connects to an address as the machine sees it: 127.0.0.1 is the machine itself.
func (h *Host) Dial(ctx context.Context, network, address string) (c net.Conn, err error) {
	err = h.On(func() error {
		c, err = (&net.Dialer{Timeout: time.Second}).DialContext(ctx, network, address)
		return err
	})
	return c, err
}
