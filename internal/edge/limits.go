// The limits of the package: each with its unit and the reason for it.

package edge

import "time"

const (
	// HeadBytesMax bounds a request head in bytes, from the method to the empty line, unless
	// Limits.HeadBytes says otherwise. Without it one connection could make a loop hold any number
	// of bytes. Beyond it: 414 in the request line, 431 in the fields.
	HeadBytesMax = 8 << 10

	// headBytesCeiling bounds Limits.HeadBytes: a Head notes positions in 16 bits.
	headBytesCeiling = 1<<16 - 1

	// FieldsMax bounds the header fields of a request; it is also the size of the array in a Head.
	// Beyond it: 431.
	FieldsMax = 100

	// QueryParamsMax bounds the parameters of a query; without it 8 KiB of "a&a&…" would cost 4,000
	// look-ups.
	QueryParamsMax = 256

	// hostBytesMax bounds a host name with its port in bytes: 253 of a DNS name, a colon, five
	// digits.
	hostBytesMax = 259

	// chunkDigitsMax bounds the hexadecimal digits of a chunk size, so that it fits into an int64.
	chunkDigitsMax = 15

	// chunkExtensionBytesMax bounds the extensions of one chunk in bytes; they are ignored.
	chunkExtensionBytesMax = 256

	// trailerBytesMax bounds the trailer section of one body in bytes; net/http finds its end
	// within 4 KiB only.
	trailerBytesMax = 2 << 10

	// HandshakeTimeoutDefault is how long a peer has from accept to the end of its request head.
	HandshakeTimeoutDefault = 5 * time.Second

	// WaitingMax bounds the requests that wait for an answer on one loop; without it a verifier
	// that does not answer would make the loop keep the requests of every client that tries again.
	// Beyond it: 503.
	WaitingMax = 8 << 10

	// WaitingBytesMax bounds the requests of one loop that wait or are incomplete, in bytes; beyond
	// it no further request may wait (503), and nothing more is read for those that do.
	WaitingBytesMax = 64 << 20

	// WaitTimeoutDefault is how long a request may wait for an answer, if its handshake has that
	// much time left.
	WaitTimeoutDefault = 5 * time.Second

	// earlyBytesMax bounds what is kept of the bytes that a client sends while its request waits,
	// in bytes. Beyond it, and the read that went beyond it, reading stops; without it a client
	// could send without end into our memory.
	earlyBytesMax = 16 << 10

	// refusalLinger is how long a refused peer may take to read its answer before the socket is
	// closed under it: closing with unread input would reset the connection and destroy the answer.
	refusalLinger = time.Second

	// refusalWait is how long the refusal of a connection over the limit waits for the first byte
	// of the request. Clients ignore an answer that arrives before they have sent a request.
	refusalWait = time.Second

	// RefusalsMax bounds the connections over the limit that are open at one time to receive a
	// refusal; without it a flood of connections could hold any number of descriptors. Beyond it
	// they are closed at once.
	RefusalsMax = 256

	// lingerBytesMax bounds what is read and discarded after a refusal on a net/http connection, in
	// bytes.
	lingerBytesMax = 256 << 10

	// proxyTextBytesMax bounds a PROXY header of version 1 in bytes, with its CRLF: two full IPv6
	// addresses and ports, or UNKNOWN with them, fit by the count of the specification.
	proxyTextBytesMax = 107

	// proxyBinaryBytesMax bounds what follows the 16 fixed bytes of a PROXY header of version 2, in
	// bytes. Without it a header could make a loop hold 64 KiB; the specification asks senders to
	// stay below 536 in all.
	proxyBinaryBytesMax = 536

	// quotaConnsDefault is for how many connections a table of addresses is made where their number
	// has no limit. Beyond it some addresses are not counted, and not refused.
	quotaConnsDefault = 1 << 20

	// quotaRecent is how many addresses a table has room for beside those of open connections: they
	// have opened one within the last second.
	quotaRecent = 1 << 14

	// FallbackQueueMax bounds the connections on their way to net/http; each holds a descriptor and
	// its first bytes.
	FallbackQueueMax = 1024

	// BodyIdleTimeout is how long a client may send nothing of a request body that net/http waits
	// for. Without it each client that announces a body holds a goroutine.
	BodyIdleTimeout = 10 * time.Second

	// KeptTimeout is how long a connection of a program's http.Server may wait for its next request
	// on a loop. Without it clients that have left keep descriptors.
	KeptTimeout = 75 * time.Second

	// MountBytesMax bounds the header fields that a program's handlers set for an answer of a loop,
	// in bytes: each poll that waits keeps them.
	MountBytesMax = 16 << 10

	// putOffMax bounds how often, for putOffTime each time, a request waits for the client to
	// take the answer in front of it: about half a minute. Without it a client that takes nothing
	// keeps a timer busy.
	putOffMax  = 1000
	putOffTime = 32 * time.Millisecond

	// guardBufferBytes is the size in bytes of the buffer in which a Conn gathers a later head.
	guardBufferBytes = 4 << 10

	// guardReadBytesMax bounds one read of a chunked body, in bytes: what was read behind its end
	// must be kept.
	guardReadBytesMax = 16 << 10
)

// Limits bounds one request head. The zero value is the default.
type Limits struct {
	// HeadBytes is the largest head, in bytes; 0 means HeadBytesMax, more than 65,535 means 65,535.
	HeadBytes int
	// Fields is the largest number of header fields; 0 or more than FieldsMax means FieldsMax.
	Fields int
}

// effective is lim with its defaults filled in.
func (lim Limits) effective() Limits {
	if lim.HeadBytes <= 0 {
		lim.HeadBytes = HeadBytesMax
	}
	lim.HeadBytes = min(lim.HeadBytes, headBytesCeiling)
	if lim.Fields <= 0 || lim.Fields > FieldsMax {
		lim.Fields = FieldsMax
	}
	return lim
}
