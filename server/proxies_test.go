// Tests of what trusted proxies say of their clients: limits, addresses, and streams on their
// kept-alive connections.

package server

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"go.uber.org/goleak"
)

// The peers of these tests: the proxy is trusted, the stranger is not.
const (
	proxyPeer    = "127.0.0.1"
	strangerPeer = "127.0.0.9"
)

// startBehindProxies runs a node that trusts proxyPeer and 10.0.0.0/8.
func startBehindProxies(t *testing.T, c Config) *Server {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) })
	c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix(proxyPeer + "/32"), netip.MustParsePrefix("10.0.0.0/8")}
	c.Loops = 2
	c.PublicTopics = []string{">"}
	if c.Handler == nil && c.Upstream == "" {
		c.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.RemoteAddr) })
	}
	opened := make(chan struct{})
	c.OnListen = func(net.Addr, net.Addr) { close(opened) }
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := listen(context.Background(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		ended <- s.Serve(ln)
		close(ended)
	}()
	t.Cleanup(func() {
		s.Close()
		<-ended
	})
	select {
	case <-opened:
	case err := <-ended:
		t.Fatal(err)
	}
	return s
}

// visitor is a client's, or a proxy's, connection to a node.
type visitor struct {
	net.Conn
	in *bufio.Reader
	t  *testing.T
}

// visit connects from a loopback address and sends first.
func visit(t *testing.T, addr net.Addr, from, first string) *visitor {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	conn, err := d.Dial("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	v := &visitor{conn, bufio.NewReader(conn), t}
	v.send(first)
	return v
}

func (v *visitor) send(p string) {
	v.t.Helper()
	if _, err := io.WriteString(v, p); err != nil {
		v.t.Fatal(err)
	}
}

// status reads the head of an answer.
func (v *visitor) status() int {
	v.t.Helper()
	res, err := http.ReadResponse(v.in, nil)
	if err != nil {
		v.t.Fatalf("no answer: %v", err)
	}
	if retry := res.Header.Get("Retry-After") != ""; retry != (res.StatusCode == http.StatusTooManyRequests) {
		v.t.Errorf("%s, and Retry-After: %t", res.Status, retry)
	}
	return res.StatusCode
}

func (v *visitor) want(status int) {
	v.t.Helper()
	if got := v.status(); got != status {
		v.t.Fatalf("%d, want %d", got, status)
	}
}

// wantBody reads a whole answer.
func (v *visitor) wantBody(want string) {
	v.t.Helper()
	res, err := http.ReadResponse(v.in, nil)
	if err != nil {
		v.t.Fatalf("no answer: %v", err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil || string(body) != want {
		v.t.Fatalf("%s %q, %v; want %q", res.Status, body, err, want)
	}
}

// proxyLine is a PROXY header.
func proxyLine(client string) string {
	return "PROXY TCP4 " + client + " 198.51.100.1 51234 443\r\n"
}

// request is one with a field of X-Forwarded-For for each address.
func request(path string, forwardedFor ...string) string {
	head := "GET " + path + " HTTP/1.1\r\nHost: localhost\r\n"
	if strings.HasPrefix(path, "/ws") {
		head += "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	}
	for _, addr := range forwardedFor {
		head += "X-Forwarded-For: " + addr + "\r\n"
	}
	return head + "\r\n"
}

// streams are our paths with the status of a stream that begins.
var streams = map[string]int{"/ws?topic=a": 101, "/sse?topic=a": 200}

// TestLimitByClient: an address has its one stream, whichever way the address is learned, and gets
// the next when that is gone.
func TestLimitByClient(t *testing.T) {
	for path, begins := range streams {
		for _, tt := range []struct{ name, first, again, other string }{
			{"XFF", request(path, "192.0.2.1"), request(path, "6.6.6.6, 192.0.2.1", "10.0.0.7"), request(path, "192.0.2.2")},
			{"PROXY", proxyLine("192.0.2.1") + request(path), proxyLine("192.0.2.1") + request(path, "192.0.2.2"), proxyLine("192.0.2.2") + request(path, "192.0.2.1")},
			{"both", proxyLine("192.0.2.1") + request(path), request(path, "192.0.2.1"), proxyLine("10.0.0.7") + request(path, "192.0.2.2")},
			{"IPv6", request(path, "2001:db8::1"), request(path, "2001:db8::2"), request(path, "2001:db8:0:1::1")},
			{"the client is not known", request(path, "192.0.2.1"), "", request(path, "192.0.2.1, unknown")},
		} {
			t.Run(tt.name+" "+path[1:4], func(t *testing.T) {
				s := startBehindProxies(t, Config{MaxConnsPerIP: 1})
				first := visit(t, s.Addr(), proxyPeer, tt.first)
				first.want(begins)
				if tt.again != "" {
					visit(t, s.Addr(), proxyPeer, tt.again).want(429)
				}
				visit(t, s.Addr(), proxyPeer, tt.other).want(begins)
				first.Close()
				if tt.again == "" {
					return
				}
				// The close takes its time on its way: until then the answer is the same.
				for v := visit(t, s.Addr(), proxyPeer, tt.again); ; v = visit(t, s.Addr(), proxyPeer, tt.again) {
					if got := v.status(); got == begins {
						break
					} else if got != 429 {
						t.Fatalf("%d after the first had gone", got)
					}
				}
			})
		}
	}
}

// TestStrangersAreNotBelieved: what they say of others neither helps nor harms anybody.
func TestStrangersAreNotBelieved(t *testing.T) {
	s := startBehindProxies(t, Config{MaxConnsPerIP: 1})
	visit(t, s.Addr(), strangerPeer, proxyLine("192.0.2.1")+request("/ws?topic=a")).want(400)
	first := visit(t, s.Addr(), "127.0.0.8", request("/ws?topic=a", "192.0.2.1"))
	first.want(101)
	visit(t, s.Addr(), "127.0.0.8", request("/ws?topic=a", "192.0.2.2")).want(429)
	visit(t, s.Addr(), proxyPeer, request("/ws?topic=a", "192.0.2.1")).want(101)
}

// TestStreamOnAKeptConnection: requests of several clients have gone over a proxy's connection when
// one of them asks for a stream; the stream is held against that one.
func TestStreamOnAKeptConnection(t *testing.T) {
	for path, begins := range streams {
		s := startBehindProxies(t, Config{MaxConnsPerIP: 1})
		kept := visit(t, s.Addr(), proxyPeer, request("/", "192.0.2.1"))
		kept.wantBody(kept.LocalAddr().String())
		// Plain requests are not counted.
		visit(t, s.Addr(), proxyPeer, request("/", "192.0.2.1")).want(200)
		kept.send(request("/", "192.0.2.2"))
		kept.wantBody(kept.LocalAddr().String())
		kept.send(request(path, "6.6.6.6", "192.0.2.3"))
		kept.want(begins)
		visit(t, s.Addr(), proxyPeer, request(path, "192.0.2.3")).want(429)
		visit(t, s.Addr(), proxyPeer, request(path, "192.0.2.1")).want(begins)

		named := visit(t, s.Addr(), proxyPeer, proxyLine("192.0.2.4")+request("/", "192.0.2.5"))
		named.wantBody("192.0.2.4:51234")
		visit(t, s.Addr(), proxyPeer, proxyLine("192.0.2.4")+request("/")).want(429)
		named.send(request(path, "192.0.2.5"))
		named.want(begins)
		visit(t, s.Addr(), proxyPeer, request(path, "192.0.2.4")).want(429)
		visit(t, s.Addr(), proxyPeer, request(path, "192.0.2.5")).want(begins)
	}
}

// TestMountedBehindProxies: in somebody else's server there is no PROXY header, but X-Forwarded-For
// there is.
func TestMountedBehindProxies(t *testing.T) {
	s := startBehindProxies(t, Config{MaxConnsPerIP: 1})
	others := httptest.NewServer(s.Handler())
	defer others.Close()
	at := others.Listener.Addr()
	first := visit(t, at, proxyPeer, request("/ws?topic=a", "192.0.2.1"))
	first.want(101)
	visit(t, at, proxyPeer, request("/ws?topic=a", "192.0.2.1")).want(429)
	visit(t, at, proxyPeer, request("/ws?topic=a", "192.0.2.2")).want(101)
	visit(t, at, strangerPeer, request("/ws?topic=a", "192.0.2.1")).want(101)
	visit(t, at, strangerPeer, request("/ws?topic=a", "192.0.2.3")).want(429)
}

// TestForwardedToTheUpstream: only what a trusted proxy says is passed on, and it is added to.
func TestForwardedToTheUpstream(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, strings.Join(r.Header["X-Forwarded-For"], " | "))
	}))
	defer upstream.Close()
	s := startBehindProxies(t, Config{Upstream: upstream.URL, MaxConnsPerIP: 100})
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	for _, tt := range []struct{ name, peer, in, want string }{
		{"stranger", strangerPeer, request("/"), strangerPeer},
		{"stranger who says something", strangerPeer, request("/", "192.0.2.1"), strangerPeer},
		{"proxy that says nothing", proxyPeer, request("/"), proxyPeer},
		{"proxy", proxyPeer, request("/", "6.6.6.6, 192.0.2.1", "10.0.0.1"), "6.6.6.6, 192.0.2.1, 10.0.0.1, " + proxyPeer},
		{"PROXY", proxyPeer, proxyLine("192.0.2.1") + request("/"), "192.0.2.1"},
		{"PROXY, and the client says something", proxyPeer, proxyLine("192.0.2.1") + request("/", "6.6.6.6"), "192.0.2.1"},
		{"PROXY of a proxy", proxyPeer, proxyLine("10.0.0.1") + request("/", "192.0.2.1"), "192.0.2.1, 10.0.0.1"},
		{"PROXY of nobody", proxyPeer, "PROXY UNKNOWN\r\n" + request("/", "192.0.2.1"), "192.0.2.1, " + proxyPeer},
	} {
		t.Run(tt.name, func(t *testing.T) { visit(t, s.Addr(), tt.peer, tt.in).wantBody(tt.want) })
	}
}

// TestEscapedPathIsNotOurs: the loop takes it for no stream of ours, so net/http must not send it
// back there.
func TestEscapedPathIsNotOurs(t *testing.T) {
	s := startBehindProxies(t, Config{})
	v := visit(t, s.Addr(), proxyPeer, request("/%77s?topic=a"))
	v.wantBody(v.LocalAddr().String())
	others := httptest.NewServer(s.Handler())
	defer others.Close()
	visit(t, others.Listener.Addr(), proxyPeer, request("/%77s?topic=a")).want(404)
}

// TestProxyHeaderNamesTheClient: hooks hear the address of a PROXY header, at the handshake and
// with a token that is shown later, and not what the client claims behind it.
func TestProxyHeaderNamesTheClient(t *testing.T) {
	heard := make(chan string, 4)
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var asked struct{ Address string }
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
			t.Error(err)
		}
		heard <- asked.Address
		fmt.Fprint(w, `{"allow":true}`)
	}))
	defer backend.Close()
	s := startBehindProxies(t, Config{HookConnect: backend.URL, TokenKeys: []string{keyFile(t, tokenSecret)}})
	d := ws.Dialer{
		Timeout: patience, Protocols: []string{subprotocol},
		Header: ws.HandshakeHeaderHTTP{"X-Forwarded-For": []string{"192.0.2.9"}},
		NetDial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := new(net.Dialer).DialContext(ctx, network, addr)
			if err == nil {
				_, err = c.Write([]byte("PROXY TCP4 192.0.2.1 198.51.100.1 51234 443\r\n"))
			}
			return c, err
		},
	}
	c, early, _, err := d.Dial(t.Context(), "ws://"+s.Addr().String()+"/ws")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if early != nil {
		c = &earlyConn{c, early}
	}
	say(t, c, `{"type":"connect","token":"`+mint(t, "ann", time.Hour, lists{"subscribe": []string{"a"}})+`","id":1}`)
	for _, when := range []string{"handshake", "token"} {
		select {
		case got := <-heard:
			if got != "192.0.2.1" {
				t.Errorf("%s: the hook hears %q", when, got)
			}
		case <-time.After(patience):
			t.Fatalf("%s: the hook hears nothing", when)
		}
	}
}
