// Real Redis servers for the tests, and the faults that they are put through.

package redisbus

import (
	"context"
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

	"github.com/redis/rueidis"
	"go.uber.org/goleak"
)

// patience bounds how long anything may take before a test gives up on it.
const patience = 30 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("still not: " + what)
		}
	}
}

// freePort returns a port that was free a moment ago.
func freePort(t testing.TB) int {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).Port
}

// redisServer is a process of redis-server or redis-sentinel.
type redisServer struct {
	program string
	args    []string
	port    int
	cmd     *exec.Cmd
}

func (s *redisServer) addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }
func (s *redisServer) url() string  { return "redis://" + s.addr() }

// startRedis runs a server without files; args are further settings.
func startRedis(t testing.TB, args ...string) *redisServer {
	t.Helper()
	s := &redisServer{program: "redis-server", port: freePort(t)}
	s.args = append([]string{"--port", strconv.Itoa(s.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
		"--dir", t.TempDir(), "--loglevel", "warning"}, args...)
	s.start(t)
	t.Cleanup(func() { s.kill() })
	return s
}

func (s *redisServer) start(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath(s.program); err != nil {
		t.Fatalf("%s is missing: internal/e2e/setup.sh installs it", s.program)
	}
	s.cmd = exec.Command(s.program, s.args...)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, s.program+" answers", func() bool {
		c, err := net.Dial("tcp", s.addr())
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

// kill ends the process without a word to its clients.
func (s *redisServer) kill() {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		s.cmd = nil
	}
}

// do sends a command of an operator, and returns what the server says.
func (s *redisServer) do(t testing.TB, args ...string) string {
	t.Helper()
	out, err := s.try(args...)
	if err != nil {
		t.Fatalf("redis-cli %v: %v %s", args, err, out)
	}
	return out
}

// try is do for a server that may not answer now: one that changes its role closes connections.
func (s *redisServer) try(args ...string) (string, error) {
	out, err := exec.Command("redis-cli", append([]string{"-p", strconv.Itoa(s.port)}, args...)...).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// saying waits until the server says something that has text in it.
func (s *redisServer) saying(t testing.TB, text string, args ...string) {
	t.Helper()
	eventually(t, fmt.Sprint(args, " says ", text), func() bool {
		out, err := s.try(args...)
		return err == nil && strings.Contains(out, text)
	})
}

// client is a stranger's connection.
func (s *redisServer) client(t testing.TB) rueidis.Client {
	t.Helper()
	c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{s.addr()}, ForceSingleClient: true, DisableCache: true,
		ConnWriteTimeout: 2 * time.Minute}) // for a large message on a busy machine
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func publish(t testing.TB, c rueidis.Client, channel string, message []byte) {
	t.Helper()
	if err := c.Do(context.Background(), c.B().Publish().Channel(channel).Message(string(message)).Build()).Error(); err != nil {
		t.Fatal(err)
	}
}

// startSentinel runs a Sentinel that watches a master, and finds it dead after 500 ms.
func startSentinel(t testing.TB, master *redisServer) *redisServer {
	t.Helper()
	s := &redisServer{program: "redis-sentinel", port: freePort(t)}
	file := filepath.Join(t.TempDir(), "sentinel.conf")
	text := fmt.Sprintf("port %d\nbind 127.0.0.1\nloglevel warning\nsentinel monitor main 127.0.0.1 %d 1\n"+
		"sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 5000\n", s.port, master.port)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s.args = []string{file}
	s.start(t)
	t.Cleanup(func() { s.kill() })
	return s
}

// startCluster runs three masters that share the slots.
func startCluster(t testing.TB, args ...string) []*redisServer {
	t.Helper()
	var all []*redisServer
	var addrs []string
	for range 3 {
		s := startRedis(t, append([]string{"--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(freePort(t)), "--cluster-node-timeout", "2000"}, args...)...)
		all, addrs = append(all, s), append(addrs, s.addr())
	}
	all[0].do(t, append([]string{"--cluster", "create", "--cluster-yes"}, addrs...)...)
	for _, s := range all {
		s.saying(t, "cluster_state:ok", "cluster", "info")
	}
	return all
}
