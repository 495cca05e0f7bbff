// Messages to a session: whole WebSocket frames, in the form for its client. Pure; any goroutine.

package engineio

import (
	"c100k/frame"
	"c100k/internal/wsconn"
)

// Form is how a message looks on the wire: see the package comment.
type Form uint8

// The forms. They are the same for both transports.
const (
	FormV4         Form = iota // protocol 4
	FormV4Deflated             // protocol 4 on a WebSocket that negotiated permessage-deflate; never of a session that began with polling
	FormV4Narrow               // the same, for a client that asked for a smaller window
	FormV3                     // protocol 3

	FormCount
)

// window is the compressor's for messages in the form.
func (f Form) window() frame.Window {
	switch f {
	case FormV4Deflated:
		return frame.WindowFull
	case FormV4Narrow:
		return frame.WindowNarrow
	}
	return frame.NoWindow
}

// AppendMessage appends a text message and the binary messages that belong to it, as one run that
// is not interleaved with others. text and attachments are copied.
func AppendMessage(dst []byte, f Form, text []byte, attachments ...[]byte) []byte {
	at := len(dst)
	dst = append(wsconn.AppendRoom(dst), byte(PacketMessage)+'0')
	dst = append(dst, text...)
	if payload := dst[at+roomBytes:]; f.window() != frame.NoWindow && len(payload) >= wsconn.DeflateBytesMin {
		dst = wsconn.AppendDeflated(dst, frame.OpText, payload, f.window())
		dst = append(dst[:at], dst[at+roomBytes+len(payload):]...)
	} else {
		dst = wsconn.Seal(dst, at, frame.OpText, false)
	}
	for _, a := range attachments {
		dst = AppendBinary(dst, f, a)
	}
	return dst
}

// AppendBinary appends one binary message. data is copied.
func AppendBinary(dst []byte, f Form, data []byte) []byte {
	if f == FormV3 {
		// Protocol 3: the packet's type is a byte in front of the data.
		dst = append(frame.AppendHeader(dst, frame.OpBinary, false, len(data)+1), byte(PacketMessage))
		return append(dst, data...)
	}
	return wsconn.AppendDeflated(dst, frame.OpBinary, data, f.window())
}

// roomBytes is what wsconn.AppendRoom appends.
var roomBytes = len(wsconn.AppendRoom(nil))

// Packets that are the same for all sessions, as whole frames; immutable.
var (
	closeFrame = controlFrame(PacketClose)
	pingFrame  = controlFrame(PacketPing)
	pongFrame  = controlFrame(PacketPong)
	noopFrame  = controlFrame(PacketNoop)
)

func controlFrame(t PacketType) []byte {
	return frame.AppendFrame(nil, frame.OpText, []byte{'0' + byte(t)})
}
