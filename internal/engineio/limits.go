// The bounds that are not settings, and the defaults of settings, each with its unit and reason.

package engineio

import "time"

// The defaults of a Config. They are those of Node's server, which clients and proxies are tuned
// for.
const (
	PingIntervalDefault    = 25 * time.Second
	PingTimeoutDefault     = 20 * time.Second
	UpgradeTimeoutDefault  = 10 * time.Second
	PayloadBytesMaxDefault = 1_000_000
	OutboxBytesMaxDefault  = 1 << 20
)

// SessionsMaxDefault is what Config.SessionsMax = 0 means. A polling session needs no connection
// between two requests. Without a bound, a client that only opens sessions could hold any number of
// records, each for the length of a heartbeat.
const SessionsMaxDefault = 250_000

const (
	// FarewellTimeout bounds how long a polling session that the server has closed waits for a poll to
	// tell it. Without it a client that never comes back keeps its record.
	FarewellTimeout = 30 * time.Second

	// DrainFarewellTimeout is the same while the node drains: a client that polls is between two polls
	// for milliseconds.
	DrainFarewellTimeout = time.Second

	// BodyTimeout bounds how long a POST's body may take from its head. Without it a client that sends
	// slowly keeps a buffer.
	BodyTimeout = 30 * time.Second

	// OvertakenTimeout bounds how long a POST that ends its session waits for a GET that the client
	// has sent before it, on another connection. The two may arrive on different loops or goroutines,
	// so the later one may be read first. Without the wait the GET would be told that there is no such
	// session. Without a bound the POST of a client that has sent no GET would not be answered.
	OvertakenTimeout = 200 * time.Millisecond

	// KeepAliveTimeout bounds how long an HTTP connection may wait for its next request. Without it
	// clients that are gone keep descriptors.
	KeepAliveTimeout = 75 * time.Second

	// RefusalLinger bounds how long a connection stays after an answer that ends it: time to read
	// input that would otherwise reset the connection and lose the answer.
	RefusalLinger = 5 * time.Second

	// ProbeInterval is the time between two answers to waiting polls during an upgrade, and ProbeFirst
	// the time before the first: the client stops polling when its poll has returned, and upgrades
	// then. The first is short, but later than the turn in which the probe was answered.
	ProbeInterval = 100 * time.Millisecond
	ProbeFirst    = 10 * time.Millisecond

	// EarlyBytesMax bounds what a client may send on an HTTP connection before the request in front of
	// it is answered, in bytes. Without it one connection could make the loop buffer any number of
	// bytes.
	EarlyBytesMax = 64 << 10

	// putOffMax bounds how often a request is delayed, by putOffTime each time, because the
	// answer before it is not sent: about half a minute. Without it a client that reads nothing keeps
	// a timer busy.
	putOffMax  = 1000
	putOffTime = 32 * time.Millisecond

	// RepliesBytesMin is the least bound on the pending output of a session (and one message more), in
	// bytes, where the outbox is smaller: one payload is answered at once, and a client that sends
	// much in one is not slow. See wsconn.RepliesBytesMin.
	RepliesBytesMin = 1 << 20

	// HeartbeatSpread is the part of the ping interval by which a session's first ping is early, at
	// most, as a divisor. Without it clients that connect in a burst would be pinged in bursts.
	HeartbeatSpread = 2

	// copyBytesMax is the size up to which a run is copied into a queue though it could be shared, in
	// bytes: about the record of a shared piece. Without it the queue of a client that fetches nothing
	// could consist of records.
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
