// What a token costs a handshake, on a node with real sockets. make bench-auth prints it.

package server

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"c100k/broadcast"

	"github.com/gobwas/ws"
	"github.com/golang-jwt/jwt/v5"
)

// handshakers is how many clients open connections at one time: a node that has one thing to do at
// a time sleeps and wakes for each, and that would be most of what is measured.
const handshakers = 16

// BenchmarkHandshake opens WebSockets. cpu-µs/op is the processor time of node
// and client together; the client does the same work each time, so what a token costs is the
// difference from none. As many tokens take turns as the cache cannot have at once, or one.
func BenchmarkHandshake(b *testing.B) {
	private, public := newES256(b)
	for _, alg := range []struct {
		name, key string
		method    jwt.SigningMethod
		signer    any
	}{{"none", tokenSecret, nil, nil}, {"HS256", tokenSecret, jwt.SigningMethodHS256, []byte(tokenSecret)}, {"ES256", public, jwt.SigningMethodES256, private}} {
		listening := make(chan struct{})
		s, err := New(Config{
			Listen: "127.0.0.1:0", Loops: 1, TokenKeys: []string{keyFile(b, alg.key)}, PublicTopics: []string{"a"},
			OnListen: func(net.Addr, net.Addr) { close(listening) },
		})
		if err != nil {
			b.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- s.ListenAndServe(context.Background()) }()
		<-listening
		if alg.method == nil {
			b.Run(alg.name, func(b *testing.B) { handshakes(b, s, func(int) string { return "" }) })
		} else {
			b.Run(alg.name, func(b *testing.B) {
				tokens := make([]string, b.N) // each is new
				for i := range tokens {
					tokens[i] = benchToken(b, alg.method, alg.signer, fmt.Sprint(b.N, "-", i))
				}
				handshakes(b, s, func(i int) string { return tokens[i] })
			})
			again := benchToken(b, alg.method, alg.signer, "again")
			b.Run(alg.name+"-again", func(b *testing.B) { handshakes(b, s, func(int) string { return again }) })
		}
		s.Close()
		<-ended
	}
}

// benchToken is a token as most have: lists, a pattern with {sub}, an id.
func benchToken(b *testing.B, method jwt.SigningMethod, key any, sub string) string {
	token, err := jwt.NewWithClaims(method, jwt.MapClaims{
		"sub": sub, "jti": "id-" + sub, "exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix(),
		"c100k": lists{"subscribe": []string{"chat.>", "user.{sub}.>"}, "publish": []string{"chat.*"}},
	}).SignedString(key)
	if err != nil {
		b.Fatal(err)
	}
	return token
}

func handshakes(b *testing.B, s *Server, token func(i int) string) {
	b.ReportAllocs()
	var next atomic.Int64
	var clients sync.WaitGroup
	before := processorTime(b)
	b.ResetTimer()
	for range handshakers {
		clients.Go(func() {
			reader := bufio.NewReader(nil)
			for i := int(next.Add(1)) - 1; i < b.N; i = int(next.Add(1)) - 1 {
				oneHandshake(b, s, token(i), reader)
			}
		})
	}
	clients.Wait()
	b.StopTimer()
	b.ReportMetric(float64((processorTime(b)-before).Nanoseconds())/1e3/float64(b.N), "cpu-µs/op")
}

func oneHandshake(b *testing.B, s *Server, token string, reader *bufio.Reader) {
	c, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		b.Error(err)
		return
	}
	defer c.Close()
	_ = c.(*net.TCPConn).SetLinger(0) // no port waits for the end of the connection
	fields := ""
	if token != "" {
		fields = "Authorization: Bearer " + token + "\r\n"
	}
	if _, err := io.WriteString(c, handshake("/ws?topic=a", fields)); err != nil {
		b.Error(err)
		return
	}
	reader.Reset(c)
	if res, err := http.ReadResponse(reader, nil); err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		b.Error(res, err)
	}
}

func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkResume subscribes to a topic behind a position, gets the 50 messages of 128 bytes that
// were missed, and unsubscribes: over WebSocket, in c100k.v1. cpu-µs/op is the processor time of
// node and client together. "now" is the same without a position.
func BenchmarkResume(b *testing.B) {
	listening := make(chan struct{})
	s, err := New(Config{
		Listen: "127.0.0.1:0", Loops: 1, PublicTopics: []string{">"}, History: []string{"h=100,1h"}, Rate: 1e6,
		OnListen: func(net.Addr, net.Addr) { close(listening) },
	})
	if err != nil {
		b.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.ListenAndServe(context.Background()) }()
	<-listening
	var at broadcast.Position
	for i := range 60 {
		r, err := s.Publish("h", broadcast.Text, bytes.Repeat([]byte("x"), 128))
		if err != nil {
			b.Fatal(err)
		}
		if i == 9 {
			at = r.Position
		}
	}
	b.Run("now", func(b *testing.B) { resumes(b, s, `"h"`, 1) })
	b.Run("50 messages", func(b *testing.B) { resumes(b, s, `{"topic":"h","after":"`+positionText(at)+`"}`, 1+1+50) })
	s.Close()
	<-ended
}

func resumes(b *testing.B, s *Server, topic string, frames int) {
	var next atomic.Int64
	var clients sync.WaitGroup
	request := ws.MustCompileFrame(ws.MaskFrame(ws.NewTextFrame([]byte(`{"type":"subscribe","topics":[` + topic + `],"id":1}`))))
	leave := ws.MustCompileFrame(ws.MaskFrame(ws.NewTextFrame([]byte(`{"type":"unsubscribe","topics":["h"],"id":2}`))))
	before := processorTime(b)
	b.ResetTimer()
	for range handshakers {
		clients.Go(func() {
			d := ws.Dialer{Protocols: []string{subprotocol}}
			c, reader, _, err := d.Dial(context.Background(), "ws://"+s.Addr().String()+"/ws")
			if err != nil {
				b.Error(err)
				return
			}
			defer c.Close()
			if reader == nil { // else the welcome came with the handshake
				reader = bufio.NewReaderSize(c, 64<<10)
			}
			skip := func(frames int) bool { // reads so many frames
				for range frames {
					h, err := ws.ReadHeader(reader)
					if err == nil {
						_, err = reader.Discard(int(h.Length))
					}
					if err != nil {
						b.Error(err)
						return false
					}
				}
				return true
			}
			if !skip(1) {
				return
			}
			for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
				if _, err := c.Write(request); err != nil {
					b.Error(err)
					return
				}
				if !skip(frames) {
					return
				}
				// Not before: who leaves does not get the rest.
				if _, err := c.Write(leave); err != nil {
					b.Error(err)
					return
				}
				if !skip(1) {
					return
				}
			}
		})
	}
	clients.Wait()
	b.StopTimer()
	b.ReportMetric(float64((processorTime(b)-before).Nanoseconds())/1e3/float64(b.N), "cpu-µs/op")
}
