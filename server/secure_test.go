// TLS on the public port: every transport and plain HTTP, with clients of crypto/tls.

package server

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// certificate is one for localhost.
var certificate = sync.OnceValue(func() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
})

func serverTLS() *tls.Config {
	c := &tls.Config{Certificates: []tls.Certificate{certificate()}}
	c.SetSessionTicketKeys([][32]byte{{1}})
	return c
}

func clientTLS() *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(certificate().Leaf)
	return &tls.Config{RootCAs: pool, ServerName: "localhost"}
}

// onPlainAndTLS runs a test on plain nodes and on nodes with TLS.
func onPlainAndTLS(t *testing.T, f func(t *testing.T, secure func(int, *Config))) {
	t.Run("plain", func(t *testing.T) { f(t, func(int, *Config) {}) })
	t.Run("TLS", func(t *testing.T) { f(t, func(_ int, c *Config) { c.TLS = serverTLS() }) })
}

// dialWSOf is dialWS for a node with or without TLS.
func dialWSOf(t *testing.T, s *Server, path string, protocols ...string) net.Conn {
	t.Helper()
	if s.cfg.TLS == nil {
		return dialWS(t, s.Addr().String(), path, protocols...)
	}
	d := ws.Dialer{Timeout: patience, Protocols: protocols, TLSConfig: clientTLS()}
	c, early, _, err := d.Dial(t.Context(), "wss://"+s.Addr().String()+path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if early != nil {
		return &earlyConn{c, early}
	}
	return c
}

// httpsClient is an HTTP client that trusts the certificate.
func httpsClient(t *testing.T) *http.Client {
	transport := &http.Transport{TLSClientConfig: clientTLS()}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

// TestTLS: streams and plain HTTP on one port, before and after each other on one connection.
func TestTLS(t *testing.T) {
	var seen *http.Request
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = r
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %d", r.Method, len(body))
	})
	s := start(t, Config{Dev: true, Loops: 2, TLS: serverTLS(), Handler: handler})
	one, two := dialWSOf(t, s, "/ws?topic=room"), dialWSOf(t, s, "/ws?topic=room")
	eventually(t, "both are subscribed", func() bool { return subscribers(s, "room") == 2 })
	large := strings.Repeat("0123456789abcdef", 3800)
	for _, text := range []string{"hello", large} {
		say(t, one, text)
		expectText(t, one, text)
		expectText(t, two, text)
	}
	// The client of net/http keeps its connection, with requests for both sides in turn.
	client, base := httpsClient(t), "https://"+s.Addr().String()
	for range 3 {
		r, err := client.Post(base+"/other", "text/plain", strings.NewReader(large))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r.Body)
		r.Body.Close()
		if err != nil || string(body) != fmt.Sprintf("POST %d", len(large)) {
			t.Fatalf("%q, %v", body, err)
		}
		if seen.TLS == nil || seen.TLS.ServerName != "localhost" || seen.TLS.Version != tls.VersionTLS13 {
			t.Errorf("%+v", seen.TLS)
		}
		if r, err = client.Get(base + pollPath); err != nil {
			t.Fatal(err)
		}
		body, err = io.ReadAll(r.Body)
		r.Body.Close()
		if err != nil || !strings.HasPrefix(string(body), "0{") {
			t.Fatalf("%q, %v", body, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, "GET", base+"/sse?topic=room", nil)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()
	eventually(t, "the stream is subscribed", func() bool { return subscribers(s, "room") == 3 })
	say(t, one, "to a stream")
	lines := bufio.NewScanner(stream.Body)
	for lines.Scan() && lines.Text() != "data: to a stream" {
	}
	if lines.Err() != nil {
		t.Fatal(lines.Err())
	}
	done, failed := s.secured.figures()
	if done["false"]["1.3"] < 3 || failed["internal"] != 0 {
		t.Errorf("%v, failed %v", done, failed)
	}
}

// TestTLSUpstream: the application behind the node learns that the client speaks TLS.
func TestTLSUpstream(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Header.Get("X-Forwarded-Proto"))
	}))
	defer up.Close()
	s := start(t, Config{TLS: serverTLS(), Upstream: up.URL})
	r, err := httpsClient(t).Get("https://" + s.Addr().String() + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if body, err := io.ReadAll(r.Body); err != nil || string(body) != "https" {
		t.Errorf("X-Forwarded-Proto %q, %v", body, err)
	}
}

// TestPlainHTTPOnTLS: a request in plain text gets 400 and a sentence; other bytes an alert.
func TestPlainHTTPOnTLS(t *testing.T) {
	s := start(t, Config{Dev: true, TLS: serverTLS()})
	for request, want := range map[string]string{
		"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n":  "HTTP/1.1 400 Bad Request\r\n",
		"HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n": "HTTP/1.1 400 Bad Request\r\n",
		"\x00\x01\x02":             "\x15\x03\x01\x00\x02\x02\x0a",
		"\x16\x03\x01\x00\x01\x02": "\x15\x03\x01\x00\x02\x02\x0a",
	} {
		c := dialNode(t, s)
		if _, err := io.WriteString(c, request); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(c)
		if err != nil || !strings.HasPrefix(string(got), want) {
			t.Errorf("%q: %q, %v", request, got, err)
		}
		if strings.HasPrefix(request, "GET") && !strings.Contains(string(got), "https:") {
			t.Errorf("no sentence: %q", got)
		}
	}
	if n := s.rejected.snapshot()["plain_http"]; n != 2 {
		t.Errorf("%d are counted", n)
	}
}

// TestSlowClientHello: a ClientHello that comes byte by byte has the time that a handshake has, and
// no more; neither has one that stops.
func TestSlowClientHello(t *testing.T) {
	s := start(t, Config{Dev: true, Loops: 1, TLS: serverTLS(), HandshakeTimeout: 200 * time.Millisecond})
	for i, pace := range []time.Duration{time.Millisecond, patience} {
		c, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		hello := []byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
		sent, ended := 0, false
		for ; !ended && sent < 1<<10; sent++ {
			if _, err := c.Write([]byte{append(hello, make([]byte, 1<<10)...)[sent]}); err != nil {
				break
			}
			_ = c.SetReadDeadline(time.Now().Add(pace)) // no answer comes before the end
			_, err := c.Read(make([]byte, 16))
			var timeout net.Error
			ended = err != nil && !(errors.As(err, &timeout) && timeout.Timeout())
		}
		if sent > 512 {
			t.Errorf("%d bytes of a ClientHello were waited for", sent)
		}
		eventually(t, "counted", func() bool {
			_, failed := s.secured.figures()
			return failed["timeout"] == uint64(i)+1
		})
	}
}

// TestTLSBehindAProxy: a PROXY header stands in front of TLS; it is believed of a trusted proxy.
func TestTLSBehindAProxy(t *testing.T) {
	const header = "PROXY TCP4 192.0.2.7 198.51.100.1 51234 443\r\n"
	for _, trusted := range []bool{true, false} {
		c := Config{Dev: true, TLS: serverTLS(), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, r.RemoteAddr)
		})}
		if trusted {
			c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
		}
		s := start(t, c)
		raw := dialNode(t, s)
		for i := range header { // each byte in a packet of its own, if the kernel likes
			if _, err := io.WriteString(raw, header[i:i+1]); err != nil {
				t.Fatal(err)
			}
		}
		secure := tls.Client(raw, clientTLS())
		_, err := io.WriteString(secure, "GET /x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
		if !trusted {
			if err == nil {
				t.Error("the header of a stranger was believed")
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if answer, err := io.ReadAll(secure); err != nil || !strings.HasSuffix(string(answer), "192.0.2.7:51234") {
			t.Errorf("%q, %v", answer, err)
		}
	}
}

// TestTLSRefused: what is not honoured is an error at start.
func TestTLSRefused(t *testing.T) {
	for name, c := range map[string]*tls.Config{
		"no certificate": {},
		"an old version": {Certificates: []tls.Certificate{certificate()}, MinVersion: tls.VersionTLS10},
		"CBC":            {Certificates: []tls.Certificate{certificate()}, CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA}},
		"HTTP/2":         {Certificates: []tls.Certificate{certificate()}, NextProtos: []string{"h2", "http/1.1"}},
	} {
		if s, err := New(Config{Dev: true, TLS: c}); err == nil {
			t.Errorf("%s: accepted", name)
			s.Close()
		} else if !strings.Contains(err.Error(), "TLS") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestHooksKnowTheCertificate: the backend is told who a client has proved to be by its
// certificate, on every transport, and what it has not proved it is not told.
func TestHooksKnowTheCertificate(t *testing.T) {
	b := newJudge(t, func(hookQuestion) string { return `{"allow":true,"subscribe":["news"]}` })
	secured := serverTLS()
	secured.ClientAuth, secured.ClientCAs = tls.VerifyClientCertIfGiven, clientTLS().RootCAs
	s := start(t, Config{TLS: secured, HookConnect: b.URL, HookTimeout: patience, Loops: 1})
	known := clientTLS()
	known.Certificates = []tls.Certificate{certificate()}
	key := "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	for i, row := range []struct {
		target, fields string
		client         *tls.Config
		want           string
	}{
		{"/ws?topic=news", key, known, "CN=localhost"},
		{"/ws?topic=news", key, clientTLS(), ""},
		{"/sse?topic=news", "", known, "CN=localhost"},
		{"/sse?topic=news", "Connection: keep-alive\r\n", clientTLS(), ""},
	} {
		c, err := tls.Dial("tcp", s.Addr().String(), row.client)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(patience))
		fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n", row.target, row.fields)
		answer, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || answer.StatusCode >= 300 {
			t.Fatalf("%s: %+v, %v", row.target, answer, err)
		}
		if got := b.questions(); len(got) != i+1 || got[i].Certificate != row.want {
			t.Errorf("%s: the backend was asked %+v, want the certificate %q", row.target, got, row.want)
		}
	}
	d := ws.Dialer{Timeout: patience, TLSConfig: known}
	c, _, _, err := d.Dial(t.Context(), "wss://"+s.Addr().String()+"/socket.io/?EIO=4&transport=websocket")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	say(t, c, "40")
	eventually(t, "the backend is asked about the client of Socket.IO", func() bool {
		got := b.questions()
		last := got[len(got)-1]
		return last.Transport == "socketio" && last.Certificate == "CN=localhost"
	})
}
