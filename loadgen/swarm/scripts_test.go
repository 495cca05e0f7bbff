// Servers that play a script: Socket.IO, event streams of net/http, and violations of the
// protocols.

package swarm_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"c100k/frame"
	"c100k/loadgen/swarm"
)

// script serves each connection on a goroutine, which closes it when it returns.
func script(t *testing.T, play func(net.Conn)) (addr string) {
	t.Helper()
	ln := listen(t, "127.0.0.1:0")
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(30 * time.Second))
				play(c)
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		wg.Wait()
	})
	return ln.Addr().String()
}

// upgraded makes a script that begins behind the handshake.
func upgraded(play func(net.Conn)) func(net.Conn) {
	return func(c net.Conn) {
		u := ws.Upgrader{Protocol: func(p []byte) bool { return string(p) == string(swarm.V1) }}
		if _, err := u.Upgrade(c); err == nil {
			play(c)
		}
	}
}

// text sends one text frame.
func text(c net.Conn, s string) { _ = wsutil.WriteServerText(c, []byte(s)) }

// expect reads one message or control frame of the client, which may be any of those wanted.
func expect(t *testing.T, c net.Conn, want ...string) {
	got, _, err := wsutil.ReadClientData(c)
	for _, w := range want {
		if string(got) == w {
			return
		}
	}
	t.Errorf("the client sent %q (%v), want %q", got, err, want)
}

// control reads one control frame of the client.
func control(c net.Conn) (op ws.OpCode, payload string) {
	h, err := ws.ReadHeader(c)
	if err != nil || h.Length > frame.ControlBytesMax {
		return 0, fmt.Sprint(h, err)
	}
	p := make([]byte, h.Length)
	if _, err := io.ReadFull(c, p); err != nil {
		return 0, err.Error()
	}
	ws.Cipher(p, h.Mask, 0)
	return h.OpCode, string(p)
}

// gone waits for the client to close.
func gone(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

func token(seq uint64) string {
	return string(swarm.AppendMessage(nil, swarm.Token{Run: testRun, Seq: seq, Sent: swarm.Clock()}, swarm.TokenBytes))
}

func TestSocketIO(t *testing.T) {
	path := make(chan string, 2)
	said := make(chan string, 2)
	addr := script(t, func(c net.Conn) {
		u := ws.Upgrader{OnRequest: func(uri []byte) error { path <- string(uri); return nil }}
		if _, err := u.Upgrade(c); err != nil {
			t.Error(err)
			return
		}
		text(c, `0{"sid":"abc","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}`)
		expect(t, c, "40")
		text(c, `40{"sid":"def"}`)
		join, _, _ := wsutil.ReadClientData(c)
		said <- string(join)
		text(c, `42["message","`+token(0)+`"]`)
		text(c, `2`)
		expect(t, c, "3")
		text(c, `6`)
		text(c, `42/other,["message","`+token(9)+`"]`)
		text(c, `42["welcome",{"n":1}]`)
		text(c, `4217["message","`+token(1)+`"]`)
		text(c, `451-["message",{"_placeholder":true,"num":0}]`)
		_ = wsutil.WriteServerBinary(c, []byte(token(2)))
		text(c, `450-["message","`+token(3)+`"]`)
		text(c, `430[]`)
		gone(c)
	})
	r := begin(t, addr, swarm.Spec{URL: "ws://HOST", Protocol: swarm.SocketIO, Mode: swarm.Subscribe, Conns: 2, Topics: []string{`r"1`}, Join: `["join",{"room":"{topic}","n":"{i}"}]`})
	r.until("all have come", func(s swarm.Sample) bool { return s.Received == 8 && s.Foreign == 6 })
	s := r.settle(4)
	r.end()
	if s.Expected != 8 || s.Missing > 0 || len(s.Lost) > 0 {
		t.Errorf("%+v", s)
	}
	if p := <-path; p != "/socket.io/?EIO=4&transport=websocket" {
		t.Errorf("asked for %s", p)
	}
	if a, b := <-said, <-said; min(a, b) != `42["join",{"room":"r\"1","n":"0"}]` || max(a, b) != `42["join",{"room":"r\"1","n":"1"}]` {
		t.Errorf("joined by %s and %s", a, b)
	}
}

// TestSocketIOEcho: events come back as they were sent, in text and as attachments.
func TestSocketIOEcho(t *testing.T) {
	addr := script(t, upgraded(func(c net.Conn) {
		text(c, `0{"sid":"abc"}`)
		expect(t, c, "40")
		text(c, `40{"sid":"def"}`)
		for {
			p, op, err := wsutil.ReadClientData(c)
			if err != nil {
				return
			}
			_ = wsutil.WriteServerMessage(c, op, p)
		}
	}))
	for _, binary := range []bool{false, true} {
		r := begin(t, addr, swarm.Spec{URL: "ws://HOST/socket.io/?EIO=4&transport=websocket", Protocol: swarm.SocketIO, Mode: swarm.Echo, Conns: 3, InFlight: 2, Binary: binary, Size: 99})
		r.open(3)
		r.begin(swarm.Begin{})
		r.until("some came back", func(s swarm.Sample) bool { return s.Received > 500 })
		if s := r.settle(); s.Missing+s.Corrupted+s.Foreign+s.Duplicated > 0 {
			t.Errorf("%+v", s)
		}
		r.end()
	}
}

// TestEchoTwice: a server that sends everything twice causes duplicates, and no more messages in
// flight than the closed loop allows.
func TestEchoTwice(t *testing.T) {
	addr := script(t, upgraded(func(c net.Conn) {
		for {
			p, op, err := wsutil.ReadClientData(c)
			if err != nil {
				return
			}
			_ = wsutil.WriteServerMessage(c, op, p)
			_ = wsutil.WriteServerMessage(c, op, p)
		}
	}))
	r := begin(t, addr, swarm.Spec{URL: "ws://HOST/echo", Mode: swarm.Echo, Conns: 1, InFlight: 2, Size: 99})
	r.open(1)
	r.begin(swarm.Begin{})
	s := r.until("some came back", func(s swarm.Sample) bool { return s.Received > 200 })
	if heard := s.Received - s.Duplicated; s.Sent > heard+2 {
		t.Errorf("%d sent, %d of them back: want at most two on their way", s.Sent, heard)
	}
	r.end()
}

// TestSocketIOAck: the answer to an event is an acknowledgement with its number.
func TestSocketIOAck(t *testing.T) {
	addr := script(t, upgraded(func(c net.Conn) {
		text(c, `0{"sid":"abc"}`)
		expect(t, c, "40")
		text(c, `40{"sid":"def"}`)
		for seq := 0; ; seq++ {
			p, _, err := wsutil.ReadClientData(c)
			if err != nil {
				return
			}
			argument, asked := strings.CutPrefix(string(p), fmt.Sprintf(`42%d["say \"it\"",`, seq))
			if !asked {
				t.Errorf("event %d: %q", seq, p)
				return
			}
			text(c, fmt.Sprintf("43%d[%s", seq, argument))
		}
	}))
	r := begin(t, addr, swarm.Spec{URL: "ws://HOST", Protocol: swarm.SocketIO, Mode: swarm.Echo, Event: `say "it"`, Conns: 3, InFlight: 2})
	r.open(3)
	r.begin(swarm.Begin{})
	r.until("some came back", func(s swarm.Sample) bool { return s.Received > 500 })
	if s := r.settle(); s.Missing+s.Corrupted+s.Foreign+s.Duplicated > 0 {
		t.Errorf("%+v", s)
	}
	r.end()
}

// TestEventStreamOfNetHTTP: chunks, comments, events of several lines, and all ends of line.
func TestEventStreamOfNetHTTP(t *testing.T) {
	var served atomic.Int32
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if served.Add(1); r.Header.Get("Accept") != "text/event-stream" || r.URL.Query().Get("room") != "a b" || r.Header.Get("X-Client") != "yes" {
			http.Error(w, "no", http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		flush := http.NewResponseController(w).Flush
		for seq := range uint64(50) {
			end := []string{"\n", "\r\n", "\r"}[seq%3]
			lines := []string{"event: message", "id: 7", "data: " + token(seq), ": a comment", "", "data", "data: not ours", "", "id: only", ""}
			for _, line := range lines {
				fmt.Fprint(w, line, end)
				if seq%5 == 0 {
					_ = flush()
				}
			}
		}
		_ = flush()
		<-r.Context().Done()
	}))
	t.Cleanup(h.Close)
	addr := strings.TrimPrefix(h.URL, "http://")
	r := begin(t, addr, swarm.Spec{URL: "http://HOST/events?room={topic}", Protocol: swarm.SSE, Mode: swarm.Subscribe, Conns: 4, Topics: []string{"a b"}, Header: [][2]string{{"X-Client", "yes"}}})
	r.until("all have come", func(s swarm.Sample) bool { return s.Received == 200 && s.Foreign == 200 })
	s := r.settle(50)
	r.end()
	if s.Missing+s.Reordered+s.Duplicated+s.Corrupted > 0 || len(s.Failed)+len(s.Lost) > 0 || served.Load() != 4 {
		t.Errorf("%+v", s)
	}
}

// answer makes a script that reads the request and answers with a text.
func answer(text string) func(net.Conn) {
	return func(c net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
			_, _ = io.WriteString(c, text)
			gone(c)
		}
	}
}

// patience is the Timeout of a test that waits for another reason. It is short only where the
// timeout itself is tested, because other reasons may come late on a busy machine.
func patience(reason string) time.Duration {
	if reason == "timeout" {
		return 300 * time.Millisecond
	}
	return 10 * time.Second
}

// TestRefusals: each reason that keeps a connection from opening has its own name.
func TestRefusals(t *testing.T) {
	stream := "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
	tests := []struct {
		name     string
		protocol swarm.Protocol
		play     func(net.Conn)
		reason   string
	}{
		{"refusal", swarm.Raw, answer("HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"), "http 503"},
		{"no upgrade", swarm.Raw, answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), "http 200"},
		{"redirect", swarm.SSE, answer("HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n"), "http 302"},
		{"not HTTP", swarm.Raw, answer("SSH-2.0-OpenSSH_9.2\r\n"), "bad answer"},
		{"wrong accept", swarm.Raw, answer("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"), "bad answer"},
		{"endless head", swarm.Raw, answer("HTTP/1.1 101 Switching Protocols\r\nX: " + strings.Repeat("x", 9000)), "bad answer"},
		{"half a head", swarm.Raw, func(c net.Conn) {
			_, _ = http.ReadRequest(bufio.NewReader(c))
			_, _ = io.WriteString(c, "HTTP/1.1 101 Swit")
		}, "eof"},
		{"silence", swarm.Raw, gone, "timeout"},
		{"reset", swarm.Raw, func(c net.Conn) {
			_, _ = http.ReadRequest(bufio.NewReader(c))
			_ = c.(*net.TCPConn).SetLinger(0)
		}, "reset"},
		{"unasked subprotocol", swarm.Raw, func(c net.Conn) {
			u := ws.Upgrader{Header: ws.HandshakeHeaderString("Sec-WebSocket-Protocol: chat\r\n")}
			_, _ = u.Upgrade(c)
			gone(c)
		}, "bad answer"},
		{"unasked extension", swarm.Raw, func(c net.Conn) {
			u := ws.Upgrader{Header: ws.HandshakeHeaderString("Sec-WebSocket-Extensions: permessage-deflate\r\n")}
			_, _ = u.Upgrade(c)
			gone(c)
		}, "bad answer"},
		{"no subprotocol", swarm.V1, func(c net.Conn) {
			_, _ = ws.Upgrade(c)
			gone(c)
		}, "no c100k.v1"},
		{"forbidden", swarm.V1, upgraded(func(c net.Conn) {
			text(c, `{"type":"welcome","conn":"1"}`)
			text(c, `{"type":"error","id":1,"code":"forbidden","message":"no"}`)
			gone(c)
		}), "error forbidden"},
		{"closed before it is open", swarm.V1, upgraded(func(c net.Conn) {
			_ = ws.WriteFrame(c, ws.NewCloseFrame(ws.NewCloseFrameBody(1008, "no")))
			gone(c)
		}), "closed 1008"},
		{"no JSON", swarm.V1, upgraded(func(c net.Conn) {
			text(c, `{"type":"ack","id":1`)
			gone(c)
		}), "bad message"},
		{"no answer", swarm.V1, upgraded(gone), "timeout"},
		{"connect error", swarm.SocketIO, upgraded(func(c net.Conn) {
			text(c, `0{"sid":"abc"}`)
			text(c, `44{"message":"no"}`)
			gone(c)
		}), "connect error"},
		{"no open packet", swarm.SocketIO, upgraded(gone), "timeout"},
		{"no namespace", swarm.SocketIO, upgraded(func(c net.Conn) {
			text(c, `0{"sid":"abc"}`)
			gone(c)
		}), "timeout"},
		{"no Engine.IO", swarm.SocketIO, upgraded(func(c net.Conn) {
			text(c, `hello`)
			gone(c)
		}), "bad packet"},
		{"message before open", swarm.SocketIO, upgraded(func(c net.Conn) {
			text(c, `42["x"]`)
			gone(c)
		}), "bad packet"},
		{"no event stream", swarm.SSE, answer("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n"), "not an event stream"},
		{"other coding", swarm.SSE, answer(stream + "Transfer-Encoding: gzip, chunked\r\n\r\n"), "bad answer"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			addr := script(t, tt.play)
			r := begin(t, addr, swarm.Spec{URL: "ws://HOST/x", Protocol: tt.protocol, Mode: swarm.Subscribe, Conns: 3, Timeout: patience(tt.reason), Topics: []string{"t"}})
			s := r.until("three have failed", func(s swarm.Sample) bool { return totalOf(s.Failed) == 3 })
			if s.Failed[tt.reason] != 3 || s.Opened > 0 || s.Down != 3 || len(s.Lost) > 0 {
				t.Errorf("failed %v, lost %v, want %q", s.Failed, s.Lost, tt.reason)
			}
			r.end()
		})
	}
}

// TestLosses: each reason that ends an open connection has its own name.
func TestLosses(t *testing.T) {
	raw := func(p ...byte) func(net.Conn) {
		return upgraded(func(c net.Conn) {
			_, _ = c.Write(p)
			gone(c)
		})
	}
	packet := func(packets ...string) func(net.Conn) {
		return upgraded(func(c net.Conn) {
			for _, p := range append([]string{`0{"sid":"abc"}`, `40{"sid":"def"}`}, packets...) {
				text(c, p)
			}
			gone(c)
		})
	}
	stream := func(body string) func(net.Conn) {
		return answer("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n" + body)
	}
	tests := []struct {
		name     string
		protocol swarm.Protocol
		play     func(net.Conn)
		reason   string
	}{
		{"restart", swarm.Raw, upgraded(func(c net.Conn) {
			_ = ws.WriteFrame(c, ws.NewCloseFrame(ws.NewCloseFrameBody(1012, "restart")))
			if op, payload := control(c); op != ws.OpClose || payload != "\x03\xf4" {
				t.Errorf("answered by %v %q", op, payload)
			}
		}), "closed 1012"},
		{"close without a code", swarm.Raw, raw(0x88, 0), "closed 1005"},
		{"gone", swarm.Raw, upgraded(func(net.Conn) {}), "eof"},
		{"reset", swarm.Raw, upgraded(func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0) }), "reset"},
		{"masked", swarm.Raw, raw(0x81, 0x81, 1, 2, 3, 4, 5), "bad frame: server frame is masked"},
		{"reserved bit", swarm.Raw, raw(0xc1, 0), "bad frame: reserved bit set"},
		{"reserved opcode", swarm.Raw, raw(0x83, 0), "bad frame: reserved opcode"},
		{"half a code", swarm.Raw, raw(0x88, 1, 3), "bad frame: close frame with half a code"},
		{"not UTF-8", swarm.Raw, raw(0x81, 1, 0xff), "bad frame: text is not UTF-8"},
		{"too big", swarm.Raw, raw(0x82, 127, 0, 0, 0, 0, 0x7f, 0, 0, 0), "bad frame: message too big"},
		{"closed by engine.io", swarm.SocketIO, packet(`1`), "closed by engine.io"},
		{"disconnected", swarm.SocketIO, packet(`41`), "disconnected"},
		{"unknown packet", swarm.SocketIO, packet(`47`), "bad packet"},
		{"too many attachments", swarm.SocketIO, packet(`4511-["x"]`), "bad packet"},
		{"text between attachments", swarm.SocketIO, packet(`451-["x"]`, `2`), "bad packet"},
		{"unexpected binary", swarm.SocketIO, upgraded(func(c net.Conn) {
			text(c, `0{"sid":"abc"}`)
			text(c, `40{"sid":"def"}`)
			_ = wsutil.WriteServerBinary(c, []byte("x"))
			gone(c)
		}), "bad packet"},
		{"empty packet", swarm.SocketIO, packet(``), "bad packet"},
		{"no chunk", swarm.SSE, stream("Transfer-Encoding: chunked\r\n\r\nxyz\r\n"), "bad chunk"},
		{"last chunk", swarm.SSE, stream("Transfer-Encoding: chunked\r\n\r\n6\r\n: hi\r\n\r\n0\r\n\r\n"), "eof"},
		{"length", swarm.SSE, stream("Content-Length: 5\r\n\r\n: hi\n"), "eof"},
		{"endless line", swarm.SSE, stream("\r\ndata: " + strings.Repeat("x", 2*swarm.MessageBytesMax)), "line too long"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			addr := script(t, tt.play)
			r := begin(t, addr, swarm.Spec{URL: "ws://HOST/x", Protocol: tt.protocol, Mode: swarm.Idle, Conns: 3})
			s := r.until("three are lost", func(s swarm.Sample) bool { return totalOf(s.Lost) == 3 })
			if s.Lost[tt.reason] != 3 || s.Opened != 3 || s.Down != 3 || s.Open != 0 || len(s.Failed) > 0 {
				t.Errorf("failed %v, lost %v, want %q", s.Failed, s.Lost, tt.reason)
			}
			r.end()
		})
	}
}

// TestPings: the latest ping of a read is answered, with its payload, between messages in pieces.
func TestPings(t *testing.T) {
	answered := make(chan string, 1)
	addr := script(t, upgraded(func(c net.Conn) {
		message := frame.AppendFrame(nil, frame.OpText, []byte(token(0)))
		p := append(frame.AppendFrame(nil, frame.OpPing, []byte("one")), frame.AppendFrame(nil, frame.OpPing, []byte("two"))...)
		_, _ = c.Write(append(p, message[:10]...))
		for range 2 { // "one" too where the read came in two
			if op, payload := control(c); op != ws.OpPong || payload == "two" {
				answered <- fmt.Sprint(op == ws.OpPong, " ", payload)
				break
			}
		}
		_, _ = c.Write(message[10:])
		gone(c)
	}))
	r := begin(t, addr, swarm.Spec{URL: "ws://HOST/x", Mode: swarm.Subscribe, Conns: 1})
	r.until("the message", func(s swarm.Sample) bool { return s.Received == 1 })
	if got := <-answered; got != "true two" {
		t.Errorf("answered by %s", got)
	}
	r.end()
}

// TestRetries: a refused connection is tried again, not sooner than the server asks.
func TestRetries(t *testing.T) {
	var tries atomic.Int32
	var first, second atomic.Int64
	addr := script(t, func(c net.Conn) {
		switch tries.Add(1) {
		case 1:
			first.Store(int64(swarm.Clock()))
			answer("HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n\r\n")(c)
		case 2:
			second.Store(int64(swarm.Clock()))
			fallthrough
		case 3:
			answer("HTTP/1.1 429 Too Many Requests\r\n\r\n")(c)
		default:
			upgraded(gone)(c)
		}
	})
	r := begin(t, addr, swarm.Spec{URL: "ws://HOST/x", Mode: swarm.Idle, Conns: 1, Reconnect: true})
	s := r.open(1)
	if s.Failed["http 503"] != 1 || s.Failed["http 429"] != 2 || s.Opened != 1 || s.Reconnected != 0 {
		t.Errorf("%+v", s)
	}
	if waited := time.Duration(second.Load() - first.Load()); waited < time.Second {
		t.Errorf("tried again after %v, which is sooner than the server asked for", waited)
	}
	r.end()
}
