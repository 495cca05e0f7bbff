// What records and handshakes cost.

package tlsconn

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

var benchSizes = []int{64, 128, 1 << 10, 16 << 10}

func BenchmarkSeal(b *testing.B) {
	for _, p := range pairs()[:3] {
		for _, n := range benchSizes {
			for _, made := range []string{"cached", "anew"} {
				b.Run(fmt.Sprintf("%s/%d/%s", tls.CipherSuiteName(p.client.kind().id), n, made), func(b *testing.B) {
					var x scratch
					var c ciphers = &cache{max: cacheBytesMax}
					if made == "anew" {
						c = new(once)
					}
					s, pieces, dst := p.client, [][]byte{make([]byte, n)}, []byte(nil)
					b.SetBytes(int64(n))
					b.ReportAllocs()
					for b.Loop() {
						dst = s.sealPieces(&x, c, dst[:0], pieces)
					}
				})
			}
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	for _, p := range pairs()[:3] {
		for _, n := range benchSizes {
			b.Run(fmt.Sprintf("%s/%d", tls.CipherSuiteName(p.client.kind().id), n), func(b *testing.B) {
				var x scratch
				c := &cache{max: cacheBytesMax}
				from, to := p.client, p.server
				record := from.sealPieces(&x, new(once), nil, [][]byte{make([]byte, n)})
				in := bytes.Clone(record)
				b.SetBytes(int64(n))
				b.ReportAllocs()
				for b.Loop() {
					copy(in, record)
					to.read.seq = 0
					if _, _, a := to.open(&x, c, in); a != alertNone {
						b.Fatal(a)
					}
				}
			})
		}
	}
}

// TestNoAllocations: a record costs none, once its AEAD is there.
func TestNoAllocations(t *testing.T) {
	for _, p := range pairs() {
		var x scratch
		c := &cache{max: cacheBytesMax}
		s, to, pieces, dst := p.client, p.server, [][]byte{make([]byte, 100)}, make([]byte, 0, 1<<10)
		in := make([]byte, 0, 1<<10)
		if n := testing.AllocsPerRun(100, func() {
			dst = s.sealPieces(&x, c, dst[:0], pieces)
			in = append(in[:0], dst...)
			if _, _, a := to.open(&x, c, in); a != alertNone {
				t.Fatal(a)
			}
		}); n > 0 {
			t.Errorf("%s: %v allocations", tls.CipherSuiteName(s.kind().id), n)
		}
	}
}

// BenchmarkHandshake is both ends: a client of crypto/tls, and the layer or net/http.
func BenchmarkHandshake(b *testing.B) {
	for _, resumed := range []bool{false, true} {
		cfg := clientConfig()
		name := "full"
		if resumed {
			name = "resumed"
			cfg.ClientSessionCache = tls.NewLRUClientSessionCache(1)
		}
		b.Run(name+"/layer", func(b *testing.B) {
			r := serve(b, Config{}, &script{data: echo})
			benchHandshakes(b, r.addr, cfg)
		})
		b.Run(name+"/net-http", func(b *testing.B) {
			ln, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			h := &http.Server{TLSConfig: serverConfig(), Handler: http.NotFoundHandler()}
			go func() { _ = h.ServeTLS(ln, "", "") }()
			defer h.Close()
			benchHandshakes(b, ln.Addr().String(), cfg)
		})
	}
}

func benchHandshakes(b *testing.B, addr string, cfg *tls.Config) {
	request := []byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
	answer := make([]byte, 1<<10)
	before := processorTime(b)
	defer func() { b.ReportMetric(float64(processorTime(b)-before)/float64(b.N), "cpu-ns/op") }()
	for b.Loop() {
		socket, err := net.Dial("tcp", addr)
		if err != nil {
			b.Fatal(err)
		}
		_ = socket.SetDeadline(time.Now().Add(patience))
		c := tls.Client(socket, cfg)
		if _, err := c.Write(request); err != nil { // the answer brings the ticket along
			b.Fatal(err)
		}
		if _, err := c.Read(answer); err != nil && err != io.EOF {
			b.Fatal(err)
		}
		c.Close()
	}
}

// processorTime is that of the process so far, in nanoseconds: on a busy machine it says more than
// the time that has passed.
func processorTime(b *testing.B) int64 {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

// TestSessionSize: what an idle connection owns.
func TestSessionSize(t *testing.T) {
	if n := unsafe.Sizeof(session{}); n > 176 {
		t.Errorf("a session has %d bytes", n)
	}
}
