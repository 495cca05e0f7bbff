// Messages: what clients send, and what they are sent.

package websocket

import (
	"sync"

	"c100k/broadcast"
	"c100k/frame"
	"c100k/internal/wsconn"
)

// Kind says what a message is: RFC 6455, 5.6.
type Kind uint8

// The kinds of a message.
const (
	Text   Kind = iota // UTF-8 text; the sender vouches for it
	Binary             // any bytes
)

// String returns "text" or "binary".
func (k Kind) String() string {
	if k == Binary {
		return "binary"
	}
	return "text"
}

func (k Kind) op() frame.OpCode {
	if k == Binary {
		return frame.OpBinary
	}
	return frame.OpText
}

func (k Kind) broadcast() broadcast.Kind {
	if k == Binary {
		return broadcast.Binary
	}
	return broadcast.Text
}

// Message is one message.
type Message struct {
	Kind Kind

	// Data is the payload. In OnMessage it is valid during the call only, and the handler may change
	// it in place; text has been checked to be UTF-8.
	Data []byte

	// NoCompress sends the message uncompressed also where compression was negotiated. Small
	// messages always are.
	NoCompress bool
}

// TextMessage returns a text message.
func TextMessage(s string) Message { return Message{Kind: Text, Data: []byte(s)} }

// BinaryMessage returns a binary message. It keeps p.
func BinaryMessage(p []byte) Message { return Message{Kind: Binary, Data: p} }

// Result says what became of a message that was sent to a connection.
type Result uint8

// The results of a send.
const (
	Sent    Result = iota // it goes out when the loop's turn ends
	Queued                // it waits: the client takes its messages more slowly than they come
	Dropped               // the client does not get it: it is closed, or too far behind
)

// String returns "sent", "queued" or "dropped".
func (r Result) String() string { return [...]string{"sent", "queued", "dropped"}[r] }

// Prepared is a message encoded once, for many connections. It is immutable. Any goroutine.
type Prepared struct {
	plain    []byte
	deflated []byte        // nil: it does not get smaller
	narrow   func() []byte // the same for clients that asked for a smaller window, made for the first of them
}

// Prepare encodes m, whose data is copied. Any goroutine.
func Prepare(m Message) *Prepared {
	p := &Prepared{plain: frame.AppendFrame(nil, m.Kind.op(), m.Data)}
	if m.NoCompress || len(m.Data) < wsconn.DeflateBytesMin {
		return p
	}
	data := p.plain[len(p.plain)-len(m.Data):]
	p.deflated = p.compressed(m.Kind.op(), data, frame.WindowFull)
	p.narrow = sync.OnceValue(func() []byte { return p.compressed(m.Kind.op(), data, frame.WindowNarrow) })
	return p
}

// compressed is the message's frame with data compressed; nil if it does not get smaller.
func (p *Prepared) compressed(op frame.OpCode, data []byte, window frame.Window) []byte {
	if d := wsconn.AppendDeflated(nil, op, data, window); len(d) < len(p.plain) {
		return d
	}
	return nil
}

// encoded is the form for a connection.
func (p *Prepared) encoded(window frame.Window) []byte {
	var b []byte
	switch {
	case window == frame.WindowFull:
		b = p.deflated
	case window == frame.WindowNarrow && p.narrow != nil:
		b = p.narrow()
	}
	if b == nil {
		return p.plain
	}
	return b
}
