// The bounds that are not settings, with unit and reason. Settings are in Config.

package wsconn

import "time"

const (
	// CloseLinger bounds how long a connection stays open after our close frame: time to send pending
	// output and to receive the peer's close frame. Without it a peer that never answers keeps its
	// descriptor.
	CloseLinger = 5 * time.Second

	// RepliesBytesMin bounds, where the outbox is smaller, the replies to what one read brought (and
	// one message more, which may have begun in earlier reads), in bytes. A read is handled as a
	// whole, and a client that sends much at once is not slow: this is room for the echo of any read,
	// and for a refusal of each of its shortest frames. Without a bound, the replies to a read full of
	// compressed messages would have a thousand times its size.
	RepliesBytesMin = 1 << 20

	// shedBytesMax bounds what may wait in front of the close frame that tells a client of a shortage
	// of memory, in bytes; beyond it the client takes nothing, and its connection is cut.
	shedBytesMax = 4 << 10

	// HeartbeatSpread is the part of the ping interval over which pings are spread, as a divisor: a
	// ping is due between 7/8 of the interval and the whole. Without it clients that were active at
	// the same moment (a broadcast that all of them answer) would be pinged at the same moment from
	// then on.
	HeartbeatSpread = 8
)
