// What strangers and slow clients can do before anything scarce is taken for them.

package admin

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// open opens a connection to a server and sends the beginning of a request on it.
func open(t *testing.T, address, text string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	return conn
}

// answerOf reads the answer on a connection; it fails the test if there is none in good time.
func answerOf(t *testing.T, conn net.Conn) *http.Response {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(30 * time.Second))
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	return response
}

// TestGate: a request reaches the other process when its head is right and its body is there, and
// not before.
func TestGate(t *testing.T) {
	passed := make(chan string, 10)
	gate := NewGate(Config{APIKey: key("secret"), MessageBytesMax: 10}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		passed <- fmt.Sprintf("%s %s %q %d %s %v", r.Method, r.URL.Path, body, r.ContentLength, r.Header.Get("Expect"), err)
	}))
	ts := httptest.NewServer(gate)
	defer ts.Close()
	address := ts.Listener.Addr().String()
	none := func(what string) {
		t.Helper()
		if len(passed) > 0 {
			t.Errorf("%s was passed on: %s", what, <-passed)
		}
	}
	for _, tc := range []struct {
		head   string
		status int
	}{
		{"POST /v1/publish HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n", 401},
		{"POST /v1/publish HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", 401},
		{"POST /v1/publish HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer guess\r\nContent-Length: 9\r\n\r\n", 401},
		{"POST /v1/nothing HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer secret\r\nContent-Length: 9\r\n\r\n", 404},
		{"DELETE /v1/publish HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer secret\r\nContent-Length: 9\r\n\r\n", 405},
		{"POST /v1/topics/a HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer secret\r\nContent-Length: 11\r\n\r\n", 413},
		{"POST /v1/drain HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer secret\r\nContent-Length: 5000\r\n\r\n", 413},
	} {
		// Its body does not come, and it is not waited for.
		if got := answerOf(t, open(t, address, tc.head)); got.StatusCode != tc.status {
			t.Errorf("%q: status %d, want %d", tc.head, got.StatusCode, tc.status)
		}
		none(tc.head)
	}
	half := open(t, address, "POST /v1/topics/a HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer secret\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
	if got := answerOf(t, half); got.StatusCode != 100 {
		t.Errorf("status %d, want 100", got.StatusCode)
	}
	none("a head")
	if _, err := io.WriteString(half, "body"); err != nil {
		t.Fatal(err)
	}
	answerOf(t, half)
	if got := <-passed; got != `POST /v1/topics/a "body" 4  <nil>` {
		t.Error(got)
	}
	answerOf(t, open(t, address, "GET /v1/topics HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer secret\r\n\r\n"))
	if got := <-passed; got != `GET /v1/topics "" 0  <nil>` {
		t.Error(got)
	}
}

// TestConnsMax: strangers that hold connections do not lock others out: the oldest of them go.
func TestConnsMax(t *testing.T) {
	server := Server(New(Config{Node: &fakeNode{}}))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = server.Serve(ln) }()
	defer func() { server.Close(); <-ended }()
	address := ln.Addr().String()

	const ask = "GET /v1/topics HTTP/1.1\r\nHost: localhost\r\n\r\n"
	honest := open(t, address, ask)
	if got := answerOf(t, honest); got.StatusCode != 200 {
		t.Fatalf("status %d", got.StatusCode)
	}
	strangers := make([]net.Conn, 2*ConnsMax)
	for i := range strangers {
		strangers[i] = open(t, address, "G")
	}
	// All have been accepted when this one has its answer.
	if got := answerOf(t, open(t, address, ask)); got.StatusCode != 200 {
		t.Errorf("a new connection: status %d", got.StatusCode)
	}
	for i, conn := range strangers[:ConnsMax] {
		_ = conn.SetReadDeadline(time.Now().Add(30 * time.Second))
		if _, err := conn.Read(make([]byte, 1)); err == nil || strings.Contains(err.Error(), "timeout") {
			t.Fatalf("stranger %d is still there: %v", i, err)
		}
	}
	if _, err := io.WriteString(honest, ask); err != nil {
		t.Fatal(err)
	}
	if got := answerOf(t, honest); got.StatusCode != 200 {
		t.Errorf("the first connection: status %d", got.StatusCode)
	}
}

// lines are the log's lines.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.text.Reset()
	return l.text.String()
}

// TestGuesses: an address that guesses may try a key a second, others are served, and the log has a
// line now and then.
func TestGuesses(t *testing.T) {
	log := new(lines)
	h := NewPublic(Config{Node: &fakeNode{}, APIKey: key("secret"), Logger: slog.New(slog.NewTextHandler(log, nil))})
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	h.(*api).access.guesses.now = func() time.Time { return now }
	try := func(peer, key string, header ...string) int {
		return serve(h, peer, "GET", "/v1/topics", append(header, "Authorization: Bearer "+key)).status
	}
	count := func(peer string, n int, header ...string) (looked int) {
		for range n {
			if try(peer, "guess", header...) == 401 {
				looked++
			}
		}
		return looked
	}
	if n := count("192.0.2.1:5000", 1000); n != GuessesMax {
		t.Errorf("%d keys were looked at, want %d", n, GuessesMax)
	}
	if got := log.take(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "wrong API key") || !strings.Contains(got, "peer=192.0.2.1") {
		t.Errorf("log: %s", got)
	}
	refused := serve(h, "192.0.2.1:5000", "GET", "/v1/topics", []string{"Authorization: Bearer secret"})
	if wantProblem(t, refused, 429, "too_many_wrong_keys"); refused.header.Get("Retry-After") != "1" {
		t.Errorf("headers %v", refused.header)
	}
	if got := try("192.0.2.2:5000", "secret"); got != 200 {
		t.Errorf("another address: %d", got)
	}
	now = now.Add(3 * time.Second)
	if n := count("192.0.2.1:5000", 1000); n != 3 {
		t.Errorf("%d keys in three seconds", n)
	}
	now = now.Add(GuessLogEvery)
	if n := count("192.0.2.1:5000", 1); n != 1 {
		t.Errorf("%d keys later", n)
	}
	if got := log.take(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "times=13") {
		t.Errorf("log: %s", got)
	}
	if got := try("192.0.2.1:5000", "secret"); got != 200 {
		t.Errorf("the right key, later: %d", got)
	}
	// A network of IPv6 is one guesser, and so is a client of a proxy on this machine.
	looked := 0
	for i := range 100 {
		looked += count(fmt.Sprintf("[2001:db8::%x]:5000", i+1), 1)
	}
	if looked != GuessesMax {
		t.Errorf("%d keys of a network", looked)
	}
	if n := count("127.0.0.1:5000", 100, "X-Forwarded-For: 198.51.100.7, 203.0.113.9"); n != GuessesMax {
		t.Errorf("%d keys through a proxy", n)
	}
	if got := try("127.0.0.1:5000", "secret", "X-Forwarded-For: 203.0.113.10"); got != 200 {
		t.Errorf("another client of the proxy: %d", got)
	}
	// Many addresses do not fill the memory, and those that are quiet are forgotten.
	for i := range GuessAddressesMax + 100 {
		count(fmt.Sprintf("10.%d.%d.%d:5000", i>>16, i>>8&255, i&255), 1)
	}
	if n := len(h.(*api).access.guesses.budget); n > GuessAddressesMax {
		t.Errorf("%d addresses", n)
	}
	now = now.Add(time.Hour)
	count("192.0.2.77:5000", 1)
	if n := len(h.(*api).access.guesses.budget); n != 1 {
		t.Errorf("%d addresses after an hour", n)
	}
}

// TestTheRightKeyBesideGuesses: behind a proxy that tells no addresses, strangers who guess do not
// keep out who has the key, if that is too long to be guessed.
func TestTheRightKeyBesideGuesses(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 2)
	h := NewPublic(Config{Node: &fakeNode{}, APIKey: key(long), Logger: slog.New(slog.DiscardHandler)})
	try := func(key string) int {
		return serve(h, "192.0.2.1:5000", "GET", "/v1/topics", []string{"Authorization: Bearer " + key}).status
	}
	for range GuessesMax {
		try("guess")
	}
	if got := try("guess"); got != 429 {
		t.Errorf("one more guess: %d", got)
	}
	if got := try(long); got != 200 {
		t.Errorf("the right key: %d", got)
	}
}
