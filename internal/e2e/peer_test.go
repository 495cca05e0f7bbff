// A peer: one TCP connection to a node, which speaks HTTP by hand and WebSocket through gobwas/ws.

package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// peer is a connection; all input is read through in. Each read and each write has patience: a test
// may take longer, where something goes on.
type peer struct {
	net.Conn
	t  *testing.T
	in *bufio.Reader
}

// Read implements io.Reader.
func (p *peer) Read(b []byte) (int, error) {
	if err := p.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return 0, err
	}
	return p.Conn.Read(b)
}

// Write implements io.Writer.
func (p *peer) Write(b []byte) (int, error) {
	if err := p.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		return 0, err
	}
	return p.Conn.Write(b)
}

// dial connects to an address. The connection is closed at the end of the test.
func dial(t *testing.T, address string) *peer {
	t.Helper()
	p, err := tryDial(address)
	if err != nil {
		t.Fatal(err)
	}
	p.t = t
	t.Cleanup(func() { p.Close() })
	return p
}

func tryDial(address string) (*peer, error) {
	c, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		return nil, err
	}
	return newPeer(nil, c), nil
}

// newPeer makes a peer of a connection that the caller closes.
func newPeer(t *testing.T, c net.Conn) *peer {
	p := &peer{Conn: c, t: t}
	p.in = bufio.NewReader(p)
	return p
}

// CloseWrite sends a FIN.
func (p *peer) CloseWrite() {
	if c, ok := p.Conn.(*net.TCPConn); ok {
		_ = c.CloseWrite() // fails only where the connection is gone already
	}
}

// handshakeKey and handshakeAccept are those of RFC 6455, 1.3.
const (
	handshakeKey    = "dGhlIHNhbXBsZSBub25jZQ=="
	handshakeAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)

// upgradeRequest is a WebSocket handshake; each extra is a whole header line.
func upgradeRequest(path string, extra ...string) string {
	lines := append([]string{"GET " + path + " HTTP/1.1", "Host: node.test", "Connection: Upgrade", "Upgrade: websocket",
		"Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: " + handshakeKey}, extra...)
	return strings.Join(lines, "\r\n") + "\r\n\r\n"
}

// upgrade connects to a node and shakes hands.
func (n *node) upgrade(t *testing.T, path string, extra ...string) *peer {
	t.Helper()
	p := dial(t, n.public)
	if err := p.shakeHands(path, extra...); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return p
}

func (p *peer) shakeHands(path string, extra ...string) error {
	if _, err := p.Write([]byte(upgradeRequest(path, extra...))); err != nil {
		return err
	}
	return p.switched()
}

// switched reads the answer to a handshake, which must be 101.
func (p *peer) switched() error {
	r, err := p.answer("GET")
	switch {
	case err != nil:
		return err
	case r.StatusCode != http.StatusSwitchingProtocols:
		body, _ := io.ReadAll(r.Body)
		return fmt.Errorf("handshake: %s: %s", r.Status, body)
	case r.Header.Get("Sec-WebSocket-Accept") != handshakeAccept:
		return fmt.Errorf("handshake: accept is %q", r.Header.Get("Sec-WebSocket-Accept"))
	}
	return nil
}

// send writes bytes as they are.
func (p *peer) send(s string) {
	p.t.Helper()
	if _, err := io.WriteString(p, s); err != nil {
		p.t.Fatalf("write: %v", err)
	}
}

// answer reads one HTTP response; its body is to be read by the caller.
func (p *peer) answer(method string) (*http.Response, error) {
	return http.ReadResponse(p.in, &http.Request{Method: method})
}

// expectAnswer reads one HTTP response with its body.
func (p *peer) expectAnswer(status int) (http.Header, string) {
	p.t.Helper()
	r, err := p.answer("GET")
	if err != nil {
		p.t.Fatalf("want an answer %d, got: %v", status, err)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		p.t.Fatalf("the body of %s: %v", r.Status, err)
	}
	if r.StatusCode != status {
		p.t.Fatalf("got %s (%s), want %d", r.Status, strings.TrimSpace(string(body)), status)
	}
	return r.Header, string(body)
}

// expectEnd expects the connection to end without a further byte or a reset, and closes it.
func (p *peer) expectEnd() {
	p.t.Helper()
	rest, err := io.ReadAll(p.in)
	if err != nil || len(rest) > 0 {
		p.t.Fatalf("want the end of the connection, got %q, %v", rest, err)
	}
	p.Close()
}

// expectRefusal expects one answer with a readable reason, and then the end of the connection.
func (p *peer) expectRefusal(status int) (http.Header, string) {
	p.t.Helper()
	header, body := p.expectAnswer(status)
	if !strings.HasPrefix(header.Get("Content-Type"), "text/plain") || len(strings.TrimSpace(body)) < 10 || !strings.HasSuffix(body, "\n") {
		p.t.Errorf("%d without a reason: %v %q", status, header, body)
	}
	p.expectEnd()
	return header, body
}

// frame writes one masked frame.
func (p *peer) frame(fin bool, op ws.OpCode, payload []byte) {
	p.t.Helper()
	if err := p.tryFrame(fin, op, payload); err != nil {
		p.t.Fatalf("write: %v", err)
	}
}

func (p *peer) tryFrame(fin bool, op ws.OpCode, payload []byte) error {
	// RFC 6455, 5.3 asks clients for a new mask for every frame; for these tests any mask but zero is
	// enough.
	f := ws.MaskFrameWith(ws.NewFrame(op, fin, append([]byte(nil), payload...)), [4]byte{1, 2, 3, 4})
	return ws.WriteFrame(p, f)
}

func (p *peer) text(s string) { p.t.Helper(); p.frame(true, ws.OpText, []byte(s)) }

// next reads one frame.
func (p *peer) next() (ws.Frame, error) { return readFrame(p.in) }

// frameBytesMax bounds the payload of a frame that a test reads, in bytes: a broken length must not
// fill the memory.
const frameBytesMax = 16 << 20

func readFrame(r io.Reader) (f ws.Frame, err error) {
	if f.Header, err = ws.ReadHeader(r); err != nil {
		return f, err
	}
	if f.Header.Length > frameBytesMax {
		return f, fmt.Errorf("a frame of %d bytes", f.Header.Length)
	}
	f.Payload = make([]byte, f.Header.Length)
	_, err = io.ReadFull(r, f.Payload)
	return f, err
}

// expectFrame reads one frame and compares it.
func (p *peer) expectFrame(op ws.OpCode, payload string) {
	p.t.Helper()
	f, err := p.next()
	if err != nil {
		p.t.Fatalf("want frame %v %.80q, got: %v", op, payload, err)
	}
	if f.Header.OpCode != op || string(f.Payload) != payload || !f.Header.Fin || f.Header.Masked || f.Header.Rsv != 0 {
		p.t.Fatalf("got frame %+v %.80q, want %v %.80q", f.Header, f.Payload, op, payload)
	}
}

func (p *peer) expectText(s string) { p.t.Helper(); p.expectFrame(ws.OpText, s) }

// expectClose reads frames up to a close frame, answers it, and checks its code.
func (p *peer) expectClose(code ws.StatusCode) (reason string) {
	p.t.Helper()
	got, reason, err := p.closeFrame()
	if err != nil {
		p.t.Fatalf("want close %d, got: %v", code, err)
	}
	if got != code {
		p.t.Fatalf("close %d %q, want %d", got, reason, code)
	}
	return reason
}

// closeFrame skips to the close frame and answers it.
func (p *peer) closeFrame() (ws.StatusCode, string, error) {
	for {
		f, err := p.next()
		if err != nil {
			return 0, "", err
		}
		if f.Header.OpCode != ws.OpClose {
			continue
		}
		code, reason := ws.StatusNoStatusRcvd, ""
		if len(f.Payload) > 0 {
			code, reason = ws.ParseCloseFrameData(f.Payload)
		}
		// The node may be gone already; its frame is what counts.
		_ = p.tryFrame(true, ws.OpClose, f.Payload)
		return code, reason, nil
	}
}

// reset closes with a RST.
func (p *peer) reset() {
	if c, ok := p.Conn.(*net.TCPConn); ok {
		_ = c.SetLinger(0) // without it the peer sees a FIN, and the test proves nothing; it shows in the counts
	}
	p.Close()
}

// echo proves that a connection to /echo works.
func (p *peer) echo(s string) {
	p.t.Helper()
	p.text(s)
	p.expectText(s)
}
