// A client's connection that speaks c100k.v1.

package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/gobwas/ws"

	"c100k/frame"
)

const (
	subprotocol = "c100k.v1"
	// dialTimeout bounds connecting and the handshake.
	dialTimeout = 10 * time.Second
	// quietMax is how long a node may be silent before it is asked whether it lives, and again until
	// it is given up.
	quietMax = 30 * time.Second
	// readBytes is how much one read takes at most.
	readBytes = 32 << 10
	// envelopeBytesMax bounds a message with its envelope: the largest payload a node takes, in
	// base64, and its topic.
	envelopeBytesMax = payloadBytesMax/3*4 + 64<<10
)

// conn is one WebSocket connection in the client's role. One goroutine reads and writes; close may
// be called by any.
type conn struct {
	address string
	socket  net.Conn
	reader  frame.Reader
	options frame.Options
	buffer  []byte
	rest    []byte // of the buffer, not yet parsed
	asked   bool   // a ping is out, and nothing has come since
	once    sync.Once
}

// dial connects and shakes hands, with TLS where the address asks for it. A refusal that would be
// repeated is permanent.
func dial(ctx context.Context, address string, secure *tls.Config) (*conn, error) {
	var refused error
	dialer := ws.Dialer{Timeout: dialTimeout, Protocols: []string{subprotocol}, TLSConfig: secure,
		OnStatusError: func(status int, _ []byte, response io.Reader) { refused = handshakeRefusal(status, response) }}
	socket, early, handshake, err := dialer.Dial(ctx, address)
	switch {
	case refused != nil:
		return nil, refused
	case errors.Is(err, syscall.ECONNREFUSED):
		return nil, fmt.Errorf("nobody listens at %s: is c100k serve running, and --url right?", address)
	case err != nil:
		return nil, fmt.Errorf("cannot connect to %s: %w", address, err)
	case handshake.Protocol != subprotocol:
		socket.Close()
		return nil, permanent{fmt.Errorf("%s does not speak %s: is its path the one for topics, /ws?", address, subprotocol)}
	}
	c := &conn{address: address, socket: socket, buffer: make([]byte, readBytes),
		options: frame.Options{Client: true, MessageBytesMax: envelopeBytesMax}}
	if early != nil {
		// What came in one packet with the answer are the first frames.
		n := early.Buffered()
		c.rest = make([]byte, n)
		if _, err := io.ReadFull(early, c.rest); err != nil {
			socket.Close()
			return nil, err
		}
		ws.PutReader(early)
	}
	return c, nil
}

func handshakeRefusal(status int, response io.Reader) error {
	var mediaType string
	var body []byte
	if r, err := http.ReadResponse(bufio.NewReader(response), nil); err == nil {
		defer r.Body.Close()
		mediaType = r.Header.Get("Content-Type")
		body, _ = io.ReadAll(io.LimitReader(r.Body, answerBytesMax)) // what came of it will do
	}
	err := refusal(status, mediaType, body)
	if temporary(status) {
		return err
	}
	return permanent{err}
}

// close ends the connection; a second one does nothing.
func (c *conn) close() {
	c.once.Do(func() {
		// The farewell is a courtesy: it may find the socket gone, or full.
		_ = c.socket.SetWriteDeadline(time.Now().Add(time.Second))
		_ = c.write(frame.OpClose, frame.AppendCloseBody(nil, frame.CodeNormal, ""))
		c.socket.Close()
	})
}

func (c *conn) write(op frame.OpCode, payload []byte) error {
	// RFC 6455, 5.3: a mask that cannot be guessed, new for every frame. rand/v2 is seeded and
	// unpredictable.
	var mask [4]byte
	for i, random := 0, rand.Uint32(); i < 4; i++ {
		mask[i] = byte(random >> (8 * i))
	}
	_, err := c.socket.Write(frame.AppendMasked(nil, op, true, mask, payload))
	return err
}

// subscribe asks for topics: a string is a name, a wish says where it begins.
func (c *conn) subscribe(topics []any) error {
	command, err := json.Marshal(map[string]any{"type": "subscribe", "topics": topics, "id": 1})
	if err != nil {
		return err
	}
	return c.write(frame.OpText, command)
}

// next returns the next message, which is valid until the next call. Before it waits for more bytes
// it calls idle.
func (c *conn) next(idle func() error) ([]byte, error) {
	for {
		message, rest, err := c.reader.Next(&c.options, c.rest)
		c.rest = rest
		if err != nil {
			return nil, fmt.Errorf("%s sent what is no WebSocket: %w", c.address, err)
		}
		if message.Complete {
			if text, err := c.accept(message); text != nil || err != nil {
				return text, err
			}
			continue
		}
		if err := idle(); err != nil {
			return nil, permanent{err}
		}
		if err := c.read(); err != nil {
			return nil, err
		}
	}
}

// accept answers control frames, and returns the payload of any other.
func (c *conn) accept(message frame.Message) ([]byte, error) {
	switch message.Op {
	case frame.OpPing:
		return nil, c.write(frame.OpPong, message.Payload)
	case frame.OpPong:
		return nil, nil
	case frame.OpClose:
		code, reason, err := frame.ParseClose(message.Payload)
		if err != nil {
			code, reason = frame.CodeProtocol, err.Error()
		}
		if reason != "" {
			reason = ": " + visible(reason)
		}
		return nil, fmt.Errorf("%s closed the connection with %d%s", c.address, code, reason)
	}
	if message.Payload == nil {
		return []byte{}, nil
	}
	return message.Payload, nil
}

// read waits for bytes. A peer that is silent for too long is asked for a sign of life once.
func (c *conn) read() error {
	for {
		if err := c.socket.SetReadDeadline(time.Now().Add(quietMax)); err != nil {
			return err
		}
		n, err := c.socket.Read(c.buffer)
		if n > 0 {
			c.rest, c.asked = c.buffer[:n], false
			return nil
		}
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded) && !c.asked:
			c.asked = true
			if err := c.write(frame.OpPing, nil); err != nil {
				return err
			}
		case errors.Is(err, os.ErrDeadlineExceeded):
			return fmt.Errorf("%s has not answered for %v", c.address, 2*quietMax)
		case errors.Is(err, io.EOF):
			return fmt.Errorf("%s ended the connection", c.address)
		case err != nil:
			return fmt.Errorf("connection lost: %w", err)
		}
	}
}

// envelope is what a node says in c100k.v1.
type envelope struct {
	Type       string          `json:"type"`
	Topic      string          `json:"topic"`
	Data       json.RawMessage `json:"data"`
	DataBase64 *string         `json:"data_base64"`
	Missed     uint64          `json:"missed"`
	Code       string          `json:"code"`
	Message    string          `json:"message"`

	Offset   string            `json:"offset"`
	Offsets  map[string]string `json:"offsets"`
	Messages int               `json:"messages"`
	Reason   string            `json:"reason"`
}

func (e *envelope) parse(text []byte) error { return json.Unmarshal(text, e) }

// payload is the data as it was published: a JSON string is its text, other JSON is itself, base64
// is its bytes.
func (e *envelope) payload() string {
	if e.DataBase64 != nil {
		if data, err := base64.StdEncoding.DecodeString(*e.DataBase64); err == nil {
			return string(data)
		}
		return *e.DataBase64
	}
	var text string
	if len(e.Data) > 0 && e.Data[0] == '"' && json.Unmarshal(e.Data, &text) == nil {
		return text
	}
	return string(e.Data)
}
