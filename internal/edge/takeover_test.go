// Tests of the way back from net/http, and of what becomes of upgrades there.

package edge

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// upgrader takes sockets over on /ws, refuses on /no, and serves the rest.
func upgrader(taken chan<- Taken) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", echo)
	mux.Handle("/no", RefuseNotUpgrade)
	mux.HandleFunc("/quiet", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("/ws", func(w http.ResponseWriter, _ *http.Request) {
		got, err := TakeOver(w)
		switch {
		case err == nil:
			taken <- got
		case errors.Is(err, http.ErrNotSupported):
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	return mux
}

func TestTakeOver(t *testing.T) {
	taken := make(chan Taken, 1)
	s := newSite(t, ListenerOptions{}, upgrader(taken))
	for i, tt := range []struct{ name, before, request string }{
		{"first request", "", offer()},
		{"kept-alive connection", get("/1"), offer()},
		{"request without an upgrade", get("/1"), get("/ws")},
		{"request with a body", get("/1"), framed("Content-Length: 3") + "abc"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tag := uint32(i + 1)
			request := strings.Replace(tt.request, "POST / ", "POST /ws ", 1)
			const frames = "\x81\x85frames right behind it"
			var c *client
			if tt.before == "" {
				c = s.connect(request+frames, tag)
			} else {
				c = s.connect(tt.before, tag)
				c.want(200, "GET /1 ")
				c.send(request + frames)
			}
			got := <-taken
			defer unix.Close(got.FD)
			rest := string(got.First)
			c.CloseWrite()
			rest += drain(t, got.FD)
			if rest = strings.TrimPrefix(rest, "abc"); rest != frames {
				t.Errorf("%q is left", rest)
			}
			if got.Tag != tag || !got.Admitted || s.count(tag).Load() != 0 {
				t.Errorf("tag %d, admitted %t, released %d times", got.Tag, got.Admitted, s.count(tag).Load())
			}
			checkDescriptor(t, got.FD)
			if _, err := unix.Write(got.FD, []byte("here")); err != nil {
				t.Fatal(err)
			}
			p := make([]byte, 4)
			if _, err := io.ReadFull(c.r, p); err != nil || string(p) != "here" {
				t.Errorf("%q, %v", p, err)
			}
		})
	}
}

// drain reads a non-blocking socket up to the peer's FIN.
func drain(t *testing.T, fd int) string {
	t.Helper()
	var all []byte
	p := make([]byte, 4096)
	for {
		if _, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 10000); err != nil && err != unix.EINTR {
			t.Fatal(err)
		}
		n, err := unix.Read(fd, p)
		switch {
		case n > 0:
			all = append(all, p[:n]...)
		case err == unix.EINTR:
		case err != nil:
			t.Fatal(err)
		default:
			return string(all)
		}
	}
}

func checkDescriptor(t *testing.T, fd int) {
	t.Helper()
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil || flags&unix.O_NONBLOCK == 0 {
		t.Errorf("the descriptor blocks: %x, %v", flags, err)
	}
	if flags, err = unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("the descriptor is not closed on exec: %x, %v", flags, err)
	}
}

// TestTakeOverFromOthers: endpoints may be mounted in a server that knows nothing of this package.
func TestTakeOverFromOthers(t *testing.T) {
	taken := make(chan Taken, 1)
	server := httptest.NewServer(upgrader(taken))
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, offer())
	got := <-taken
	defer unix.Close(got.FD)
	if got.Admitted {
		t.Error("nobody has admitted it")
	}
	checkDescriptor(t, got.FD)
}

func TestTakeOverFails(t *testing.T) {
	rec := httptest.NewRecorder()
	upgrader(nil).ServeHTTP(rec, httptest.NewRequest("GET", "/ws", nil))
	if rec.Code != http.StatusInternalServerError || !strings.Contains(rec.Body.String(), "take over") {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	server := httptest.NewTLSServer(upgrader(nil))
	defer server.Close()
	res, err := server.Client().Get(server.URL + "/ws")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusNotImplemented {
		t.Errorf("%s: a TLS connection was taken over without its TLS", res.Status)
	}
}

func TestRefusedUpgradeEndsTheConnection(t *testing.T) {
	s := newSite(t, ListenerOptions{}, upgrader(nil))
	for _, path := range []string{"/no", "/quiet", "/elsewhere"} {
		for _, pipelined := range []bool{false, true} {
			request := offer("/ws", path)
			if pipelined {
				request += get("/reached")
			}
			c := s.connect(request, 0)
			res, err := http.ReadResponse(c.r, nil)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, res.Body)
			if !pipelined {
				// The connection may be closed already.
				_, _ = io.WriteString(c, get("/reached"))
			}
			if rest, _ := io.ReadAll(c.r); len(rest) > 0 {
				t.Errorf("%s, pipelined %t: %q", path, pipelined, rest)
			}
		}
	}
}

// TestUpgradeThroughAProxy: httputil.ReverseProxy reads from the hijacked connection and not from
// the buffer, so nothing of what is behind the head may have got into the buffer.
func TestUpgradeThroughAProxy(t *testing.T) {
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = conn.Write(AppendSwitching(nil, []byte(sampleKey), "", nil))
		p := make([]byte, 10)
		_, _ = io.ReadFull(rw, p)
		_, _ = conn.Write(p)
	}))
	defer backend.Close()
	target, err := url.Parse(backend.URL)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	s := newSite(t, ListenerOptions{}, &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }, Transport: transport})
	c := s.connect(offer()+"01234", 0)
	c.want(101, "")
	c.send("56789")
	p := make([]byte, 10)
	if _, err := io.ReadFull(c.r, p); err != nil || string(p) != "0123456789" {
		t.Errorf("%q, %v", p, err)
	}
	c.wantEnd()
}
