// The client: frames as they are written down, valid or not.

package autobahn

import (
	"bufio"
	"bytes"
	"compress/flate"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Opcodes: RFC 6455, 5.2.
const (
	opContinuation = 0
	opText         = 1
	opBinary       = 2
	opClose        = 8
	opPing         = 9
	opPong         = 10
)

// client is one connection to the server.
type client struct {
	conn net.Conn
	in   *bufio.Reader

	extension string // permessage-deflate as the server has answered; empty: not negotiated
	deflate   *flate.Writer
	packed    bytes.Buffer
	inflate   io.Reader
}

// dial connects, and offers extensions.
func dial(ctx context.Context, target, extensions string) (*client, error) {
	u, err := url.Parse(target)
	if err != nil {
		return nil, err
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return nil, err
	}
	if at, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(at); err != nil {
			conn.Close()
			return nil, err
		}
	}
	c := &client{conn: conn, in: bufio.NewReaderSize(conn, 64<<10)}
	if err := c.shake(u, extensions); err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

func (c *client) shake(u *url.URL, extensions string) error {
	head := "GET " + u.RequestURI() + " HTTP/1.1\r\nHost: " + u.Host + "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	if extensions != "" {
		head += "Sec-WebSocket-Extensions: " + extensions + "\r\n"
	}
	if _, err := io.WriteString(c.conn, head+"\r\n"); err != nil {
		return err
	}
	answer, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return err
	}
	// RFC 6455, 1.3: the answer to this key.
	if accept := answer.Header.Get("Sec-WebSocket-Accept"); answer.StatusCode != http.StatusSwitchingProtocols || accept != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		return fmt.Errorf("the handshake is answered %s, accept %q", answer.Status, accept)
	}
	c.extension = answer.Header.Get("Sec-WebSocket-Extensions")
	switch {
	case c.extension != "" && extensions == "":
		return fmt.Errorf("extension %q was not offered", c.extension)
	case strings.Contains(c.extension, "client_max_window_bits"):
		return fmt.Errorf("extension %q has a window that this client cannot keep to", c.extension)
	}
	return nil
}

// frame is one frame.
type frame struct {
	fin     bool
	rsv     byte // RSV1 is 4, RSV2 is 2, RSV3 is 1
	op      byte
	payload []byte
}

// mask is the masking key of all frames that the client sends.
var mask = [4]byte{0x37, 0xfa, 0x21, 0x3d}

// bytes is the frame as a client writes it, whether or not it is valid.
func (f frame) bytes() []byte {
	first := f.rsv<<4 | f.op
	if f.fin {
		first |= 0x80
	}
	b := []byte{first}
	switch n := len(f.payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	b = append(b, mask[:]...)
	for i, p := range f.payload {
		b = append(b, p^mask[i%4])
	}
	return b
}

// send writes frames, all in pieces of chop bytes; 0 writes each frame at once.
func (c *client) send(chop int, frames ...frame) error {
	for _, f := range frames {
		if err := c.write(chop, f.bytes()); err != nil {
			return err
		}
	}
	return nil
}

func (c *client) write(chop int, b []byte) error {
	if chop == 0 {
		chop = max(len(b), 1)
	}
	for len(b) > 0 {
		n := min(chop, len(b))
		if _, err := c.conn.Write(b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// receive reads one frame.
func (c *client) receive() (f frame, err error) {
	var head [2]byte
	if _, err := io.ReadFull(c.in, head[:]); err != nil {
		return f, err
	}
	f.fin, f.rsv, f.op = head[0]&0x80 != 0, head[0]>>4&7, head[0]&0x0f
	if head[1]&0x80 != 0 {
		return f, errors.New("a frame of the server is masked: RFC 6455, 5.1")
	}
	n := uint64(head[1])
	switch n {
	case 126:
		var long [2]byte
		_, err = io.ReadFull(c.in, long[:])
		n = uint64(binary.BigEndian.Uint16(long[:]))
	case 127:
		var long [8]byte
		_, err = io.ReadFull(c.in, long[:])
		n = binary.BigEndian.Uint64(long[:])
	}
	if err != nil {
		return f, err
	}
	if n > receivedMax {
		return f, fmt.Errorf("a frame of %d bytes", n)
	}
	f.payload = make([]byte, n)
	_, err = io.ReadFull(c.in, f.payload)
	return f, err
}

// receivedMax bounds what the server may send at once, in bytes: no case has a larger message.
const receivedMax = 32 << 20

// message reads frames until a message, a control frame or the end is complete.
func (c *client) message() (m frame, err error) {
	for begun := false; ; begun = true {
		f, err := c.receive()
		if err != nil {
			return f, err
		}
		switch {
		case f.op >= opClose:
			return f, nil
		case begun != (f.op == opContinuation):
			return f, fmt.Errorf("opcode %d, where the message before is complete: %v", f.op, !begun)
		case !begun:
			m = f
		default:
			m.payload = append(m.payload, f.payload...)
		}
		if f.fin {
			break
		}
	}
	switch {
	case m.rsv == 4 && c.extension != "":
		m.rsv = 0
		m.payload, err = c.inflated(m.payload)
	case m.rsv != 0:
		err = fmt.Errorf("a frame with the reserved bits %03b", m.rsv)
	}
	return m, err
}

// deflateTail is what RFC 7692, 7.2.1, takes off, and an empty last block behind it.
const deflateTail = "\x00\x00\xff\xff\x01\x00\x00\xff\xff"

// inflated inflates a message. The server keeps no context: it answers so.
func (c *client) inflated(p []byte) ([]byte, error) {
	in := io.MultiReader(bytes.NewReader(p), strings.NewReader(deflateTail))
	if c.inflate == nil {
		c.inflate = flate.NewReader(in)
	} else if err := c.inflate.(flate.Resetter).Reset(in, nil); err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(c.inflate, receivedMax))
}

// deflated compresses a message, without context.
func (c *client) deflated(p []byte) ([]byte, error) {
	c.packed.Reset()
	if c.deflate == nil {
		w, err := flate.NewWriter(&c.packed, flate.DefaultCompression)
		if err != nil {
			return nil, err
		}
		c.deflate = w
	} else {
		c.deflate.Reset(&c.packed)
	}
	if _, err := c.deflate.Write(p); err != nil {
		return nil, err
	}
	if err := c.deflate.Flush(); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(c.packed.Bytes(), []byte(deflateTail[:4])), nil
}

// expect reads a message or control frame, which must be this one.
func (c *client) expect(op byte, payload []byte) error {
	m, err := c.message()
	switch {
	case err != nil:
		return fmt.Errorf("where opcode %d is due: %w", op, err)
	case m.op != op || !bytes.Equal(m.payload, payload):
		return fmt.Errorf("got opcode %d and %q, want %d and %q", m.op, clipped(m.payload), op, clipped(payload))
	}
	return nil
}

// ends reads a close frame with this code (0: none), answers it, and reads the end.
func (c *client) ends(code uint16) error {
	m, err := c.message()
	switch got := closeCode(m.payload); {
	case err != nil:
		return fmt.Errorf("where the close frame is due: %w", err)
	case m.op != opClose:
		return fmt.Errorf("got opcode %d and %q, want a close frame with %d", m.op, clipped(m.payload), code)
	case got != code:
		return fmt.Errorf("closed with %d, want %d", got, code)
	}
	_ = c.send(0, closing(1000, "")) // the server may have gone already
	return c.end()
}

// end reads the end of the connection: RFC 6455, 7.1.1, the server ends it first.
func (c *client) end() error {
	b, err := c.in.ReadByte()
	var timeout net.Error
	switch {
	case err == nil:
		return fmt.Errorf("byte %#x behind the close frame", b)
	case errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("the server does not end the connection: %w", err)
	}
	return nil // an end, or a reset by what was sent behind it
}

// finish closes the connection from this side.
func (c *client) finish() error {
	if err := c.send(0, closing(1000, "")); err != nil {
		return err
	}
	return c.ends(1000)
}

func (c *client) close() {
	_ = c.conn.SetDeadline(time.Unix(1, 0)) // nothing is waited for
	c.conn.Close()
}

// closing is a close frame with a code.
func closing(code uint16, reason string) frame {
	return frame{fin: true, op: opClose, payload: append(binary.BigEndian.AppendUint16(nil, code), reason...)}
}

// closeCode is the code of a close frame, 0 if it has none.
func closeCode(payload []byte) uint16 {
	if len(payload) < 2 {
		return 0
	}
	return binary.BigEndian.Uint16(payload)
}

// clipped is the beginning of a payload, for messages.
func clipped(p []byte) []byte { return p[:min(len(p), 60)] }
