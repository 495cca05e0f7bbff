package main

// floor_test.go: the floors and the node under every scenario, and the floors byte by byte: what
// they measure must be right before it is fast.

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"go.uber.org/goleak"
)

// built are the programs that the tests run, in a directory that TestMain takes away.
var built = sync.OnceValues(func() (dir string, err error) {
	if dir, err = os.MkdirTemp("", "bench"); err != nil {
		return "", err
	}
	if _, err = buildFloors("floor", dir); err != nil && !errors.Is(err, exec.ErrNotFound) {
		return dir, err
	}
	if err := buildProgram(context.Background(), "..", "./bench/sio", filepath.Join(dir, "sio")); err != nil {
		return dir, err
	}
	if err := buildProgram(context.Background(), "..", "./bench/ws", filepath.Join(dir, "ws")); err != nil {
		return dir, err
	}
	return dir, buildNode(context.Background(), "..", filepath.Join(dir, "c100k"))
})

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == shakeCommand { // the client of the scenario handshake is this program
		if err := shakeMain(context.Background(), os.Args[2:]); err != nil {
			println(err.Error())
			os.Exit(1)
		}
		os.Exit(0)
	}
	code := m.Run()
	if dir, _ := built(); dir != "" {
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

func programs(t *testing.T) string {
	t.Helper()
	dir, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// eachFloor runs a test on both floors; where io_uring is forbidden, on the plain one; without a
// compiler on none.
func eachFloor(t *testing.T, test func(t *testing.T, s *server)) {
	dir := programs(t)
	if _, err := os.Stat(filepath.Join(dir, plainFloor)); err != nil {
		t.Skip(err)
	}
	for _, name := range []string{plainFloor, uringFloor} {
		t.Run(name, func(t *testing.T) { onServer(t, floorAt(dir, name), test) })
	}
}

func onServer(t *testing.T, on target, test func(t *testing.T, s *server)) {
	s, err := on.start(anywhere, 1)
	if err != nil && strings.Contains(err.Error(), "io_uring is not allowed") {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer s.stop()
	test(t, s)
}

// smoke is a bench of a size that tests can wait for.
func smoke(t *testing.T) *bench {
	return newBench(options{c100k: filepath.Join(programs(t), "c100k"), smoke: true}, t.TempDir())
}

// Every scenario runs on the node and on the floors, and gives each of its figures.
func TestScenarios(t *testing.T) {
	if testing.Short() {
		t.Skip("runs of some seconds")
	}
	all := func(t *testing.T, s *server) {
		b := smoke(t)
		b.serverCore, b.generator.core = anywhere, anywhere
		for _, sc := range scenarios(smokeSize) {
			if !sc.suits(s.target) || sc.deflate {
				continue
			}
			t.Run(sc.name, func(t *testing.T) {
				got, err := sc.run(t.Context(), b, s)
				if err != nil {
					t.Fatal(err)
				}
				for _, f := range sc.figures {
					if _, ok := got.figures[f.key]; !ok {
						t.Errorf("no %q in %v", f.key, got.figures)
					}
				}
			})
		}
	}
	on := node(nodeAuto, filepath.Join(programs(t), "c100k"), "auto")
	for _, sc := range scenarios(smokeSize) {
		if sc.deflate {
			if r := smoke(t).runOne(t.Context(), sc, on, 0); r.Error != "" || r.Figures[usKey] <= 0 {
				t.Errorf("%s: %+v", sc.name, r)
			}
		}
	}
	targets := append(webSocketServers(filepath.Join(programs(t), "ws")), on, socketIONode(filepath.Join(programs(t), "sio")))
	if _, err := os.Stat(filepath.Join(programs(t), plainFloor)); err != nil {
		t.Log(err)
	} else {
		targets = append(targets, floorAt(programs(t), plainFloor), floorAt(programs(t), uringFloor))
	}
	// The servers start one after the other, so that none gets the port of another, and are under load
	// at the same time: a scenario waits more than it works, and no figure is judged.
	var loads sync.WaitGroup
	defer loads.Wait()
	var running []*server
	for _, target := range targets {
		s, err := target.start(anywhere, 1)
		if err != nil && strings.Contains(err.Error(), "io_uring is not allowed") {
			t.Log(err)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.stop)
		running = append(running, s)
	}
	for _, s := range running {
		loads.Go(func() { t.Run(s.Name, func(t *testing.T) { all(t, s) }) })
	}
}

// The node of an ablation serves with each technique switched off, and loses nothing without it.
func TestAblation(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the node anew")
	}
	binary := filepath.Join(t.TempDir(), "ablation")
	if err := buildNode(t.Context(), "..", binary, "-tags", "ablation"); err != nil {
		t.Fatal(err)
	}
	b := smoke(t)
	for _, sc := range scenarios(smokeSize) {
		if sc.name != "burst" && sc.name != "deflate" && sc.name != "echo16k" {
			continue
		}
		for _, on := range b.variants(sc, binary) {
			if r := b.runOne(t.Context(), sc, on, 0); r.Error != "" {
				t.Errorf("%s without %s: %s", sc.name, on.Name, r.Error)
			}
		}
	}
}

// A floor that lost or joined bytes would be fast for nothing.
func TestFloorFrames(t *testing.T) {
	eachFloor(t, func(t *testing.T, s *server) {
		conn, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(30 * time.Second))
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
		var last bytes.Buffer
		if err := ws.WriteFrame(&last, ws.MaskFrameWith(ws.NewCloseFrame(nil), [4]byte{1, 2, 3, 4})); err != nil {
			t.Fatal(err)
		}
		write(last.Bytes())
		if _, err := r.ReadByte(); err != io.EOF {
			t.Errorf("behind a close frame comes %v, want the end", err)
		}
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
