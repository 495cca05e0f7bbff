// Every rival does the same work: echo, broadcast, pongs, closes, and nobody suffers for a reader
// that stands still.

package peers

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// rival is a way to start one of the programs.
type rival struct {
	name    string
	args    []string
	dialect dialect
	text    bool // it has no binary messages
	node    bool // it is a script
	patient bool // how far a reader lags is bounded by time, not by size
	tls     bool // it speaks TLS
}

var rivals = []rival{
	{name: "gorilla", dialect: raw{}},
	{name: "coder", dialect: raw{}},
	{name: "gws", dialect: raw{}, patient: true},
	{name: "nbio", dialect: raw{}},
	{name: "nbio", args: []string{"--loops", "2"}, dialect: raw{}},
	{name: "gnet", args: []string{"--loops", "1"}, dialect: raw{}},
	{name: "gnet", args: []string{"--loops", "1", "--each"}, dialect: raw{}},
	{name: "gnet", args: []string{"--loops", "2"}, dialect: raw{}},
	{name: "gobwas", dialect: raw{}},
	{name: "gobwas", args: []string{"--each"}, dialect: raw{}},
	{name: "easygo", dialect: raw{}},
	{name: "easygo", args: []string{"--workers", "0", "--loops", "1"}, dialect: raw{}},
	{name: "melody", dialect: raw{}},
	{name: "centrifuge", dialect: centrifugeJSON{}, text: true},
	{name: "ws", dialect: raw{}, node: true},
	{name: "socketio", dialect: socketIO{}, node: true, patient: true},
	{name: "gorilla", dialect: raw{}, tls: true},
	{name: "gws", dialect: raw{}, patient: true, tls: true},
	{name: "nbio", dialect: raw{}, tls: true},
	{name: "ws", dialect: raw{}, node: true, tls: true},
}

// binaries builds them all, as the Makefile does.
var binaries = sync.OnceValues(func() (dir string, err error) {
	if dir, err = os.MkdirTemp("", "peers"); err != nil {
		return "", err
	}
	args := []string{"build", "-o", dir + "/", "-tags", "poll_opt,gc_opt", "./..."}
	if raceEnabled {
		args = []string{"build", "-o", dir + "/", "-race", "./..."} // what gnet does with those tags stops under the detector's checks of pointers
	}
	output, err := exec.Command("go", args...).CombinedOutput()
	if err != nil {
		return dir, fmt.Errorf("%w: %s", err, output)
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, _ := binaries(); dir != "" {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

// start runs a rival until the test ends, and returns its address.
func (r rival) start(t *testing.T) (addr string) {
	t.Helper()
	if raceEnabled && r.name == "nbio" {
		t.Skip("it passes connections on through epoll, which the race detector does not see")
	}
	args := r.args
	if r.tls {
		args = append(slices.Clone(args), certificate(t)...)
	}
	cmd := exec.Command("node", append([]string{filepath.Join("node", r.name+".mjs")}, args...)...)
	if !r.node {
		dir, err := binaries()
		if err != nil {
			t.Fatal(err)
		}
		cmd = exec.Command(filepath.Join(dir, r.name), args...)
	} else if _, err := os.Stat("node/node_modules"); err != nil {
		t.Skip("make peers installs the Node packages")
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		kill := time.AfterFunc(patience, func() { cmd.Process.Kill() })
		defer kill.Stop()
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s ended with %v", r.name, err)
		}
		if complaints.Len() > 0 {
			t.Errorf("%s complains: %s", r.name, &complaints)
		}
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	addr, ok := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	if err != nil || !ok {
		t.Fatalf("%s says %q, %v", r.name, line, err)
	}
	if r.tls {
		addr = tlsPrefix + addr
	}
	return addr
}

// eachRival runs a test against each, on a server of its own.
func eachRival(t *testing.T, test func(t *testing.T, r rival, addr string)) {
	for _, r := range rivals {
		name := strings.Join(append([]string{r.name}, r.args...), " ")
		if r.tls {
			name += " TLS"
		}
		t.Run(name, func(t *testing.T) {
			test(t, r, r.start(t))
		})
	}
}

// kinds are the opcodes of a rival's messages.
func (r rival) kinds() []byte {
	if r.text {
		return []byte{opText}
	}
	return []byte{opText, opBinary}
}

// message is one of a given size that says which it is.
func message(op byte, size int, name string) frame {
	p := bytes.Repeat([]byte("0123456789abcdef"), size/16)
	copy(p, name+" ")
	return frame{op, p}
}

func TestEcho(t *testing.T) {
	eachRival(t, func(t *testing.T, r rival, addr string) {
		s := r.dialect.open(t, addr, "/echo")
		for _, op := range r.kinds() {
			for _, size := range []int{64, 1 << 10, 16 << 10} {
				m := message(op, size, "alone")
				s.send(m)
				same(t, s.read(), m)
				sixteen := make([]frame, 16)
				for i := range sixteen {
					sixteen[i] = message(op, size, fmt.Sprint("in flight ", i))
				}
				s.send(sixteen...)
				for _, m := range sixteen {
					same(t, s.read(), m)
				}
			}
		}
	})
}

func same(t *testing.T, got, want frame) {
	t.Helper()
	if got.op != want.op || !bytes.Equal(got.payload, want.payload) {
		t.Fatalf("opcode %d, %d bytes %.80q; want opcode %d, %d bytes %.80q", got.op, len(got.payload), got.payload, want.op, len(want.payload), want.payload)
	}
}

// TestControl: pings are answered at once and with what they said; a close is answered, and the
// connection ends.
func TestControl(t *testing.T) {
	eachRival(t, func(t *testing.T, r rival, addr string) {
		for _, path := range []string{"/echo", "/broadcast"} {
			var c *client
			switch s := r.dialect.open(t, addr, path).(type) {
			case *client:
				c = s
			case *centrifugeSession:
				c = s.client
			case *socketIOSession:
				c = s.client
			}
			c.send(frame{opPing, []byte("are you there?")})
			c.expect(frame{opPong, []byte("are you there?")})
			c.send(frame{opClose, []byte{1000 >> 8, 1000 & 255}})
			if got := c.read(); got.op != opClose || len(got.payload) > 0 && !bytes.HasPrefix(got.payload, []byte{1000 >> 8, 1000 & 255}) {
				t.Fatalf("close is answered by opcode %d, %q", got.op, got.payload)
			}
			c.expectEnd()
		}
	})
}

// TestCutFrames: bytes come in whatever pieces the network makes of them, and a message may come in
// fragments.
func TestCutFrames(t *testing.T) {
	eachRival(t, func(t *testing.T, r rival, addr string) {
		if _, ok := r.dialect.(raw); !ok {
			t.Skip("its own protocol lies over the frames")
		}
		c := dial(t, addr, "/echo")
		m := message(opBinary, 1<<10, "cut")
		b := appendMasked(nil, m)
		for _, cut := range []int{1, 3, 6, 500, len(b)} {
			piece := b[:cut]
			for b := b; len(b) > 0; b, piece = b[len(piece):], b[len(piece):] {
				piece = piece[:min(len(piece), cut)]
				c.write(piece)
				if cut >= 500 {
					continue
				}
				c.write(b[len(piece):]) // the rest: two pieces will do for the small cuts
				break
			}
			c.expect(m)
		}
		whole := message(opText, 96, "fragments")
		first := appendMasked(nil, frame{opText, whole.payload[:32]})
		middle := appendMasked(nil, frame{0, whole.payload[32:64]})
		last := appendMasked(nil, frame{0, whole.payload[64:]})
		first[0] &= 0x7f
		middle[0] &= 0x7f
		c.write(first)
		c.send(frame{opPing, []byte("between")}) // RFC 6455, 5.4: control frames may stand between fragments
		c.write(append(middle, last...))
		c.expect(frame{opPong, []byte("between")})
		c.expect(whole)
	})
}

func TestOtherPaths(t *testing.T) {
	eachRival(t, func(t *testing.T, r rival, addr string) {
		if r.name == "socketio" {
			t.Skip("it lets such a connection go without an answer")
		}
		if _, response := request(t, addr, "/other"); response.StatusCode != http.StatusNotFound && response.StatusCode != http.StatusBadRequest {
			t.Errorf("/other is answered by %s", response.Status)
		}
	})
}

// join opens connections to /broadcast and returns when all of them are in the room: each has heard
// itself.
func join(t *testing.T, r rival, addr string, n int) (sessions []session) {
	t.Helper()
	for i := range n {
		s := r.dialect.open(t, addr, "/broadcast")
		hello := message(opText, 64, fmt.Sprint("hello from ", i))
		s.send(hello)
		for !bytes.Equal(s.read().payload, hello.payload) {
		}
		sessions = append(sessions, s)
	}
	// The earlier ones have heard those behind them too.
	for i, s := range sessions {
		for j := i + 1; j < n; j++ {
			same(t, s.read(), message(opText, 64, fmt.Sprint("hello from ", j)))
		}
	}
	return sessions
}

// TestBroadcast: each message comes to everybody, once, in the order of its sender.
func TestBroadcast(t *testing.T) {
	const members, perSender, burst = 50, 32, 8
	eachRival(t, func(t *testing.T, r rival, addr string) {
		sessions := join(t, r, addr, members)
		for _, op := range r.kinds() {
			for _, size := range []int{64, 1 << 10} {
				for first := 0; first < perSender; first += burst {
					for sender := range 2 {
						var messages []frame
						for i := range burst {
							messages = append(messages, message(op, size, fmt.Sprint(sender, first+i)))
						}
						sessions[sender].send(messages...)
					}
					for _, s := range sessions {
						next := [2]int{first, first}
						for range 2 * burst {
							hear(t, s, op, size, &next)
						}
					}
				}
			}
		}
		// Nothing came twice: a last word from somebody else is the next that all hear.
		last := message(opText, 64, "last")
		sessions[members-1].send(last)
		for _, s := range sessions {
			same(t, s.read(), last)
		}
	})
}

// hear reads a message and finds it to be the next of its sender.
func hear(t *testing.T, s session, op byte, size int, next *[2]int) {
	t.Helper()
	got := s.read()
	var sender, i int
	if _, err := fmt.Sscan(string(got.payload[:min(16, len(got.payload))]), &sender, &i); err != nil || sender < 0 || sender > 1 {
		t.Fatalf("%v: %.80q", err, got.payload)
	}
	same(t, got, message(op, size, fmt.Sprint(sender, next[sender])))
	next[sender]++
}

// TestLeaving: who is gone is out of the room, and the rest go on.
func TestLeaving(t *testing.T) {
	eachRival(t, func(t *testing.T, r rival, addr string) {
		sessions := join(t, r, addr, 4)
		for i := range 3 {
			connOf(sessions[i]).Close()
		}
		rest := sessions[3]
		for i := range 20 {
			m := message(opText, 64, fmt.Sprint("after ", i))
			rest.send(m)
			same(t, rest.read(), m)
		}
	})
}

func connOf(s session) net.Conn {
	switch s := s.(type) {
	case *client:
		return s.conn
	case *centrifugeSession:
		return s.conn
	case *socketIOSession:
		return s.conn
	}
	return nil
}

// TestStalledReader: one member does not read while twelve megabytes go by, more than sockets and
// any backlog hold, and the others hear all of it. When it reads again, it is not owed all of it.
func TestStalledReader(t *testing.T) {
	const rounds, perRound, size = 100, 8, 16 << 10
	eachRival(t, func(t *testing.T, r rival, addr string) {
		sessions := join(t, r, addr, 4)
		stalled, rest := sessions[0], sessions[1:]
		conn := connOf(stalled)
		for round := range rounds {
			var messages []frame
			for i := range perRound {
				messages = append(messages, message(opText, size, fmt.Sprint(round, i)))
			}
			rest[0].send(messages...)
			for _, s := range rest {
				for _, m := range messages {
					same(t, s.read(), m)
				}
			}
		}
		conn.Write(appendMasked(nil, frame{opClose, nil})) // so that who is still there comes to an end; who is not fails, and that is no news
		owed, err := io.Copy(io.Discard, conn)
		if netErr, ok := err.(net.Error); ok && netErr.Timeout() {
			t.Error("the connection of the reader that stood still does not end")
		}
		if all := int64(rounds * perRound * size); !r.patient && owed >= all {
			t.Errorf("the reader that stood still was kept all %d bytes", all)
		}
	})
}
