// The same over TLS.

package swarm_test

import (
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"c100k/loadgen/swarm"
)

// quiet is a log that nobody reads.
var quiet = log.New(io.Discard, "", 0)

// secureEcho is a TLS server that echoes over WebSocket and streams events.
func secureEcho(t *testing.T, version uint16) (addr string) {
	h := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/sse" {
			w.Header().Set("Content-Type", "text/event-stream")
			for seq := range uint64(100) {
				_, _ = io.WriteString(w, "data: "+token(seq)+"\n\n")
				_ = http.NewResponseController(w).Flush()
			}
			<-r.Context().Done()
			return
		}
		c, _, _, err := ws.UpgradeHTTP(r, w)
		if err != nil {
			return
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(30 * time.Second))
		for {
			p, op, err := wsutil.ReadClientData(c)
			if err != nil {
				return
			}
			_ = wsutil.WriteServerMessage(c, op, p)
		}
	}))
	h.TLS = &tls.Config{MaxVersion: version}
	h.Config.ErrorLog = quiet
	h.StartTLS()
	t.Cleanup(h.Close)
	return strings.TrimPrefix(h.URL, "https://")
}

func TestEchoOverTLS(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		addr := secureEcho(t, version)
		for _, size := range []int{100, 100000} { // the second is several records
			r := begin(t, addr, swarm.Spec{URL: "wss://HOST/ws", Mode: swarm.Echo, Conns: 20, InFlight: 2, Size: size, Insecure: true})
			r.open(20)
			r.begin(swarm.Begin{})
			r.until("some came back", func(s swarm.Sample) bool { return s.Received >= 500 })
			if s := r.settle(); s.Missing+s.Corrupted+s.Duplicated+s.Foreign > 0 || len(s.Lost)+len(s.Failed) > 0 {
				t.Errorf("%+v", s)
			}
			if s := r.end(); len(s.Lost) > 0 {
				t.Errorf("%v", s.Lost)
			}
		}
	}
}

func TestEventStreamOverTLS(t *testing.T) {
	addr := secureEcho(t, tls.VersionTLS13)
	r := begin(t, addr, swarm.Spec{URL: "https://HOST/sse", Protocol: swarm.SSE, Mode: swarm.Subscribe, Conns: 5, Insecure: true})
	r.until("all have come", func(s swarm.Sample) bool { return s.Received == 500 })
	if s := r.settle(100); s.Missing > 0 || s.Expected != 500 {
		t.Errorf("%+v", s)
	}
	r.end()
}

func TestTLSRefusals(t *testing.T) {
	silent := script(t, gone)
	plain := script(t, func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n") })
	resets := script(t, func(c net.Conn) {
		_, _ = c.Read(make([]byte, 1))
		_ = c.(*net.TCPConn).SetLinger(0)
	})
	closed := listen(t, "127.0.0.1:0")
	closed.Close()
	for addr, reason := range map[string]string{
		secureEcho(t, tls.VersionTLS13): "bad certificate", silent: "timeout", plain: "no TLS", resets: "reset", closed.Addr().String(): "refused",
	} {
		r := begin(t, addr, swarm.Spec{URL: "wss://HOST/ws", Mode: swarm.Idle, Conns: 3, Timeout: patience(reason)})
		if s := r.until("three have failed", func(s swarm.Sample) bool { return totalOf(s.Failed) == 3 }); s.Failed[reason] != 3 {
			t.Errorf("failed %v, want %q", s.Failed, reason)
		}
		r.end()
	}
}
