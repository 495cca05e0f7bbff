// The port for plain HTTP: where it leads to, what it refuses, and that it keeps nothing.

package redirect

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"c100k/internal/admin"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestLocation(t *testing.T) {
	for _, test := range []struct {
		here, to                   int
		method, target, host, want string
	}{
		{80, 443, "GET", "/", "example.com", "https://example.com/"},
		{80, 443, "POST", "/a/b?c=d&e=%2F", "example.com:80", "https://example.com/a/b?c=d&e=%2F"},
		{80, 8443, "GET", "/x", "example.com", "https://example.com:8443/x"},
		{8080, 8443, "GET", "/x", "example.com", "https://example.com/x"},
		{8080, 8443, "GET", "/x", "127.0.0.1:8080", "https://127.0.0.1:8443/x"},
		{8080, 443, "GET", "/x", "127.0.0.1:8080", "https://127.0.0.1/x"},
		{80, 443, "GET", "/", "[::1]", "https://[::1]/"},
		{8080, 8443, "GET", "/", "[::1]:8080", "https://[::1]:8443/"},
		{80, 443, "GET", "//evil.example/x", "example.com", "https://example.com//evil.example/x"},
		{80, 443, "GET", "http://example.com/y?z", "example.com", "https://example.com/y?z"},
		{80, 443, "GET", "/", "", ""},
		{80, 443, "GET", "/", "evil.example/x", ""},
		{80, 443, "GET", "/", "user@evil.example", ""},
		{80, 443, "GET", "/", "example.com:99999", ""},
		{80, 443, "GET", "/", "example.com:x", ""},
		{80, 443, "GET", "/", strings.Repeat("a", 254), ""},
		{80, 443, "OPTIONS", "*", "example.com", ""},
		{80, 443, "GET", "/" + strings.Repeat("x", locationBytesMax), "example.com", ""},
	} {
		r := httptest.NewRequest(test.method, "/", nil)
		if test.target == "*" {
			r.URL.Path, r.URL.RawPath, r.RequestURI = "*", "", "*"
		} else {
			r = httptest.NewRequest(test.method, test.target, nil)
		}
		r.Host = test.host
		w := httptest.NewRecorder()
		handler{to: test.to, here: test.here}.ServeHTTP(w, r)
		status := http.StatusPermanentRedirect
		if test.want == "" {
			status = http.StatusBadRequest
		}
		if w.Code != status || w.Header().Get("Location") != test.want || w.Body.Len() == 0 {
			t.Errorf("%s %.60q of %.60q: %d %q; want %d %q", test.method, test.target, test.host, w.Code, w.Header().Get("Location"), status, test.want)
		}
	}
}

// TestPort: on a socket, one request a connection, with challenges in front.
func TestPort(t *testing.T) {
	ln, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := Server(Options{To: &net.TCPAddr{Port: 8443}, Here: ln.Addr(), Challenges: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/.well-known/acme-challenge/token" {
				_, _ = w.Write([]byte("proof"))
				return
			}
			next.ServeHTTP(w, r)
		})
	}})
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(ln) }()
	defer func() { admin.Close(s); <-done }()
	ask := func(request string) string {
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, request); err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(bufio.NewReader(c)) // to the end: the connection is closed
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	here := ln.Addr().String()
	if got := ask("GET /a?b HTTP/1.1\r\nHost: " + here + "\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 308 ") || !strings.Contains(got, "Location: https://127.0.0.1:8443/a?b\r\n") {
		t.Errorf("answer is %q", got)
	}
	if got := ask("GET /.well-known/acme-challenge/token HTTP/1.1\r\nHost: x\r\n\r\n"); !strings.HasSuffix(got, "proof") {
		t.Errorf("answer is %q", got)
	}
	if got := ask("\x16\x03\x01\x02\x00\x01\x00\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 400 ") {
		t.Errorf("answer to TLS is %q", got)
	}
	if got := ask("GET /" + strings.Repeat("x", 3*headBytesMax) + " HTTP/1.1\r\nHost: x\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 431 ") {
		t.Errorf("answer to a long head is %.80q", got)
	}
}
