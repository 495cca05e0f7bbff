// Messages between a connection and a hub: what is published of a received one, and server frames
// whose payload is written first, behind room for the header.

package wsconn

import (
	"slices"

	"c100k/broadcast"
	"c100k/frame"
)

// DeflateBytesMin is the size of a payload from which it is compressed, in bytes. Below it deflate
// without context saves less than the TCP/IP header of the packet it travels in, and costs every
// client an inflater.
const DeflateBytesMin = 256

// headerRoom is what the longest server header takes.
var headerRoom [10]byte

// AppendRoom begins a frame: the payload is appended to its result, and Seal completes it. Any
// goroutine.
func AppendRoom(dst []byte) []byte { return append(dst, headerRoom[:]...) }

// Seal puts the header in front of a payload that was appended to the result of AppendRoom; at is
// the length that had before. Any goroutine.
func Seal(dst []byte, at int, op frame.OpCode, compressed bool) []byte {
	payload := dst[at+len(headerRoom):]
	head := frame.AppendHeader(dst[:at], op, compressed, len(payload))
	return append(head, payload...) // overlapping, which append allows, like copy
}

// NoCompress is the Extra of messages that are not to be compressed.
var NoCompress any = new(byte)

// AppendDeflated appends a data frame, compressed in window if payload has DeflateBytesMin bytes
// and becomes smaller: RFC 7692, 6 leaves that to the sender for each message. With frame.NoWindow
// it is not compressed. payload is copied. Any goroutine.
func AppendDeflated(dst []byte, op frame.OpCode, payload []byte, window frame.Window) []byte {
	if window == frame.NoWindow || len(payload) < DeflateBytesMin {
		return frame.AppendFrame(dst, op, payload)
	}
	at := len(dst)
	dst = frame.AppendCompressed(AppendRoom(dst), payload, window)
	if len(dst)-at-len(headerRoom) >= len(payload) {
		return frame.AppendFrame(dst[:at], op, payload)
	}
	return Seal(dst, at, op, true)
}

// Published returns the kind of m, and its payload in memory that a hub may keep.
func Published(m *frame.Message) (broadcast.Kind, []byte) {
	payload := m.Payload
	if !m.Owned {
		payload = slices.Clone(payload) // it lies in the read arena, and slow subscribers keep it
	}
	if m.Op == frame.OpBinary {
		return broadcast.Binary, payload
	}
	return broadcast.Text, payload
}
