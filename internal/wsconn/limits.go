// The bounds that no setting moves, with unit and reason. Those that an operator may set are in
// Config.

package wsconn

import "time"

const (
	// CloseLinger bounds how long a connection stays after our close frame: time for pending output
	// to get out and for the peer's half of the handshake. Without it a peer that never answers
	// keeps its descriptor.
	CloseLinger = 5 * time.Second

	// RepliesBytesMin bounds, where the outbox is smaller, the replies to what one read brought
	// (and one message more, which may have begun in earlier reads), in bytes. What is in a read
	// cannot be left for later, and a client that sends much at once is not slow: this is room for
	// the echo of any read, and for a refusal of each of its shortest frames. Without a bound a
	// read full of compressed messages is answered by a thousand times its size.
	RepliesBytesMin = 1 << 20

	// shedBytesMax bounds what may wait in front of the close frame that tells a client of a shortage
	// of memory, in bytes; beyond it the client takes nothing, and its connection is cut.
	shedBytesMax = 4 << 10

	// HeartbeatSpread is the part of the ping interval over which pings are spread, as a divisor: a
	// ping is due between 7/8 of the interval and the whole. Without it clients that were active at
	// the same moment (a broadcast that all of them answer) would be pinged at the same moment ever
	// after.
	HeartbeatSpread = 8
)
