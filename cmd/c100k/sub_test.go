// Tests of `sub` against a server that plays a script of frames.

package main

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/gobwas/ws"

	"c100k/frame"
)

// peer is the server's side of one connection.
type peer struct {
	t      *testing.T
	socket net.Conn
	reader frame.Reader
	rest   []byte
}

// serveScripts lets the n-th connection play the n-th script; the last one is played by all that
// follow.
func serveScripts(t *testing.T, scripts ...func(*peer)) (url string) {
	var n atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		script := scripts[min(int(n.Add(1)), len(scripts))-1]
		upgrader := ws.HTTPUpgrader{Protocol: func(p string) bool { return p == subprotocol }}
		socket, _, _, err := upgrader.Upgrade(r, w)
		if err != nil {
			t.Error(err)
			return
		}
		defer socket.Close()
		script(&peer{t: t, socket: socket})
	}))
	t.Cleanup(server.Close)
	return "ws" + strings.TrimPrefix(server.URL, "http") + "/ws"
}

// next reads the client's next message or control frame; false when it is gone.
func (p *peer) next() (frame.Message, bool) {
	buffer := make([]byte, 4096)
	for {
		m, rest, err := p.reader.Next(&frame.Options{}, p.rest)
		if err != nil {
			p.t.Errorf("the client's frame: %v", err)
			return m, false
		}
		if p.rest = rest; m.Complete {
			return m, true
		}
		n, err := p.socket.Read(buffer)
		if err != nil {
			return m, false
		}
		p.rest = buffer[:n]
	}
}

func (p *peer) send(texts ...string) {
	var out []byte
	for _, text := range texts {
		out = frame.AppendFrame(out, frame.OpText, []byte(text))
	}
	p.raw(out)
}

func (p *peer) raw(out []byte) {
	if _, err := p.socket.Write(out); err != nil {
		p.t.Logf("send: %v", err) // the client may have had enough
	}
}

// accept expects the subscribe command and acknowledges it.
func (p *peer) accept(topics string) {
	m, _ := p.next()
	if want := `{"id":1,"topics":[` + topics + `],"type":"subscribe"}`; string(m.Payload) != want || m.Op != frame.OpText {
		p.t.Errorf("got %q, want %q", m.Payload, want)
	}
	p.send(`{"type":"welcome","conn":"00"}`, `{"type":"ack","id":1}`)
}

// drain reads until the client is gone.
func (p *peer) drain() {
	for {
		if m, ok := p.next(); !ok || m.Op == frame.OpClose {
			return
		}
	}
}

func message(topic, data string) string {
	return `{"type":"message","topic":"` + topic + `",` + data + `}`
}

func TestSubPrints(t *testing.T) {
	url := serveScripts(t, func(p *peer) {
		m, _ := p.next()
		topics := string(m.Payload)
		p.send(`{"type":"welcome","conn":"00"}`, `{"type":"ack","id":1}`,
			message("news", `"data":"plain \u00fc text"`), message("news", `"data":{"a": [1, 2]}`), message("news", `"data":null`),
			message("news", `"data_base64":"/wAB"`), message("news", `"data":"two\nlines\u001b[2J"`),
			`{"type":"gap","topic":"news","missed":17}`, `{"type":"error","code":"rate","message":"too fast"}`, `{"type":"later","x":1}`)
		// A message in three fragments, with a ping between them that must be answered at once.
		p.raw([]byte("\x01\x1c{\"type\":\"message\",\"topic\":\"n"))
		p.raw([]byte("\x89\x02hi"))
		if m, _ := p.next(); m.Op != frame.OpPong || string(m.Payload) != "hi" {
			t.Errorf("%s: got %v %q, want a pong", topics, m.Op, m.Payload)
		}
		p.raw([]byte("\x00\x0dews\",\"data\":\"\x80\x06last\""))
		p.raw([]byte("}"))
		p.drain()
	})
	for _, test := range []struct {
		name     string
		args     []string
		terminal bool
		want     string
	}{
		{"one topic", []string{"news"}, false, "plain ü text\n{\"a\": [1, 2]}\nnull\n\xff\x00\x01\ntwo\nlines\x1b[2J\nlast\n"},
		{"two topics", []string{"news", "sports"}, false,
			"news\tplain ü text\nnews\t{\"a\": [1, 2]}\nnews\tnull\nnews\t\xff\x00\x01\nnews\ttwo\nlines\x1b[2J\nnews\tlast\n"},
		{"on a terminal", []string{"news"}, true, "plain ü text\n{\"a\": [1, 2]}\nnull\n\ufffd\\x00\\x01\ntwo\nlines\\x1b[2J\nlast\n"},
		{"envelopes", []string{"news", "--json"}, false, message("news", `"data":"plain \u00fc text"`) + "\n" + message("news", `"data":{"a": [1, 2]}`) + "\n" +
			message("news", `"data":null`) + "\n" + message("news", `"data_base64":"/wAB"`) + "\n" + message("news", `"data":"two\nlines\u001b[2J"`) + "\n" + message("news", `"data":"last"`) + "\n"},
	} {
		p := newProgram(append([]string{"sub", "--url", url, "--count", "6"}, test.args...)...)
		p.terminal = func(any) bool { return test.terminal }
		code, out, errs := p.exec(t)
		if code != 0 || out != test.want {
			t.Errorf("%s: exit code %d\n got %q\nwant %q\n%s", test.name, code, out, test.want, errs)
		}
		for _, want := range []string{"c100k: gap: 17 messages of news were dropped", "c100k: rate: too fast\n"} {
			if !strings.Contains(errs, want) {
				t.Errorf("%s: no %q in %q", test.name, want, errs)
			}
		}
	}
}

func TestSubReconnects(t *testing.T) {
	url := serveScripts(t,
		func(p *peer) {
			p.accept(`"a"`)
			p.send(message("a", `"data":"one"`))
			p.raw(frame.AppendClose(nil, frame.CodeRestart, "service restart"))
			p.drain()
		},
		func(p *peer) { p.next() }, // ends without a word
		func(p *peer) {
			p.accept(`"a"`)
			p.send(message("a", `"data":"two"`))
			p.drain()
		})
	p := newProgram("sub", "a", "--url", url, "--count", "2")
	code, out, errs := p.exec(t)
	if code != 0 || out != "one\ntwo\n" {
		t.Errorf("exit code %d, %q, %s", code, out, errs)
	}
	if !strings.Contains(errs, "closed the connection with 1012: service restart; again in ") || strings.Count(errs, "again in") != 2 {
		t.Error(errs)
	}
}

func TestSubEnds(t *testing.T) {
	for _, test := range []struct {
		name   string
		args   []string
		script func(*peer)
		want   string
	}{
		{"no reconnect", []string{"--no-reconnect"}, func(p *peer) { p.accept(`"a"`); p.raw(frame.AppendClose(nil, 1012, "")); p.drain() }, "closed the connection with 1012\n"},
		{"forbidden", nil, func(p *peer) {
			p.next()
			p.send(`{"type":"error","id":1,"code":"forbidden","message":"a is not public"}`)
			p.drain()
		}, "c100k: forbidden: a is not public\n"},
		{"another protocol", nil, func(p *peer) { p.next(); p.send("hello"); p.drain() }, "speaks another protocol than c100k.v1"},
		{"no WebSocket", []string{"--no-reconnect"}, func(p *peer) { p.next(); p.raw([]byte{0xff, 0xff}); p.drain() }, "sent what is no WebSocket"},
		{"lost before it began", nil, func(*peer) {}, "c100k: "},
	} {
		p := newProgram(append([]string{"sub", "a", "--url", serveScripts(t, test.script)}, test.args...)...)
		code, out, errs := p.exec(t)
		if code != 1 || out != "" || !strings.Contains(errs, test.want) {
			t.Errorf("%s: exit code %d, want 1 and %q: %s%s", test.name, code, test.want, out, errs)
		}
	}
}

func TestSubInterrupted(t *testing.T) {
	closed := make(chan frame.Message, 1)
	p := newProgram("sub", "a", "--url", serveScripts(t, func(c *peer) {
		c.accept(`"a"`)
		c.send(message("a", `"data":"one"`))
		m, _ := c.next()
		m.Payload = append([]byte{}, m.Payload...)
		closed <- m
	}))
	code := p.start(t)
	p.out.await(t, "one\n")
	p.signal <- syscall.SIGINT
	if got := <-code; got != 0 {
		t.Errorf("exit code %d: %s", got, p.err)
	}
	if m := <-closed; m.Op != frame.OpClose || string(m.Payload) != "\x03\xe8" {
		t.Errorf("the node saw %v %q, want a close with 1000", m.Op, m.Payload)
	}
}

func TestSubRefused(t *testing.T) {
	status, kind, body := 0, "", ""
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
		io.WriteString(w, body)
	}))
	defer node.Close()
	for _, test := range []struct {
		status     int
		kind, body string
		want       string
	}{
		{403, "text/plain", "origin not allowed\n", "c100k: origin not allowed (HTTP 403)\n"},
		{503, "application/problem+json", `{"title":"Full","detail":"100 connections are open"}`, "c100k: Full: 100 connections are open (HTTP 503)\n"},
		{404, "text/html", "<h1>no</h1>", "c100k: the server answers HTTP 404 Not Found\n"},
		{200, "text/plain", "", "c100k: the server answers HTTP 200 OK\n"},
	} {
		status, kind, body = test.status, test.kind, test.body
		code, _, errs := newProgram("sub", "a", "--url", "ws"+strings.TrimPrefix(node.URL, "http")).exec(t)
		if code != 1 || errs != test.want {
			t.Errorf("%d: exit code %d, want 1 and %q: %s", test.status, code, test.want, errs)
		}
	}
	url := "ws" + strings.TrimPrefix(node.URL, "http")
	node.Close()
	if code, _, errs := newProgram("sub", "a", "--url", url).exec(t); code != 1 || !strings.Contains(errs, "nobody listens at "+url) {
		t.Errorf("exit code %d: %s", code, errs)
	}
}

func TestSubNeedsSubprotocol(t *testing.T) {
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		socket, _, _, err := ws.UpgradeHTTP(r, w)
		if err == nil {
			socket.Close()
		}
	}))
	defer node.Close()
	code, _, errs := newProgram("sub", "a", "--url", "ws"+strings.TrimPrefix(node.URL, "http")+"/echo").exec(t)
	if code != 1 || !strings.Contains(errs, "does not speak c100k.v1: is its path the one for topics, /ws?") {
		t.Errorf("exit code %d: %s", code, errs)
	}
}
