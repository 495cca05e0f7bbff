// The defaults, and the bounds that no option moves, with unit and reason.

package websocket

import "time"

const (
	maxMessageDefault     = 64 << 10
	outboxDefault         = 1 << 20
	maxConnsDefault       = 10_000 // below what most systems let a process open
	pingIntervalDefault   = 30 * time.Second
	pingTimeoutDefault    = 10 * time.Second
	upgradeTimeoutDefault = 5 * time.Second
	asyncMaxDefault       = 1024

	// maxMessageMax bounds Options.MaxMessage, in bytes. One message is one slice in memory.
	maxMessageMax = 256 << 20

	// outboxMax bounds Options.Outbox, in bytes. A connection record counts what it lags behind in
	// 32 bits, with room for one message beside it.
	outboxMax = 1 << 30

	// rateMax bounds Options.Rate, in messages a second: more is no bound.
	rateMax = 1_000_000_000

	// asyncMaxMin bounds Options.AsyncMax from below: reading pauses at a quarter of it.
	asyncMaxMin = 4

	// orderBytesMax bounds what Server.Send, Close and the methods of Async may have waiting for one
	// loop, in bytes. Without it a program that is faster than the loop fills the memory.
	orderBytesMax = 64 << 20

	// orderBytes is what an order costs beside its payload, in bytes.
	orderBytes = 96

	// ordersKept and orderDataKept bound the memory that a loop keeps for later orders, in orders and
	// in bytes. Without them a flood would stay allocated.
	ordersKept    = 4 << 10
	orderDataKept = 256 << 10

	// lanesKept bounds the memory that a loop keeps for later functions of Conn.Go, in connections.
	lanesKept = 4 << 10

	// eachSlice is how many connections Each visits before the loop serves others.
	eachSlice = 256

	// headerBytesMax bounds the header fields that Upgrade.SetHeader adds, in bytes.
	headerBytesMax = 8 << 10

	// refusalLinger is how long the client of a refused handshake has to take the answer.
	refusalLinger = 2 * time.Second

	// blockedAfter is how long a handler may block its loop before that is reported.
	blockedAfter = 100 * time.Millisecond
)
