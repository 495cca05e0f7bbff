// A client, for tests and tools: one goroutine reads, any write.

package websocket

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"

	"c100k/frame"
	"c100k/internal/wsconn"

	"github.com/gobwas/httphead"
	"github.com/gobwas/ws"
)

// DialOptions configure Dial. The zero value is a working one.
type DialOptions struct {
	// Header has further fields of the request, such as Cookie, Authorization or Origin.
	Header http.Header

	// Subprotocols are offered to the server, the preferred one first.
	Subprotocols []string

	// TLS is for wss: URLs. Nil: the system's certificates.
	TLS *tls.Config

	// Compress offers permessage-deflate without context takeover.
	Compress bool

	// MaxMessage bounds a message from the server, in bytes after inflating; beyond it the connection
	// is closed with 1009. Default 64 KiB.
	MaxMessage int
}

// Client is a connection to a server. One goroutine at a time may call Read; the other methods may
// be called on any goroutine. It is made for tests and tools: it has a goroutine's stack and
// buffers of its own.
type Client struct {
	socket      net.Conn
	subprotocol string
	deflate     bool
	options     frame.Options

	// owned by the goroutine that reads
	reader frame.Reader
	buffer []byte
	rest   []byte // of the buffer, not yet parsed

	mu     sync.Mutex // guards the fields below
	frame  []byte
	closed bool // a close frame was sent
}

// CloseError is what Read returns where the server has sent a close frame.
type CloseError struct {
	Code   int // 1005 if it had none
	Reason string
}

// Error returns the code and the reason.
func (e *CloseError) Error() string {
	if e.Reason == "" {
		return fmt.Sprintf("websocket: closed with %d", e.Code)
	}
	return fmt.Sprintf("websocket: closed with %d: %s", e.Code, e.Reason)
}

// RefusedError is what Dial returns where the server answers with another status than 101.
type RefusedError struct {
	Status int
	Header http.Header
	Body   []byte // the first 4 KiB
}

// Error returns the status and the first line of the body.
func (e *RefusedError) Error() string {
	line, _, _ := bytes.Cut(e.Body, []byte("\n"))
	return fmt.Sprintf("websocket: the server answers %d %s: %s", e.Status, http.StatusText(e.Status), line)
}

// refusedBodyMax bounds what is kept of the body of a refusal, in bytes.
const refusedBodyMax = 4 << 10

// Dial connects to a ws: or wss: URL. ctx bounds the connecting and the handshake.
func Dial(ctx context.Context, url string, o *DialOptions) (*Client, error) {
	if o == nil {
		o = &DialOptions{}
	}
	var refused *RefusedError
	d := ws.Dialer{
		Protocols: o.Subprotocols, Header: ws.HandshakeHeaderHTTP(o.Header), TLSConfig: o.TLS,
		OnStatusError: func(status int, _ []byte, answer io.Reader) { refused = readRefusal(status, answer) },
	}
	if o.Compress {
		d.Extensions = []httphead.Option{httphead.NewOption("permessage-deflate", map[string]string{
			"client_no_context_takeover": "", "server_no_context_takeover": "",
		})}
	}
	socket, early, shake, err := d.Dial(ctx, url)
	switch {
	case refused != nil:
		return nil, refused
	case err != nil:
		return nil, fmt.Errorf("websocket: %w", err)
	}
	c := &Client{
		socket: socket, subprotocol: shake.Protocol, deflate: len(shake.Extensions) > 0, buffer: make([]byte, clientReadBytes),
		options: frame.Options{Client: true, MessageBytesMax: o.MaxMessage, Deflate: len(shake.Extensions) > 0},
	}
	if early != nil { // frames that came with the answer
		c.rest = make([]byte, early.Buffered())
		_, err := io.ReadFull(early, c.rest)
		ws.PutReader(early)
		if err != nil {
			socket.Close()
			return nil, err
		}
	}
	return c, nil
}

// clientReadBytes is how much a client reads at once.
const clientReadBytes = 16 << 10

func readRefusal(status int, answer io.Reader) *RefusedError {
	refused := &RefusedError{Status: status}
	if r, err := http.ReadResponse(bufio.NewReader(answer), nil); err == nil {
		refused.Header = r.Header
		refused.Body, _ = io.ReadAll(io.LimitReader(r.Body, refusedBodyMax)) // as much of it as there is
		r.Body.Close()
	}
	return refused
}

// Subprotocol returns the subprotocol that the server has chosen, "" if none.
func (c *Client) Subprotocol() string { return c.subprotocol }

// Compressed tells whether compression was negotiated.
func (c *Client) Compressed() bool { return c.deflate }

// Read returns the next message, whose data is the caller's. It answers pings and the server's
// close frame; then the error is a *CloseError. A connection that ends without one is
// io.ErrUnexpectedEOF. When ctx ends, so does the connection.
func (c *Client) Read(ctx context.Context) (Message, error) {
	stop := context.AfterFunc(ctx, func() { _ = c.socket.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	for {
		m, rest, err := c.reader.Next(&c.options, c.rest)
		c.rest = rest
		if err != nil {
			return Message{}, c.broken(err)
		}
		if !m.Complete {
			if err := c.fill(ctx); err != nil {
				return Message{}, err
			}
			continue
		}
		switch m.Op {
		case frame.OpText, frame.OpBinary:
			kind := Text
			if m.Op == frame.OpBinary {
				kind = Binary
			}
			if !m.Owned {
				m.Payload = bytes.Clone(m.Payload)
			}
			return Message{Kind: kind, Data: m.Payload}, nil
		case frame.OpPing:
			if err := c.write(ctx, frame.OpPong, m.Payload); err != nil {
				return Message{}, err
			}
		case frame.OpClose:
			return Message{}, c.ended(ctx, m.Payload)
		}
	}
}

func (c *Client) fill(ctx context.Context) error {
	n, err := c.socket.Read(c.buffer)
	c.rest = c.buffer[:n]
	switch {
	case n > 0:
		return nil
	case ctx.Err() != nil:
		c.socket.Close()
		return ctx.Err()
	case errors.Is(err, io.EOF):
		return io.ErrUnexpectedEOF // RFC 6455, 7.1.5: 1006
	}
	return err
}

// broken ends a connection whose server has sent what is no WebSocket.
func (c *Client) broken(err error) error {
	var bad *frame.Error
	if errors.As(err, &bad) {
		_ = c.Close(int(bad.Code), bad.Reason) // the error that matters is err
	}
	return fmt.Errorf("websocket: the server broke the protocol: %w", err)
}

// ended answers the server's close frame.
func (c *Client) ended(ctx context.Context, payload []byte) error {
	code, reason, err := frame.ParseClose(payload)
	if err != nil {
		return c.broken(err)
	}
	_ = c.write(ctx, frame.OpClose, frame.AppendCloseBody(nil, code, "")) // the server may have gone already
	c.socket.Close()
	return &CloseError{int(code), reason}
}

// Write sends a message. When ctx ends before it is written, so does the connection.
func (c *Client) Write(ctx context.Context, m Message) error {
	if !c.deflate || m.NoCompress || len(m.Data) < wsconn.DeflateBytesMin {
		return c.write(ctx, m.Kind.op(), m.Data)
	}
	return c.send(ctx, func(dst []byte) []byte {
		packed := frame.AppendCompressed(nil, m.Data, frame.WindowFull)
		if len(packed) >= len(m.Data) {
			return frame.AppendMasked(dst, m.Kind.op(), true, mask(), m.Data)
		}
		at := len(dst)
		dst = frame.AppendMasked(dst, m.Kind.op(), true, mask(), packed)
		dst[at] |= 0x40 // RFC 7692, 6: RSV1 marks a compressed message
		return dst
	})
}

// Ping sends a ping with at most 125 bytes of data.
func (c *Client) Ping(ctx context.Context, data []byte) error {
	if len(data) > frame.ControlBytesMax {
		return fmt.Errorf("websocket: a ping has at most %d bytes", frame.ControlBytesMax)
	}
	return c.write(ctx, frame.OpPing, data)
}

// closeWait bounds how long Close waits for the server's close frame.
const closeWait = 5 * time.Second

// Close sends a close frame and ends the connection. Code 0 sends a frame without a code. It does
// not wait for the server's answer: Read returns that.
func (c *Client) Close(code int, reason string) error {
	ctx, cancel := context.WithTimeout(context.Background(), closeWait)
	defer cancel()
	err := c.write(ctx, frame.OpClose, frame.AppendCloseBody(nil, closeCode(code), reason))
	_ = c.socket.SetReadDeadline(time.Now().Add(closeWait)) // for a Read that waits for the answer
	return err
}

// Terminate cuts the connection.
func (c *Client) Terminate() error { return c.socket.Close() }

func (c *Client) write(ctx context.Context, op frame.OpCode, p []byte) error {
	return c.send(ctx, func(dst []byte) []byte { return frame.AppendMasked(dst, op, true, mask(), p) })
}

func (c *Client) send(ctx context.Context, encode func(dst []byte) []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return ErrClosed
	}
	c.frame = encode(c.frame[:0])
	c.closed = c.frame[0]&0x0f == byte(frame.OpClose)
	if err := c.socket.SetWriteDeadline(time.Time{}); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = c.socket.SetWriteDeadline(time.Unix(1, 0)) })
	defer stop()
	_, err := c.socket.Write(c.frame)
	if err != nil && ctx.Err() != nil {
		c.socket.Close() // a part of the frame may be out
		return ctx.Err()
	}
	return err
}

// mask makes the mask of a frame. RFC 6455, 5.3: it cannot be guessed; rand/v2 is seeded by the
// system and unpredictable.
func mask() (m [4]byte) {
	binary.LittleEndian.PutUint32(m[:], rand.Uint32())
	return m
}
