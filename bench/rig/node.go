// A node under test: `c100k serve` with all its workers.

package rig

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Node is a running node. Its methods may be called by any goroutine.
type Node struct {
	Public, Admin string // host:port
	cmd           *exec.Cmd
	serves        chan struct{} // closed when it has said where: Public and Admin are set
	ended         chan struct{} // closed when the process has ended

	mu     sync.Mutex // guards the fields below
	errors []string   // what it logged as an error, and what was no log line at all
	last   []string   // its last lines, whatever they are
}

// Environment is what surrounds a node beside its arguments. The zero value is this process's own.
type Environment struct {
	Host      string   // address that the public port is on; empty: 127.0.0.1
	Variables []string // "NAME=value", above those of this process
	Files     int      // limit on open files of each of its processes; 0: that of this one
}

// Start runs `binary serve` on free ports with the arguments given, and returns when it is ready.
func Start(binary string, around Environment, args ...string) (*Node, error) {
	n := &Node{serves: make(chan struct{}), ended: make(chan struct{})}
	args = append([]string{binary, "serve", "--listen", net.JoinHostPort(cmp.Or(around.Host, "127.0.0.1"), "0"),
		"--admin", "127.0.0.1:0", "--log-format", "json"}, args...)
	if around.Files > 0 {
		// Only a shell sets a limit for a child without touching our own.
		args = append([]string{"/bin/sh", "-c", `ulimit -n "$0" && exec "$@"`, strconv.Itoa(around.Files)}, args...)
	}
	n.cmd = exec.Command(args[0], args[1:]...)
	n.cmd.Env = append(os.Environ(), around.Variables...)
	// The node must not outlive the program that measures it: it would keep ports and memory.
	n.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	stderr, err := n.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := n.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the node: %w", err)
	}
	go n.follow(stderr)
	if err := n.awaitReady(); err != nil {
		n.Stop()
		return nil, fmt.Errorf("%w; its last words: %s", err, strings.Join(n.lastWords(), "\n"))
	}
	return n, nil
}

// follow reads the log to its end, and keeps what is an error.
func (n *Node) follow(stderr io.Reader) {
	lines := bufio.NewScanner(stderr)
	lines.Buffer(nil, logLineBytesMax)
	for lines.Scan() {
		n.note(lines.Bytes())
	}
	_ = n.cmd.Wait() // how it ended is told by its log
	close(n.ended)
}

func (n *Node) note(line []byte) {
	var entry struct{ Level, Msg, Listen, Admin string }
	strange := json.Unmarshal(line, &entry) != nil
	if entry.Msg == "serving" && n.Admin == "" {
		n.Public, n.Admin = entry.Listen, entry.Admin
		close(n.serves)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if (strange || entry.Level == "ERROR") && len(n.errors) < errorsKept {
		n.errors = append(n.errors, string(line))
	}
	if len(n.last) == lastWordsKept {
		n.last = n.last[1:]
	}
	n.last = append(n.last, string(line))
}

// Errors are the lines that the node has logged as errors, and those that were no log lines, such
// as a panic's.
func (n *Node) Errors() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]string(nil), n.errors...)
}

func (n *Node) lastWords() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]string(nil), n.last...)
}

func (n *Node) awaitReady() error {
	begin := time.Now()
	select {
	case <-n.serves:
	case <-n.ended:
		return errors.New("the node ended instead of serving")
	case <-time.After(startTimeout):
		return fmt.Errorf("the node has not said where it serves after %v", startTimeout)
	}
	for ; time.Since(begin) < startTimeout; time.Sleep(startPause) {
		select {
		case <-n.ended:
			return errors.New("the node ended instead of serving")
		default:
		}
		response, err := client.Get("http://" + n.Admin + "/readyz")
		if err != nil {
			continue
		}
		response.Body.Close()
		if response.StatusCode == http.StatusOK {
			return nil
		}
	}
	return fmt.Errorf("the node is not ready after %v", startTimeout)
}

// PID is the process that was started: the parent, where there are several.
func (n *Node) PID() int { return n.cmd.Process.Pid }

// Workers are the processes that hold connections: the children of the parent, or the node itself
// where it is alone. A worker that died and was started again has another number.
func (n *Node) Workers() []int {
	if children := Children(n.PID()); len(children) > 0 {
		return children
	}
	return []int{n.PID()}
}

// KillWorker kills one of the workers, without a word to it, and waits for its end.
func (n *Node) KillWorker(i int) error {
	workers := n.Workers()
	if i >= len(workers) || workers[i] == n.PID() {
		return fmt.Errorf("the node has no worker %d to kill", i)
	}
	if err := syscall.Kill(workers[i], syscall.SIGKILL); err != nil {
		return err
	}
	for giveUp := time.Now().Add(killPatience); ; time.Sleep(time.Millisecond) {
		switch {
		case errors.Is(syscall.Kill(workers[i], 0), syscall.ESRCH):
			return nil
		case time.Now().After(giveUp):
			return fmt.Errorf("worker %d is there still %v after it was killed", i, killPatience)
		}
	}
}

// Kill kills the node without a word to it, and waits for its end. Its workers notice.
func (n *Node) Kill() error {
	err := n.cmd.Process.Kill()
	<-n.ended
	return err
}

// processes are the node's own and its workers.
func (n *Node) processes() []int { return append([]int{n.PID()}, Children(n.PID())...) }

// Stats is what is looked at of a node's statistics.
type Stats struct {
	Connections struct {
		Total int `json:"total"`
	} `json:"connections"`
	SlowConsumers map[string]uint64 `json:"slow_consumer_total"` // by what was done with them
}

// Stats asks the admin port.
func (n *Node) Stats() (s Stats, err error) {
	response, err := client.Get("http://" + n.Admin + "/v1/stats")
	if err != nil {
		return s, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return s, fmt.Errorf("statistics of the node: %s", response.Status)
	}
	return s, json.NewDecoder(io.LimitReader(response.Body, statsBytesMax)).Decode(&s)
}

// Stop ends the node, by force where it does not go when asked.
func (n *Node) Stop() {
	_ = n.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-n.ended:
	case <-time.After(stopTimeout):
		_ = n.cmd.Process.Kill()
		<-n.ended
	}
}

// client keeps no connections: they would show in the node's figures.
var client = &http.Client{Timeout: askTimeout, Transport: &http.Transport{DisableKeepAlives: true}}
