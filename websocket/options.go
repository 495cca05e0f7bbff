// What a server is made with.

package websocket

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"c100k/broadcast"
)

// Off is the value of a duration in Options that turns the function off: zero means the default.
const Off time.Duration = -1

// Options configure a Server. The zero value is a working server, and the zero value of a field is
// its default. Fields that belong to the process (Loops, MaxConns) are for a server that is mounted
// or that listens by itself; on a node the node's settings hold.
type Options struct {
	// MaxMessage bounds a message that a client sends, in bytes after inflating; beyond it the
	// connection is closed with 1009. Default 64 KiB.
	MaxMessage int

	// Outbox bounds what a connection may lag behind, in bytes. Default 1 MiB.
	Outbox int

	// SlowConsumer says what happens when a message does not fit in the Outbox: "disconnect" closes
	// the connection with 1013, "drop-oldest" drops the oldest published messages that wait,
	// "drop-newest" drops the message. Default "disconnect". Each dropped message is counted.
	SlowConsumer string

	// PingInterval is how long a connection may be silent before it is pinged. Default 30 s; Off
	// sends no pings.
	PingInterval time.Duration

	// PingTimeout is how long a pinged connection may stay silent before it is closed. Default 10 s.
	PingTimeout time.Duration

	// IdleTimeout closes a connection from which nothing has come for so long, with 1001. It needs
	// PingInterval Off, because a client answers pings. Default: no limit.
	IdleTimeout time.Duration

	// UpgradeTimeout is from accept to the end of the handshake, a handshake that waits for
	// Upgrade.Accept included. Default 5 s.
	UpgradeTimeout time.Duration

	// Rate is how many messages a second a connection may send; beyond it, it is closed with 1008.
	// Default: no limit.
	Rate float64

	// RateBurst is how many may come at once. Default: one second of Rate, at least 1.
	RateBurst int

	// ByteRate is how many bytes of messages a second a connection may send, as they are after
	// inflating; beyond it, it is closed with 1008. So many, and at least MaxMessage, may come at
	// once. Default 0: no limit.
	ByteRate int

	// Compress lets clients negotiate permessage-deflate without context takeover. Default false.
	Compress bool

	// Subprotocols are those that the server speaks. The first of them that a client offers is
	// chosen, unless Upgrade.Subprotocol chooses another. Default: none.
	Subprotocols []string

	// Origins are the pages that may connect: "https://example.com", "*.example.com", "same-host",
	// "*" for all. Default: pages of the host that the request was sent to, and clients that are no
	// browsers.
	Origins []string

	// TopicsPerConn bounds the topics that one connection may subscribe to. Default 1024.
	TopicsPerConn int

	// AsyncMax bounds the functions of one connection that wait in Conn.Go. Default 1024. At a
	// quarter of it the connection is not read until half of them have run.
	AsyncMax int

	// Loops is how many event loops the server runs. Default: the cores (GOMAXPROCS).
	Loops int

	// MaxConns bounds the connections; beyond it new ones get 503. Default 10,000.
	MaxConns int

	// Logger gets panics and blocked loops. Nil: nothing is logged.
	Logger *slog.Logger
}

// withDefaults returns o with every default filled in. The error names the field that is wrong.
func (o Options) withDefaults() (Options, error) {
	fill := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	fill(&o.MaxMessage, maxMessageDefault)
	fill(&o.Outbox, outboxDefault)
	fill(&o.TopicsPerConn, broadcast.TopicsPerMemberDefault)
	fill(&o.AsyncMax, asyncMaxDefault)
	fill(&o.MaxConns, maxConnsDefault)
	for _, d := range []struct {
		v    *time.Duration
		dflt time.Duration
	}{{&o.PingInterval, pingIntervalDefault}, {&o.PingTimeout, pingTimeoutDefault}, {&o.UpgradeTimeout, upgradeTimeoutDefault}} {
		if *d.v == 0 {
			*d.v = d.dflt
		}
	}
	if o.SlowConsumer == "" {
		o.SlowConsumer = broadcast.Disconnect.String()
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o, o.validate()
}

func (o *Options) validate() error {
	switch {
	case o.MaxMessage < 1 || o.MaxMessage > maxMessageMax:
		return fmt.Errorf("websocket: Options.MaxMessage is %d: want 1 to %d bytes", o.MaxMessage, maxMessageMax)
	case o.Outbox < 1 || o.Outbox > outboxMax:
		return fmt.Errorf("websocket: Options.Outbox is %d: want 1 to %d bytes", o.Outbox, outboxMax)
	case o.PingInterval < 0 && o.PingInterval != Off:
		return fmt.Errorf("websocket: Options.PingInterval is %v: want a positive duration, or Off", o.PingInterval)
	case o.PingTimeout < 0:
		return fmt.Errorf("websocket: Options.PingTimeout is %v: want a positive duration", o.PingTimeout)
	case o.IdleTimeout < 0:
		return fmt.Errorf("websocket: Options.IdleTimeout is %v: want a positive duration", o.IdleTimeout)
	case o.IdleTimeout > 0 && o.PingInterval != Off:
		return errors.New("websocket: Options.IdleTimeout needs PingInterval Off: a client that answers pings is never idle")
	case o.UpgradeTimeout < 0:
		return fmt.Errorf("websocket: Options.UpgradeTimeout is %v: want a positive duration", o.UpgradeTimeout)
	case !(o.Rate >= 0 && o.Rate <= rateMax) || o.RateBurst < 0:
		return fmt.Errorf("websocket: Options.Rate and RateBurst are %v and %d: want 0 to %d messages a second, and no negative number", o.Rate, o.RateBurst, rateMax)
	case o.ByteRate < 0:
		return fmt.Errorf("websocket: Options.ByteRate is %d: want 0 for no limit, or more", o.ByteRate)
	case o.RateBurst > 0 && o.Rate == 0:
		return fmt.Errorf("websocket: Options.RateBurst is %d and Rate is 0: a burst needs a rate", o.RateBurst)
	case o.Loops < 0 || o.MaxConns < 1 || o.TopicsPerConn < 1 || o.AsyncMax < asyncMaxMin:
		return fmt.Errorf("websocket: Options.Loops, MaxConns, TopicsPerConn or AsyncMax is out of range (%d, %d, %d, %d)",
			o.Loops, o.MaxConns, o.TopicsPerConn, o.AsyncMax)
	}
	if _, err := broadcast.ParsePolicy(o.SlowConsumer); err != nil {
		return fmt.Errorf("websocket: Options.SlowConsumer: %w", err)
	}
	return nil
}
