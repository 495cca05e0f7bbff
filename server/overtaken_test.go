// Requests of one client on several connections, which the kernel gives to several loops.

package server

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

const sioPolling = "/socket.io/?EIO=4&transport=polling"

// TestPollAndClose: a GET, and right behind it, on another connection, the POST that closes the
// session: the GET is answered with a noop, as by Node's server, whichever is read first.
func TestPollAndClose(t *testing.T) {
	const tries = 200
	s := start(t, Config{Dev: true, Loops: 4})
	other, err := New(Config{Dev: true, Loops: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Close() })
	mounted := httptest.NewServer(other.Handler())
	t.Cleanup(mounted.Close)
	for name, address := range map[string]string{"the node": s.Addr().String(), "mounted": mounted.Listener.Addr().String()} {
		refused := 0
		for range tries {
			first := dialHTTP(t, address)
			_, body := first.ask("GET " + sioPolling + " HTTP/1.1\r\nHost: " + address + "\r\n\r\n")
			_, sid, _ := strings.Cut(body, `"sid":"`)
			sid, _, _ = strings.Cut(sid, `"`)
			of := sioPolling + "&sid=" + sid + " HTTP/1.1\r\nHost: " + address + "\r\n"
			poll, post := dialHTTP(t, address), dialHTTP(t, address)
			poll.send("GET " + of + "\r\n")
			post.send("POST " + of + "Content-Length: 1\r\n\r\n1")
			if status, body := poll.answer(); status != 200 || body != "6" {
				refused++
			}
			if status, body := post.answer(); status != 200 || body != "ok" {
				t.Fatalf("%s: the POST is answered %d, %q", name, status, body)
			}
			if status, body := first.ask("GET " + of + "\r\n"); status != 400 || body != `{"code":1,"message":"Session ID unknown"}` {
				t.Fatalf("%s: a GET behind the end of its session is answered %d, %q", name, status, body)
			}
			for _, c := range []*httpConn{first, poll, post} {
				c.Close()
			}
		}
		t.Logf("%s: %d of %d polls are refused", name, refused, tries)
		if refused > 0 {
			t.Errorf("%s: %d of %d polls are refused", name, refused, tries)
		}
	}
}

// httpConn is a connection on which requests are written by hand.
type httpConn struct {
	net.Conn
	t  *testing.T
	in *bufio.Reader
}

func dialHTTP(t *testing.T, address string) *httpConn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() }) // and the collector does not close it before
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return &httpConn{c, t, bufio.NewReader(c)}
}

func (c *httpConn) send(request string) {
	if _, err := fmt.Fprint(c, request); err != nil {
		c.t.Fatal(err)
	}
}

func (c *httpConn) answer() (status int, body string) {
	r, err := http.ReadResponse(c.in, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return r.StatusCode, string(b)
}

func (c *httpConn) ask(request string) (status int, body string) {
	c.send(request)
	return c.answer()
}
