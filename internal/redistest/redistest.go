// Package redistest runs real Redis servers for tests, and the faults that they are put through.
package redistest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"c100k/internal/netlab"
)

// patience bounds how long anything may take before a test gives up on it.
const patience = 30 * time.Second

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("still not: " + what)
		}
	}
}

// FreePort returns a port of 127.0.0.1 that nobody else gets until the test ends.
func FreePort(t testing.TB) int {
	t.Helper()
	_, text, err := net.SplitHostPort(netlab.KeepPort(t))
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// Server is a process of redis-server or redis-sentinel.
type Server struct {
	program string
	args    []string
	port    int
	process *exec.Cmd
}

// Addr is where the server listens.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// URL is what package redisurl reads.
func (s *Server) URL() string { return "redis://" + s.Addr() }

// Start runs a server without files; args are further settings.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	s := &Server{program: "redis-server", port: FreePort(t)}
	s.args = append([]string{"--port", strconv.Itoa(s.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
		"--dir", t.TempDir(), "--loglevel", "warning"}, args...)
	s.Start(t)
	t.Cleanup(func() { s.Kill() })
	return s
}

// Start starts the process, and returns when it answers.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath(s.program); err != nil {
		t.Fatalf("%s is missing: internal/e2e/setup.sh installs it", s.program)
	}
	s.process = exec.Command(s.program, s.args...)
	s.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.process.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, s.program+" answers", func() bool {
		c, err := net.Dial("tcp", s.Addr())
		if err != nil {
			return false
		}
		defer c.Close()
		buf := make([]byte, 64)
		_ = c.SetDeadline(time.Now().Add(time.Second))
		if _, err := c.Write([]byte("PING\r\n")); err != nil {
			return false
		}
		n, _ := c.Read(buf)
		return strings.HasPrefix(string(buf[:n]), "+PONG") || strings.HasPrefix(string(buf[:n]), "-NOAUTH")
	})
}

// Kill ends the process without a word to its clients.
func (s *Server) Kill() {
	if s.process != nil {
		_ = s.process.Process.Kill()
		_ = s.process.Wait()
		s.process = nil
	}
}

// Do sends a command of an operator, and returns what the server says.
func (s *Server) Do(t testing.TB, args ...string) string {
	t.Helper()
	out, err := s.try(args...)
	if err != nil {
		t.Fatalf("redis-cli %v: %v %s", args, err, out)
	}
	return out
}

// try is Do for a server that may not answer now: one that changes its role closes connections.
func (s *Server) try(args ...string) (string, error) {
	out, err := exec.Command("redis-cli", append([]string{"-p", strconv.Itoa(s.port)}, args...)...).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// Saying waits until the server says something that has text in it.
func (s *Server) Saying(t testing.TB, text string, args ...string) {
	t.Helper()
	eventually(t, fmt.Sprint(args, " says ", text), func() bool {
		out, err := s.try(args...)
		return err == nil && strings.Contains(out, text)
	})
}

// StartSentinel runs a Sentinel that watches a master, and finds it dead after 500 ms.
func StartSentinel(t testing.TB, master *Server) *Server {
	t.Helper()
	s := &Server{program: "redis-sentinel", port: FreePort(t)}
	file := filepath.Join(t.TempDir(), "sentinel.conf")
	text := fmt.Sprintf("port %d\nbind 127.0.0.1\nloglevel warning\nsentinel monitor main 127.0.0.1 %d 1\n"+
		"sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 5000\n", s.port, master.port)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s.args = []string{file}
	s.Start(t)
	t.Cleanup(func() { s.Kill() })
	return s
}

// StartCluster runs three masters that share the slots.
func StartCluster(t testing.TB, args ...string) []*Server {
	t.Helper()
	var all []*Server
	var addrs []string
	for range 3 {
		s := Start(t, append([]string{"--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(FreePort(t)), "--cluster-node-timeout", "2000"}, args...)...)
		all, addrs = append(all, s), append(addrs, s.Addr())
	}
	all[0].Do(t, append([]string{"--cluster", "create", "--cluster-yes"}, addrs...)...)
	for _, s := range all {
		s.Saying(t, "cluster_state:ok", "cluster", "info")
	}
	return all
}
