// What a token costs a handshake, on a node with real sockets. make bench-auth prints it.

package server

import (
	"bufio"
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
