// The settings of an endpoint, and what it counts.

package wsconn

import (
	"time"

	"c100k/broadcast"
	"c100k/frame"
	"c100k/internal/auth"
	"c100k/internal/trace"
	"c100k/netpoll"
)

// Config holds the settings of an Endpoint; immutable once it runs.
type Config struct {
	// MessageBytesMax bounds one message, in bytes after inflating; beyond it the connection is
	// closed with 1009. Required.
	MessageBytesMax int

	// OutboxBytesMax bounds what a connection may lag behind, in bytes. A quarter beyond it, the
	// connection is not read until it has caught up; replies to what one read brought may not
	// exceed it (but see RepliesBytesMin): beyond that the connection is closed with 1013.
	// Required.
	OutboxBytesMax int

	// PingInterval is how long a connection may be silent before it is pinged; 0 turns the
	// heartbeat off.
	PingInterval time.Duration

	// PingTimeout is how long a pinged connection may stay silent before it is closed. Required
	// with PingInterval.
	PingTimeout time.Duration

	// Rate is how many data messages a second a connection may send; beyond it, it is closed with
	// 1008. 0 is no limit.
	Rate float64

	// RateBurst is how many may come at once; 0 is one second of Rate, at least 1.
	RateBurst int

	// ByteRate is how many bytes of data messages a second a connection may send, as they are after
	// inflating; beyond it, it is closed with 1008. So many, and at least MessageBytesMax, may come at
	// once. 0 is no limit.
	ByteRate int

	// Principals are those of the loop's sessions. Required where Endpoint.Speak is called.
	Principals *auth.Principals

	// Shard is the loop's part of the topics: a connection leaves it, under its slot as member
	// number, when nothing more can be sent to it. Nil for a protocol without topics.
	Shard *broadcast.Shard

	// Sink is where the shard's members are: a connection that has caught up is told through it
	// what it missed. Required with Shard.
	Sink broadcast.Sink

	// Ended is called when nothing more can be sent to a connection and nothing more comes from it,
	// and once more when it is gone; it may be nil. A protocol whose members have other numbers
	// than slots leaves the shard there, and leaves Shard nil.
	Ended func(l *netpoll.Loop, c *netpoll.Conn, r netpoll.Reason)

	// Closing is told with which code and reason a connection ends, where there is a close frame:
	// the peer's, or else ours. frame.CodeNoStatus stands for one without a code. It is called
	// before Ended, in the same turn; it may be nil.
	Closing func(code uint16, reason string)

	// Farewell is Closing with the connection. It may be nil.
	Farewell func(c *netpoll.Conn, code uint16, reason string)

	// Control is told of each ping and pong that a connection sends; it may be nil. m is valid
	// during the call, and pings are answered by the endpoint.
	Control func(l *netpoll.Loop, c *netpoll.Conn, m *frame.Message)

	// Tap is told of each message. Nil: nobody listens.
	Tap *trace.Tap

	// Seed makes the spread of the heartbeats repeatable in tests.
	Seed uint64

	// Counters are added to, if not nil. Several endpoints of one loop may share them.
	Counters *Counters
}
