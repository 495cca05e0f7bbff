// The package's limits, each with its unit and its reason.

package frame

import "math"

const (
	// MessageBytesDefault is the message limit where Options leaves it zero, in bytes. It bounds
	// what one connection can make the process hold; without it a peer decides.
	MessageBytesDefault = 64 << 10

	// messageBytesMost bounds the limit that Options may set, in bytes; without it sums of lengths
	// could overflow.
	messageBytesMost = math.MaxInt / 4

	// ControlBytesMax bounds the payload of a control frame, in bytes (RFC 6455, 5.5). Because of this
	// bound a Reader keeps a control frame that is split over reads in its own record.
	ControlBytesMax = 125

	// CloseReasonBytesMax bounds the reason in a close frame, in bytes: a control frame less the
	// two bytes of the code.
	CloseReasonBytesMax = ControlBytesMax - 2

	// replyHeaderBytesMax is the longest unmasked header, in bytes. Gathering buffers begin with as
	// much room, so that InPlace works on them too.
	replyHeaderBytesMax = 10

	// bufferBytesMin is the smallest gathering buffer, in bytes; without it a message that trickles
	// in by single bytes is moved at 1, 2, 4, 8, 16 and 32.
	bufferBytesMin = 64

	// wideBytesMin is the payload length, in bytes, from which ws.Cipher's vector code is faster
	// than eight bytes at a time.
	wideBytesMin = 128

	// inflateWindowBytes is the window through which a message is inflated, in bytes, pooled with
	// the decompressor. Messages up to it are inflated once; longer ones are measured first and
	// inflated again into a buffer of exactly their size, so that a bomb never costs more than the
	// window. It equals MessageBytesDefault: with the default limit nothing is inflated twice.
	inflateWindowBytes = 64 << 10
)

// compressedBytesMax bounds the compressed size of a message that may inflate to limit bytes. Data
// that does not compress grows a little (5 bytes a stored block); without the allowance a legal
// message of limit random bytes would be refused.
func compressedBytesMax(limit int) int {
	return limit + limit>>8 + 64
}
