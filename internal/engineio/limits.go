// The bounds that no setting moves, and what the settings are where nobody sets them; with unit and
// reason.

package engineio

import "time"

// What zero means in a Config. They are those of Node's server, which clients and proxies are tuned
// to.
const (
	PingIntervalDefault    = 25 * time.Second
	PingTimeoutDefault     = 20 * time.Second
	UpgradeTimeoutDefault  = 10 * time.Second
	PayloadBytesMaxDefault = 1_000_000
	OutboxBytesMaxDefault  = 1 << 20
)

// SessionsMaxDefault is what Config.SessionsMax = 0 means. A session that polls needs no connection
// between two requests, so without a bound one client that only ever shakes hands would hold as
// many records as it likes, for the length of a heartbeat each.
const SessionsMaxDefault = 250_000

const (
	// FarewellTimeout bounds how long a session that polls and was closed by us waits for the poll
	// that is told so. Without it a client that never comes back keeps its record.
	FarewellTimeout = 30 * time.Second

	// DrainFarewellTimeout is the same when the node goes down: a client that polls is between two
	// polls for milliseconds.
	DrainFarewellTimeout = time.Second

	// BodyTimeout bounds how long a POST's body may take from its head. Without it a client that
	// trickles keeps a buffer.
	BodyTimeout = 30 * time.Second

	// OvertakenTimeout bounds how long a POST that ends its session waits for a GET that the client
	// has sent before it, on another connection. The two may arrive on different loops or goroutines,
	// so the later one may be read first. Without the wait the GET would be told that there is no such
	// session. Without a bound the POST of a client that has sent no GET would not be answered.
	OvertakenTimeout = 200 * time.Millisecond

	// KeepAliveTimeout bounds how long an HTTP connection may wait for its next request. Without it
	// clients that are gone keep descriptors.
	KeepAliveTimeout = 75 * time.Second

	// RefusalLinger bounds how long a connection stays after an answer that ends it: time for what the
	// client still sends, which would otherwise reset the connection and take the answer away.
	RefusalLinger = 5 * time.Second

	// ProbeInterval is how often a poll is released while an upgrade is under way, and ProbeFirst when
	// for the first time: the client stops polling when its poll has returned, and upgrades then. The
	// first is short, but behind the turn in which the probe was answered.
	ProbeInterval = 100 * time.Millisecond
	ProbeFirst    = 10 * time.Millisecond

	// EarlyBytesMax bounds what a client may send on an HTTP connection before the request in front of
	// it is answered, in bytes. Without it one connection could make a loop hold any number of bytes.
	EarlyBytesMax = 64 << 10

	// putOffMax bounds how often, a tick of the loop each time, a request is put off because the
	// client has not taken the answer in front of it: about half a minute. Without it a client that
	// takes nothing keeps a timer busy.
	putOffMax = 1000

	// RepliesBytesMin bounds, where the outbox is smaller, what a session may be owed (and one message
	// more), in bytes: what comes with one payload is answered at once, and a client that sends much
	// in one is not slow. See wsconn.RepliesBytesMin.
	RepliesBytesMin = 1 << 20

	// HeartbeatSpread is the part of the ping interval by which a session's first ping is early, at
	// most, as a divisor. Without it clients that came in a burst would be pinged in bursts.
	HeartbeatSpread = 2

	// copyBytesMax bounds what is copied into a queue though it could be shared, in bytes: about the
	// record of a shared piece. Without it a client that fetches nothing could be owed records.
	copyBytesMax = 64

	// scratchBytesMax bounds the buffers that are kept from one message to the next, in bytes. Without
	// it one large message would stay resident on every loop.
	scratchBytesMax = 64 << 10

	// sessionBytes is what a session counts for in the memory that is held for clients: its record,
	// its Socket.IO client and socket, and what is kept of its handshake. Measured: 1.3 KB in a node's
	// server, with the header fields of a browser.
	sessionBytes = 2 << 10

	// shedBytesMax bounds what may wait in front of the close that tells a client of a shortage of
	// memory, in bytes; beyond it the client takes nothing, and its connection is cut.
	shedBytesMax = 4 << 10

	// lengthDigitsMax bounds the digits of a packet's length in a payload of protocol 3. Without it
	// there would be numbers that overflow.
	lengthDigitsMax = 10
)
