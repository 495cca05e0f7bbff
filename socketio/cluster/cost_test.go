// What a broadcast of another server costs the one that receives it, beside a server of Node in the
// same cluster.

package cluster

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"c100k/internal/procfs"
	"c100k/socketio"
	"c100k/socketio/emitter"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"github.com/redis/rueidis"
	"golang.org/x/sys/unix"
)

// childRedis is set in a process that is a server for the benchmarks: the Redis that it joins.
// childFloor says that it is one that does no more than it must: see serveFloor.
const (
	childRedis = "C100K_CLUSTER_TEST_REDIS"
	childFloor = "C100K_CLUSTER_TEST_FLOOR"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(childRedis); path != "" {
		serve := serveChild
		if os.Getenv(childFloor) != "" {
			serve = serveFloor
		}
		if err := serve(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// serveChild is a server until its input ends.
func serveChild(path string) error {
	c, err := Redis(context.Background(), RedisOptions{URL: redisURL(path)})
	if err != nil {
		return err
	}
	io := socketio.New(socketio.Options{Adapter: c.Adapter, Loops: 1})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func() { _ = http.Serve(l, io.Handler()) }() // it ends with the process
	fmt.Println(l.Addr())
	_, err = bufio.NewReader(os.Stdin).ReadByte()
	_ = err // the end of the input
	return nil
}

// benchClients is how many clients each server has in the benchmarks.
const benchClients = 10

// serveFloor does what no server can do without, and nothing else: one thread waits in read for a
// message of Redis, and writes it to each of its clients. Nothing is decoded; the clients are given
// events of a size that does not depend on the message. It ends with its last client.
func serveFloor(path string) error {
	runtime.LockOSThread()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	var clients []int
	for range benchClients {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		if err := floorHandshake(c); err != nil {
			return err
		}
		f, err := c.(*net.TCPConn).File()
		if err != nil {
			return err
		}
		clients = append(clients, int(f.Fd()))
	}
	redis, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	if err := unix.Connect(redis, &unix.SockaddrUnix{Name: path}); err != nil {
		return err
	}
	if _, err := unix.Write(redis, appendCommand(nil, "PSUBSCRIBE", "socket.io#/#*")); err != nil {
		return err
	}
	event := []byte(`42["m","` + strings.Repeat("x", 128) + `"]`)
	frame := append([]byte{0x81, 126, byte(len(event) >> 8), byte(len(event))}, event...)
	out := bytes.Repeat(frame, 100)
	in := make([]byte, subBufferBytes)
	for {
		n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(redis), uintptr(unsafe.Pointer(&in[0])), uintptr(len(in)))
		if errno != 0 || int(n) <= 0 {
			return errno
		}
		messages := bytes.Count(in[:n], []byte("\r\npmessage\r\n")) // Redis writes whole ones
		if messages == 0 {
			continue
		}
		for _, fd := range clients {
			if _, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&out[0])), uintptr(messages*len(frame))); errno != 0 {
				return errno
			}
		}
	}
}

// floorHandshake answers what listener sends.
func floorHandshake(c net.Conn) error {
	if _, err := ws.Upgrade(c); err != nil {
		return err
	}
	if _, err := wsutil.ReadClientText(c); err != nil {
		return err
	}
	return wsutil.WriteServerText(c, []byte(`40{"sid":"x"}`))
}

// listener is a client that counts events.
func listener(b *testing.B, address string, got *atomic.Int64) {
	b.Helper()
	c, br, _, err := ws.Dial(context.Background(), "ws://"+address+"/socket.io/?EIO=4&transport=websocket")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { c.Close() })
	in := struct {
		*bufio.Reader
		net.Conn
	}{br, c}
	if br == nil {
		in.Reader = bufio.NewReader(c)
	}
	if err := wsutil.WriteClientText(c, []byte("40")); err != nil {
		b.Fatal(err)
	}
	joined := make(chan struct{})
	go func() {
		rw := readWriter{in.Reader, c}
		for {
			p, err := wsutil.ReadServerText(rw)
			if err != nil {
				return
			}
			switch {
			case strings.HasPrefix(string(p), "40"):
				close(joined)
			case strings.HasPrefix(string(p), "42"):
				got.Add(1)
			case string(p) == "2":
				_ = wsutil.WriteClientText(c, []byte("3")) // the next read fails if this does
			}
		}
	}()
	<-joined
}

type readWriter struct {
	*bufio.Reader
	net.Conn
}

func (rw readWriter) Read(p []byte) (int, error) { return rw.Reader.Read(p) }

// BenchmarkReceived: a cluster of a server of Node and one of ours, with ten clients each, gets the
// same broadcasts of 128 bytes from an emitter, one at a time or in bursts. It reports the
// processor time of each.
func BenchmarkReceived(b *testing.B) { benchmarkReceived(b) }

// BenchmarkReceivedFloor is BenchmarkReceived with serveFloor in the place of our server: no server
// on this machine can take less.
func BenchmarkReceivedFloor(b *testing.B) { benchmarkReceived(b, childFloor+"=yes") }

func benchmarkReceived(b *testing.B, env ...string) {
	path := needRedis(b)
	node, nodeAddress := startNodeProcess(b, "redis", "ioredis", path, "a")
	cmd := exec.Command(os.Args[0])
	cmd.Env, cmd.Stderr = append(append(os.Environ(), childRedis+"="+path), env...), os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	start(b, cmd)
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	const clients = benchClients
	var atNode, atOurs atomic.Int64
	for range clients {
		listener(b, nodeAddress, &atNode)
		listener(b, strings.TrimSpace(line), &atOurs)
	}
	client, err := rueidis.NewClient(redisClient(path))
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	e := emitter.New(client, emitter.Options{})
	text := strings.Repeat("x", 128)
	sent := int64(0)
	emit := func(n, burst int) {
		for ; n > 0; n -= burst {
			var all sync.WaitGroup
			for range min(n, burst) {
				sent++
				all.Go(func() {
					if _, err := e.Emit(b.Context(), "m", text); err != nil {
						b.Error(err)
					}
				})
			}
			all.Wait()
			for end := time.Now().Add(patience); atNode.Load() < sent*clients || atOurs.Load() < sent*clients; time.Sleep(time.Millisecond) {
				if time.Now().After(end) {
					b.Fatalf("%d events sent; Node's clients got %d, ours %d", sent*clients, atNode.Load(), atOurs.Load())
				}
			}
		}
	}
	emit(2000, 100) // Node compiles what is hot
	for _, burst := range []int{1, 10, 100} {
		b.Run(fmt.Sprint(burst), func(b *testing.B) {
			nodeBefore, oursBefore := cpu(b, node.Process.Pid), cpu(b, cmd.Process.Pid)
			b.ResetTimer()
			emit(b.N, burst)
			b.StopTimer()
			theirs, ours := cpu(b, node.Process.Pid)-nodeBefore, cpu(b, cmd.Process.Pid)-oursBefore
			b.ReportMetric(float64(theirs.Microseconds())/float64(b.N), "node-cpu-us/op")
			b.ReportMetric(float64(ours.Microseconds())/float64(b.N), "ours-cpu-us/op")
			b.ReportMetric(float64(ours)/float64(theirs), "ratio")
		})
	}
}

func cpu(b *testing.B, pid int) time.Duration {
	d, err := procfs.CPUTime(pid)
	if err != nil {
		b.Fatal(err)
	}
	return d
}
