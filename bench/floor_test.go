package main

// floor_test.go: the C programs against each other, and each against Go: what they measure must be right before it is fast.

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"go.uber.org/goleak"
)

var floors = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "floor")
	if err != nil {
		return "", err
	}
	_, bin, err := buildFloors("floor", dir)
	return bin, err
})

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := floors(); err == nil {
		os.RemoveAll(dir)
	}
	if code == 0 {
		if err := goleak.Find(); err != nil {
			println(err.Error())
			code = 1
		}
	}
	os.Exit(code)
}

func floorsOrSkip(t *testing.T) string {
	t.Helper()
	dir, err := floors()
	if errors.Is(err, exec.ErrNotFound) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// eachFloor runs a test on both servers; where io_uring is forbidden, on the plain one.
func eachFloor(t *testing.T, test func(t *testing.T, client clientBinary, s *server)) {
	dir := floorsOrSkip(t)
	for _, name := range []string{plainFloor, uringFloor} {
		t.Run(name, func(t *testing.T) {
			s, err := floorTarget(dir, name).start(-1, 0, false)
			if err != nil && strings.Contains(err.Error(), "io_uring is not allowed") {
				t.Skip(err)
			}
			if err != nil {
				t.Fatal(err)
			}
			defer s.stop()
			test(t, clientBinary{path: filepath.Join(dir, "client"), core: -1}, s)
		})
	}
}

func TestClientOnFloors(t *testing.T) {
	short := []string{"--seconds", "0.1", "--warm", "0.02"}
	tests := []struct {
		name  string
		args  []string
		check func(r *clientResult) bool
	}{
		{"echo", []string{"--mode", "echo", "--conns", "20"}, func(r *clientResult) bool { return r.Echoes > 0 && r.Echo != nil }},
		{"echo pipelined", []string{"--mode", "echo", "--conns", "20", "--inflight", "16"}, func(r *clientResult) bool { return r.Echoes > 0 }},
		{"echo larger than a socket buffer", []string{"--mode", "echo", "--conns", "8", "--size", "16384", "--inflight", "64"},
			func(r *clientResult) bool { return r.Echoes > 0 }},
		{"echo system calls", []string{"--mode", "echo", "--conns", "20", "--io", "syscall"},
			func(r *clientResult) bool { return r.Echoes > 0 && r.IO == "syscall" }},
		{"echo paced", []string{"--mode", "echo", "--conns", "7", "--rate", "1000"},
			func(r *clientResult) bool { return r.Echoes > 0 && r.Overruns == 0 }},
		{"fan", []string{"--mode", "fan", "--conns", "30"}, func(r *clientResult) bool { return r.Deliveries == 30*r.Rounds && r.Rounds > 0 }},
		{"fan of a topic", []string{"--mode", "fan", "--conns", "3", "--path", "/ws?topic=t"},
			func(r *clientResult) bool { return r.Deliveries == 3*r.Rounds && r.Rounds > 0 }},
		{"fan in bursts", []string{"--mode", "fan", "--conns", "30", "--burst", "8"},
			func(r *clientResult) bool { return r.Deliveries == 30*r.Rounds && r.Rounds%8 == 0 && r.Rounds > 0 }},
		{"echo and fan", []string{"--mode", "echo+fan", "--conns", "5", "--fan-conns", "20", "--fan-rate", "100", "--rate", "500"},
			func(r *clientResult) bool { return r.Echoes > 0 && r.Deliveries > 0 && r.Skipped == 0 }},
		{"handshakes", []string{"--mode", "handshakes", "--concurrency", "8"}, func(r *clientResult) bool { return r.Handshakes > 0 }},
	}
	eachFloor(t, func(t *testing.T, client clientBinary, s *server) {
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				r, err := client.run(s, append(short, test.args...)...)
				if err != nil {
					t.Fatal(err)
				}
				if !test.check(r) || r.ServerCPU == 0 || r.Lost+r.Duplicated+r.Corrupt+r.Closed != 0 {
					t.Errorf("%+v", *r)
				}
			})
		}
	})
}

func TestHold(t *testing.T) {
	eachFloor(t, func(t *testing.T, client clientBinary, s *server) {
		h, err := client.hold(s, "/ws?topic=t", 25)
		if err != nil {
			t.Fatal(err)
		}
		r, err := h.release()
		if err != nil || r.Open != 25 {
			t.Fatalf("%+v, %v", r, err)
		}
	})
}

// A floor that lost or joined bytes would be fast for nothing.
func TestFloorFrames(t *testing.T) {
	eachFloor(t, func(t *testing.T, _ clientBinary, s *server) {
		conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(10 * time.Second))
		messages := []string{"behind the head", "", strings.Repeat("a", 125), strings.Repeat("b", 126), strings.Repeat("c", 20_000)}
		// The key and its answer are those of RFC 6455, section 1.3.
		stream := []byte("GET /echo HTTP/1.1\r\nHost: h\r\nsec-websocket-KEY: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
		var frames []byte
		for _, m := range messages {
			frames = append(frames, masked(t, m)...)
		}
		stream = append(stream, frames...)     // all at once, in front of the answer,
		stream = append(stream, frames[:1]...) // and then again, cut inside a header
		write := func(p []byte) {
			if _, err := conn.Write(p); err != nil {
				t.Fatal(err)
			}
		}
		write(stream)
		r := bufio.NewReader(conn)
		head := ""
		for !strings.HasSuffix(head, "\r\n\r\n") {
			line, err := r.ReadString('\n')
			if err != nil {
				t.Fatalf("%q, %v", head, err)
			}
			head += line
		}
		if !strings.HasPrefix(head, "HTTP/1.1 101 ") || !strings.Contains(head, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n") {
			t.Fatal(head)
		}
		readAll(t, r, messages)
		write(frames[1:2])
		write(frames[2:9]) // inside the payload of the first
		write(frames[9:])
		readAll(t, r, messages)
	})
}

func masked(t *testing.T, payload string) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := ws.WriteFrame(&b, ws.MaskFrameWith(ws.NewTextFrame([]byte(payload)), [4]byte{1, 2, 3, 4})); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// readFrame reads a frame of our own making, however long.
func readFrame(r io.Reader) (f ws.Frame, err error) {
	if f.Header, err = ws.ReadHeader(r); err != nil {
		return f, err
	}
	f.Payload = make([]byte, f.Header.Length)
	_, err = io.ReadFull(r, f.Payload)
	return f, err
}

func readAll(t *testing.T, r io.Reader, messages []string) {
	t.Helper()
	for i, m := range messages {
		f, err := readFrame(r)
		if err != nil || f.Header.Masked || !f.Header.Fin || f.Header.OpCode != ws.OpText || string(f.Payload) != m {
			t.Fatalf("message %d: %+v, %d bytes, %v", i, f.Header, len(f.Payload), err)
		}
	}
}

// The client must see every fault that a server can make; it pings first, which is none.
func TestClientFindsFaults(t *testing.T) {
	dir := floorsOrSkip(t)
	tests := []struct {
		name  string
		reply func(n int, m []byte) [][]byte // n counts the messages of a connection
		check func(r *clientResult) bool
	}{
		{"none", func(_ int, m []byte) [][]byte { return [][]byte{m} }, func(r *clientResult) bool { return r.Error == "" && r.Pings == 1 }},
		{"doubled", func(_ int, m []byte) [][]byte { return [][]byte{m, m} }, func(r *clientResult) bool { return r.Duplicated > 0 }},
		{"lost", func(n int, m []byte) [][]byte { return [][]byte{m}[:n%2] }, func(r *clientResult) bool { return r.Lost > 0 }},
		{"changed", func(_ int, m []byte) [][]byte { return [][]byte{[]byte("other" + string(m[5:]))} }, func(r *clientResult) bool { return r.Corrupt > 0 }},
		{"cut", func(_ int, m []byte) [][]byte { return [][]byte{m[:20]} }, func(r *clientResult) bool { return r.Corrupt > 0 }},
		{"closed", func(int, []byte) [][]byte { return nil }, func(r *clientResult) bool { return r.Closed == 1 }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			port, stop := faultyServer(t, test.reply)
			defer stop()
			s := &server{port: port, cmd: &exec.Cmd{Process: &os.Process{Pid: os.Getpid()}}}
			client := clientBinary{path: filepath.Join(dir, "client"), core: -1}
			r, err := client.run(s, "--mode", "fan", "--conns", "1", "--burst", "2", "--seconds", "0.05", "--warm", "0.01")
			if r == nil || (err == nil) != (test.name == "none") || !test.check(r) {
				t.Errorf("%+v, %v", r, err)
			}
		})
	}
}

// faultyServer serves one connection; a nil reply closes it.
func faultyServer(t *testing.T, reply func(n int, m []byte) [][]byte) (port int, stop func()) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		if _, err := ws.Upgrade(conn); err != nil {
			return
		}
		ws.WriteFrame(conn, ws.NewPingFrame([]byte("hello")))
		for n := 0; ; {
			f, err := readFrame(conn)
			if err != nil {
				return
			}
			f = ws.UnmaskFrameInPlace(f)
			if f.Header.OpCode == ws.OpPong {
				if string(f.Payload) != "hello" {
					return
				}
				continue
			}
			replies := reply(n, f.Payload)
			if replies == nil {
				return
			}
			n++
			for _, m := range replies {
				ws.WriteFrame(conn, ws.NewTextFrame(m))
			}
		}
	}()
	return l.Addr().(*net.TCPAddr).Port, func() { l.Close(); <-done }
}
