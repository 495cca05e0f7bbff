// Tests of the guard on a connection without sockets: what comes out of it is what net/http may
// see.

package edge

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// script is a socket that has received its input already, in pieces, and keeps what is sent.
type script struct {
	in        []byte
	pieces    func() int // the length of the next read
	end       error      // behind the input
	sent      bytes.Buffer
	halfClose bool
	deadlines []time.Time // of reading
}

func (s *script) Read(p []byte) (int, error) {
	if len(s.in) == 0 {
		return 0, s.end
	}
	n := copy(p[:min(len(p), s.pieces())], s.in)
	s.in = s.in[n:]
	return n, nil
}

func (s *script) Write(p []byte) (int, error) { return s.sent.Write(p) }
func (s *script) Close() error                { return nil }
func (s *script) CloseWrite() error           { s.halfClose = true; return nil }
func (s *script) LocalAddr() net.Addr         { return nil }
func (s *script) RemoteAddr() net.Addr        { return nil }
func (s *script) SetDeadline(time.Time) error { return nil }
func (s *script) SetReadDeadline(t time.Time) error {
	s.deadlines = append(s.deadlines, t)
	return nil
}

func (s *script) SetWriteDeadline(time.Time) error { return nil }

// scripted is a Conn over a script that gives n bytes a read.
func scripted(in string, n int) (*Conn, *script) {
	s := &script{in: []byte(in), pieces: func() int { return n }, end: io.EOF}
	return newConn(s, NewListener(ListenerOptions{}), 0, nil), s
}

func TestConnPasses(t *testing.T) {
	get := head("GET /1 HTTP/1.1", "Host: h")
	for _, tt := range []struct {
		name, in, out string
		err           error  // what Read ends with
		sent          string // the beginning of the answer
	}{
		{"one", get, get, io.EOF, ""},
		{"pipelined", get + get + get, get + get + get, io.EOF, ""},
		{"an empty line between", get + "\r\n" + get, get + get, io.EOF, ""},
		{"two empty lines between", get + "\r\n\r\n" + get, get, io.EOF, "HTTP/1.1 400 "},
		{"body", framed("Content-Length: 3") + "abc" + get, framed("Content-Length: 3") + "abc" + get, io.EOF, ""},
		{"chunks", framed("Transfer-Encoding: chunked") + "3\r\nabc\r\n0\r\n\r\n" + get, framed("Transfer-Encoding: chunked") + "3\r\nabc\r\n0\r\n\r\n" + get, io.EOF, ""},
		{"incomplete head", get + "GET / HTTP/1.1\r\nHost", get, io.EOF, ""},
		{"incomplete body", framed("Content-Length: 3") + "ab", framed("Content-Length: 3") + "ab", io.EOF, ""},
		{"bad second head", get + "GET / HTTP/1.1\nHost: h\r\n\r\n", get, io.EOF, "HTTP/1.1 400 Bad Request\r\n"},
		{"two framings in the second", get + framed("Content-Length: 3", "Transfer-Encoding: chunked") + "0\r\n\r\n", get, io.EOF, "HTTP/1.1 400 "},
		{"large second head", get + sizedHead(HeadBytesMax+1), get, io.EOF, "HTTP/1.1 431 "},
		{"unknown coding", get + framed("Transfer-Encoding: gzip"), get, io.EOF, "HTTP/1.1 501 "},
		{"bad chunk", framed("Transfer-Encoding: chunked") + "3\r\nabcd\r\n0\r\n\r\n" + get, framed("Transfer-Encoding: chunked") + "3\r\nabc", badChunkEnd, ""},
		{"behind a refused upgrade", offer() + get, offer(), io.EOF, ""},
		{"behind the body of a refused upgrade", offer("Host: h", "Host: h\r\nContent-Length: 3") + "abc" + get, offer("Host: h", "Host: h\r\nContent-Length: 3") + "abc", io.EOF, ""},
		{"behind an offer of h2c", offer("websocket", "h2c") + get, offer("websocket", "h2c") + get, io.EOF, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, n := range []int{1, 7, 1 << 20} {
				c, s := scripted(tt.in, n)
				out, err := readAll(c)
				if out != tt.out || err != tt.err {
					t.Errorf("in pieces of %d: %q, %v; want %q, %v", n, out, err, tt.out, tt.err)
				}
				if tt.sent == "" && s.sent.Len() > 0 || !strings.HasPrefix(s.sent.String(), tt.sent) {
					t.Errorf("in pieces of %d: sent %q", n, s.sent.String())
				}
				if _, again := c.Read(make([]byte, 10)); again != err {
					t.Errorf("in pieces of %d: then %v", n, again)
				}
			}
		})
	}
}

// readAll reads as net/http does, until an error.
func readAll(c *Conn) (string, error) {
	var out []byte
	p := make([]byte, 4096)
	for {
		n, err := c.Read(p)
		out = append(out, p[:n]...)
		if err != nil {
			return string(out), err
		}
	}
}

func TestConnReadStaysWithinOneMessage(t *testing.T) {
	first, second := framed("Content-Length: 3")+"abc", head("GET /2 HTTP/1.1", "Host: h")
	c, _ := scripted(first+second, 1<<20)
	p := make([]byte, 4096)
	var reads []string
	for {
		n, err := c.Read(p)
		if err != nil {
			break
		}
		reads = append(reads, string(p[:n]))
	}
	if got := strings.Join(reads, "|"); got != strings.TrimSuffix(first, "abc")+"|abc|"+second {
		t.Errorf("%q", got)
	}
}

func TestConnEarlyRead(t *testing.T) {
	get := head("GET /1 HTTP/1.1", "Host: h")
	for _, between := range []string{"", "\r\n"} {
		for _, n := range []int{1, 1 << 20} {
			c, _ := scripted(get+between+get, n)
			p := make([]byte, 4096)
			if m, _ := c.Read(p); string(p[:m]) != get {
				t.Fatalf("%q", p[:m])
			}
			if m, err := c.Read(p[:1]); m != 1 || p[0] != 'G' || err != nil {
				t.Fatalf("early: %q, %v", p[:m], err)
			}
			if m, err := c.Read(p); string(p[:m]) != get[1:] {
				t.Fatalf("the rest: %q, %v", p[:m], err)
			}
		}
	}
}

func TestConnEarlyReadOfABadHead(t *testing.T) {
	get := head("GET /1 HTTP/1.1", "Host: h")
	c, s := scripted(get+"\x00bad", 1<<20)
	p := make([]byte, 4096)
	_, _ = c.Read(p)
	if n, err := c.Read(p[:1]); n != 1 || err != nil || s.sent.Len() > 0 {
		t.Fatalf("a handler that runs hears of it: %d, %v, %q", n, err, s.sent.String())
	}
	if n, err := c.Read(p); n != 0 || err != io.EOF || !strings.HasPrefix(s.sent.String(), "HTTP/1.1 400 ") || !s.halfClose {
		t.Fatalf("%d, %v, %q", n, err, s.sent.String())
	}
}

func TestConnRefusesHEADWithoutABody(t *testing.T) {
	c, s := scripted("HEAD / HTTP/1.1\r\n\r\n", 1<<20)
	_, _ = readAll(c)
	if res, _ := answer(t, s.sent.Bytes(), "HEAD"); res.StatusCode != 400 {
		t.Errorf("%s", res.Status)
	}
}

func TestConnHijackedAfterAnEarlyRead(t *testing.T) {
	get := head("GET /1 HTTP/1.1", "Host: h")
	c, s := scripted(get+"xyz", 1<<20)
	p := make([]byte, 4096)
	_, _ = c.Read(p)
	_, _ = c.Read(p[:1])
	ConnState(c, http.StateHijacked)
	s.in = []byte("more")
	if out, _ := readAll(c); out != "yzmore" {
		t.Errorf("%q", out)
	}
}

func TestConnUpgradeIsHijacked(t *testing.T) {
	c, s := scripted(offer()+"frame", 1<<20)
	s.end = os.ErrDeadlineExceeded
	p := make([]byte, 4096)
	_, _ = c.Read(p)
	// net/http reads while the handler runs, and ends that with a deadline in the past.
	if n, err := c.Read(p[:1]); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("%d, %v", n, err)
	}
	ConnState(c, http.StateHijacked)
	s.in, s.end = []byte("more"), io.EOF
	if out, _ := readAll(c); out != "framemore" {
		t.Errorf("%q", out)
	}
}

func TestConnUpgradeKeepsABoundedNumberOfBytes(t *testing.T) {
	flood := strings.Repeat("x", 1<<20)
	c, s := scripted(offer()+flood, 1000)
	p := make([]byte, 4096)
	_, _ = c.Read(p)
	got := make(chan error)
	go func() {
		_, err := c.Read(p[:1])
		got <- err
	}()
	_ = c.SetReadDeadline(time.Unix(1, 0))
	if err := <-got; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
	if kept := len(c.buf); kept > 2*guardBufferBytes || kept < guardBufferBytes {
		t.Errorf("%d bytes are kept", kept)
	}
	go func() {
		_, err := c.Read(p[:1])
		got <- err
	}()
	_ = c.SetReadDeadline(time.Time{})
	_ = c.Close()
	if err := <-got; err == nil {
		t.Error("a closed connection still waits")
	}
	ConnState(c, http.StateHijacked)
	if out, _ := readAll(c); out != flood || len(s.in) > 0 {
		t.Errorf("%d of %d bytes", len(out), len(flood))
	}
}

func FuzzGuard(f *testing.F) {
	get := head("GET /1 HTTP/1.1", "Host: h")
	for _, in := range []string{
		get + get,
		get + "\r\n" + framed("Content-Length: 3") + "abc" + get,
		framed("Transfer-Encoding: chunked") + "3\r\nabc\r\n0\r\nA: b\r\n\r\n" + get,
		framed("Transfer-Encoding: chunked") + "3;a=b\r\nabc\r\n0;c\r\n\r\n\r\n" + get,
		framed("Transfer-Encoding: chunked", "Content-Length: 3") + "0\r\n\r\n" + get,
		offer() + get,
		framed("Content-Length: 10") + get,
		get + "GET / HTTP/1.1\nHost: h\n\n",
	} {
		f.Add([]byte(in), uint16(1))
		f.Add([]byte(in), uint16(977))
	}
	f.Fuzz(func(t *testing.T, in []byte, seed uint16) {
		if len(in) > 4*HeadBytesMax {
			return
		}
		r := uint32(seed) | 1
		next := func(n int) int { // 1..n
			r = r*1664525 + 1013904223
			return 1 + int(r>>8)%n
		}
		s := &script{in: in, pieces: func() int { return next(64) }, end: io.EOF}
		c := newConn(s, NewListener(ListenerOptions{}), 0, nil)
		var out []byte
		var starts []int // of the messages that came out
		for {
			p := make([]byte, 1+next(200))
			boundary := c.ready == 0 && c.guard.body.done()
			if boundary && c.early == 0 && c.guard.heads > 0 && !c.guard.upgrade && next(3) == 1 {
				p = p[:1] // as net/http reads while a handler runs
			}
			if boundary && c.early == 0 {
				starts = append(starts, len(out))
			}
			n, err := c.Read(p)
			out = append(out, p[:n]...)
			if err != nil {
				break
			}
		}
		whole := c.guard.heads
		if c.early == 1 {
			out = out[:len(out)-1] // of a head that never was judged
		}
		if len(s.in) == len(in) && len(in) > 0 {
			t.Fatal("nothing was read")
		}
		// net/http sees the same messages, at the same places.
		src := bytes.NewReader(out)
		br := bufio.NewReader(src)
		for i := range whole {
			if at := len(out) - src.Len() - br.Buffered(); at != starts[i] {
				t.Fatalf("message %d begins at %d, for net/http at %d, in %q", i, starts[i], at, out)
			}
			req, err := http.ReadRequest(br)
			if err != nil {
				t.Fatalf("message %d passed, but net/http says %v, in %q", i, err, out)
			}
			if _, err = io.Copy(io.Discard, req.Body); err != nil && i < whole-1 {
				t.Fatalf("the body of message %d passed, but net/http says %v, in %q", i, err, out)
			}
			if err != nil {
				return
			}
		}
		if rest := src.Len() + br.Buffered(); rest > 0 && c.broken == nil {
			t.Fatalf("%d bytes of no message came out, of %q", rest, out)
		}
	})
}

// TestConnBodyDeadline: a body that stops arriving ends its read, and the deadlines end with the
// body.
func TestConnBodyDeadline(t *testing.T) {
	for _, body := range []string{"", "ab"} {
		c, s := scripted(framed("Content-Length: 3")+body, 1<<20)
		c.listener.opt.BodyTimeout = time.Hour
		s.end = os.ErrDeadlineExceeded
		if _, err := readAll(c); err != RefuseBodyTimeout {
			t.Errorf("after %q: %v", body, err)
		}
		set := s.deadlines[len(s.deadlines)-1]
		if left := time.Until(set); left > BodyIdleTimeout || c.bodyEnd.IsZero() {
			t.Errorf("the next byte has %v", left)
		}
	}
	c, s := scripted(framed("Content-Length: 3"), 1)
	c.listener.opt.BodyTimeout = time.Millisecond
	s.end = os.ErrDeadlineExceeded
	if _, err := readAll(c); err != RefuseBodyTimeout || s.deadlines[len(s.deadlines)-1].After(time.Now().Add(time.Second)) {
		t.Errorf("%v: the body as a whole has no deadline", err)
	}
	// Past the head in the buffer, so that the socket is read for the body.
	c, s = scripted(framed("Content-Length: 3")+"abc"+get("/"), 1)
	c.listener.opt.BodyTimeout = time.Hour
	if out, err := readAll(c); err != io.EOF || !strings.HasSuffix(out, get("/")) {
		t.Errorf("%q, %v", out, err)
	}
	if last := s.deadlines[len(s.deadlines)-1]; !last.IsZero() || !c.bodyEnd.IsZero() {
		t.Error("the deadline of the body outlived it")
	}
}
