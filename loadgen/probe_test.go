// The probe and the answers of different kinds of servers.

package loadgen

import (
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"c100k/loadgen/swarm"
)

// kinds is a server with one path for each kind of answer.
func kinds(t *testing.T) string {
	t.Helper()
	mux := http.NewServeMux()
	say := func(path, protocol, text string) {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			upgrader := ws.HTTPUpgrader{Protocol: func(offered string) bool { return offered == protocol }}
			conn, _, _, err := upgrader.Upgrade(r, w)
			if err != nil {
				return
			}
			t.Cleanup(func() { conn.Close() })
			if text != "" {
				// It fails if the probe has closed after the head.
				_ = ws.WriteFrame(conn, ws.NewTextFrame([]byte(text)))
			}
		})
	}
	say("/raw", "", "")
	say("/v1", "c100k.v1", `{"type":"welcome","conn":"1"}`)
	say("/polite", "c100k.v1", "hello")
	say("/socket.io/", "", `0{"sid":"x"}`)
	say("/other/socket.io/", "", `1`)
	mux.HandleFunc("/sse", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept") == "text/event-stream" && r.Header.Get("X-Key") == "secret" && r.Host == "named.example" {
			w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		}
	})
	mux.HandleFunc("/full", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "we are full\x1b[2J", http.StatusServiceUnavailable)
	})
	mux.HandleFunc("/late", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "come back later", http.StatusTooManyRequests)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func TestProbe(t *testing.T) {
	host := kinds(t)
	for _, test := range []struct {
		url      string
		protocol swarm.Protocol
		topic    string
		want     swarm.Protocol
		err      string
	}{
		{"ws://HOST/raw", swarm.Auto, "", swarm.Raw, ""}, {"ws://HOST/v1", swarm.Auto, "", swarm.Raw, ""}, {"ws://HOST/v1", swarm.Auto, "t", swarm.V1, ""},
		{"ws://HOST/v1?{topic}", swarm.Auto, "t", swarm.Raw, ""}, {"ws://HOST/v1", swarm.V1, "", "", "--topic NAME"}, {"ws://HOST/v1", swarm.V1, "t", swarm.V1, ""},
		{"ws://HOST/polite", swarm.Auto, "t", "", "topic={topic}"}, {"ws://HOST/polite", swarm.V1, "t", "", "does not speak c100k.v1"},
		{"ws://HOST/raw", swarm.Auto, "t", "", "topic={topic}"}, {"ws://HOST/socket.io/", swarm.Auto, "", swarm.SocketIO, ""},
		{"http://HOST/socket.io/", swarm.Auto, "t", swarm.SocketIO, ""}, {"ws://HOST/other/socket.io/", swarm.Auto, "", "", "does not speak Engine.IO"},
		{"http://HOST", swarm.SocketIO, "", swarm.SocketIO, ""},
		{"http://HOST/sse", swarm.Auto, "", swarm.SSE, ""}, {"http://HOST/raw", swarm.SSE, "", "", "400 Bad Request"}, {"http://HOST/nothing", swarm.Auto, "", "", "404 Not Found"},
		{"ws://HOST/full", swarm.Auto, "", "", "503 Service Unavailable"}, {"ws://HOST/late", swarm.Auto, "", "", "429 Too Many Requests: come back later"},
		{"http://HOST/raw", swarm.Raw, "", "", "needs ws://"},
	} {
		o := DefaultOptions()
		o.URL, o.Protocol, o.Topic, o.Mode = strings.Replace(test.url, "HOST", host, 1), test.protocol, test.topic, swarm.Subscribe
		target, err := parseTarget(o.URL)
		if err != nil {
			t.Fatal(err)
		}
		at, err := resolve(t.Context(), target)
		if err != nil {
			t.Fatal(err)
		}
		asker := probe{url: target, target: at, header: [][2]string{{"X-Key", "secret"}, {"Host", "named.example"}}}
		got, err := asker.protocol(t.Context(), &o)
		if test.err == "" && (err != nil || got != test.want) {
			t.Errorf("%s as %s: %s, %v; want %s", test.url, test.protocol, got, err, test.want)
		}
		if test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err) || strings.Contains(err.Error(), "\x1b")) {
			t.Errorf("%s as %s: %v, want an error with %q", test.url, test.protocol, err, test.err)
		}
	}
}

// TestProbeAsTheClients: the probe asks as the clients do, with the subprotocol of --header and the
// password of the URL.
func TestProbeAsTheClients(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "me" || password != "secret" {
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		upgrader := ws.HTTPUpgrader{Protocol: func(offered string) bool { return offered == "chat" }}
		if conn, _, _, err := upgrader.Upgrade(r, w); err == nil {
			conn.Close()
		}
	}))
	defer server.Close()
	o := DefaultOptions()
	o.URL, o.Mode = "ws://me:secret@"+server.Listener.Addr().String()+"/x", swarm.Idle
	target, err := parseTarget(o.URL)
	if err != nil {
		t.Fatal(err)
	}
	at, err := resolve(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	asker := probe{url: target, target: at, header: [][2]string{{"Sec-WebSocket-Protocol", "other, chat"}}}
	if got, err := asker.protocol(t.Context(), &o); got != swarm.Raw || err != nil {
		t.Errorf("%s, %v", got, err)
	}
}

func TestResolve(t *testing.T) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, _ := strings.Cut(listener.Addr().String(), ":")
	for address, want := range map[string]string{
		"ws://localhost:" + port + "/": "127.0.0.1:" + port, "ws://127.0.0.1:" + port + "/": "127.0.0.1:" + port,
		"ws://localhost:99999/": "port 99999", "ws://no-such-host.invalid/": "no-such-host.invalid",
	} {
		target, err := parseTarget(address)
		if err != nil {
			t.Fatal(err)
		}
		got, err := resolve(t.Context(), target)
		if got.String() != want && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, %v; want %s", address, got, err, want)
		}
	}
}

// TestProbeIsAClient: the probe accepts and refuses the same answers as the clients of the run.
func TestProbeIsAClient(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
		fmt.Fprintf(conn, "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: keep-alive\r\nConnection: upgrade\r\n%sSec-WebSocket-Accept: %s\r\n\r\n",
			r.URL.Query().Get("more"), base64.StdEncoding.EncodeToString(sum[:]))
	}))
	defer server.Close()
	for query, refusal := range map[string]string{"": "", "?more=Sec-WebSocket-Extensions:%20x%0d%0a": "does not open a WebSocket"} {
		target, err := url.Parse("ws" + strings.TrimPrefix(server.URL, "http") + "/" + query)
		if err != nil {
			t.Fatal(err)
		}
		o := DefaultOptions()
		o.URL, o.Protocol = target.String(), swarm.Auto
		p := probe{url: target, target: netip.MustParseAddrPort(target.Host)}
		protocol, err := p.protocol(t.Context(), &o)
		if refusal == "" && (err != nil || protocol != swarm.Raw) || refusal != "" && (err == nil || !strings.Contains(err.Error(), refusal)) {
			t.Errorf("%q: %s, %v; want the refusal %q", query, protocol, err, refusal)
		}
	}
}
