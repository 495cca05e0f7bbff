// What an endpoint is built from.

package engineio

import (
	"net/netip"
	"time"

	"c100k/broadcast"
	"c100k/internal/edge"
	"c100k/internal/wsconn"
	"c100k/netpoll"
)

// Roles are the roles that the loop has given to an endpoint.
type Roles struct {
	Head    netpoll.Role // that of edge.HeadHandler: where a request on a connection that is kept alive begins
	Polling netpoll.Role // an HTTP connection with requests of polling: Endpoint.PollingHandler
	Socket  netpoll.Role // a WebSocket: Endpoint.SocketHandler
	Session netpoll.Role // the anchor of a session that began with polling, without a socket: Endpoint.SessionHandler
}

// Config holds the settings of an Endpoint; immutable once it runs.
type Config struct {
	// App is the layer above. Required.
	App App

	// Roles are the endpoint's on its loop. Required.
	Roles Roles

	// Process is this process's number among the workers of a node, for session ids; Loop is the
	// loop's index.
	Process, Loop uint8

	// Move takes a request that belongs to another loop, or another process of this node, there: it
	// has to Detach c and to hand on the socket with c's tag and the bytes of first, which it may
	// keep, so that it is adopted in the head role there. False, having done nothing, if there is no
	// such place. Where it turns out later that the place does not take it, Endpoint.ServeHere of any
	// loop answers. Nil: there is none but this loop.
	Move func(l *netpoll.Loop, c *netpoll.Conn, process, loop uint8, first []byte) bool

	// Keep takes a connection of a request with an edge.Mount that is answered: see proto.Place.
	// Required where there are such requests.
	Keep func(l *netpoll.Loop, c *netpoll.Conn, m *edge.Mount, early []byte)

	// AllowV3 lets clients of protocol 3 in (Socket.IO 2).
	AllowV3 bool

	// NoPolling, NoWebSocket and NoUpgrades turn a transport off, or the way from one to the other.
	NoPolling, NoWebSocket, NoUpgrades bool

	// PingInterval and PingTimeout are the heartbeat of both protocols; 0 is 25 s and 20 s. Clients
	// are told.
	PingInterval, PingTimeout time.Duration

	// UpgradeTimeout is how long an upgrade may take; 0 is 10 s.
	UpgradeTimeout time.Duration

	// PayloadBytesMax bounds a message, and a POST's body, in bytes; 0 is 1,000,000. Clients are told.
	PayloadBytesMax int

	// OutboxBytesMax bounds what a session may lag behind, in bytes; 0 is 1 MiB. Beyond it, it ends
	// with ReasonSlow; one message of any size may wait by itself.
	OutboxBytesMax int

	// SessionsMax bounds the sessions of this loop; 0 is 250,000. Beyond it, handshakes over polling
	// get 503. Those over WebSocket are bounded by their connections.
	SessionsMax int

	// Edge is the configuration of the head role, whose Admission admits the sessions that poll; one
	// that has upgraded counts as its connection. Nil: only SessionsMax bounds them.
	Edge *edge.Config

	// Rate is how many messages a second a session may send, RateBurst how many at once; 0 is no
	// limit. See wsconn.Config. The sessions of one address that poll have the same rate together,
	// where the address is known; opening one counts as a message.
	Rate      float64
	RateBurst int

	// Compress lets WebSocket clients negotiate permessage-deflate.
	Compress bool

	// Origins are the pages that may connect, by either transport; the zero value is those of the same
	// host. The answers to requests of other allowed origins say so (CORS).
	Origins edge.OriginRules

	// CORS is what else those answers say.
	CORS CORS

	// Cookie is the name of a cookie with the session's id that the answer to a handshake sets; "" for
	// none. It is for load balancers, not for us.
	Cookie string

	// CookieAttributes are the attributes of the cookie, as in Set-Cookie; "" is "Path=/; HttpOnly;
	// SameSite=Lax". They must have no line break.
	CookieAttributes string

	// AllowOrigin allows an origin that Origins does not. It may be nil.
	AllowOrigin func(r *Request, origin string) bool

	// Failed is called for each request that is refused with a code. It may be nil.
	Failed func(r *Request, code Code, message string)

	// Use judges each HTTP request, that of an upgrade included; an error refuses it with code 3. It
	// may be nil.
	Use func(r *Request) error

	// Allow judges each handshake; an error refuses it with code 4 and the error's text. It may be
	// nil.
	Allow func(r *Request) error

	// Address finds out the client's address for Request.Address. It may be nil.
	Address func(l *netpoll.Loop, c *netpoll.Conn, h *edge.Head) netip.Addr

	// Draining says whether the node goes down: then handshakes are answered with 503. It may be nil.
	Draining func() bool

	// Refused hears of each request that was refused, by a label of few values: Code.Label, or that of
	// an edge.Refusal. It may be nil.
	Refused func(label string)

	// Shard is the loop's part of the rooms, Sink where its members are; a session that has ended
	// leaves the shard, and one that has caught up is reported to it. They may be nil.
	Shard *broadcast.Shard
	Sink  broadcast.Sink

	// Counters are added to, if not nil.
	Counters *wsconn.Counters

	// Seed makes the spread of the heartbeats repeatable in tests.
	Seed uint64

	// Date is the wall clock of Date headers and Request.Time; nil is time.Now.
	Date func() time.Time
}

// CORS is what the answers to requests of other origins say beside their being allowed (Fetch
// standard, CORS protocol).
type CORS struct {
	Credentials    bool          // a page may send cookies
	Methods        []string      // default GET, HEAD, PUT, PATCH, POST, DELETE
	AllowedHeaders []string      // default: those that the page asks for
	ExposedHeaders []string      // that the page may read
	MaxAge         time.Duration // how long the browser may keep the answer to a preflight; 0: its own default
}

// setDefaults fills in what was left zero.
func (cfg *Config) setDefaults() {
	defaults := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	defaults(&cfg.PingInterval, PingIntervalDefault)
	defaults(&cfg.PingTimeout, PingTimeoutDefault)
	defaults(&cfg.UpgradeTimeout, UpgradeTimeoutDefault)
	if cfg.PayloadBytesMax == 0 {
		cfg.PayloadBytesMax = PayloadBytesMaxDefault
	}
	if cfg.OutboxBytesMax == 0 {
		cfg.OutboxBytesMax = OutboxBytesMaxDefault
	}
	if cfg.SessionsMax == 0 {
		cfg.SessionsMax = SessionsMaxDefault
	}
	if cfg.CookieAttributes == "" {
		cfg.CookieAttributes = "Path=/; HttpOnly; SameSite=Lax"
	}
	if cfg.Date == nil {
		cfg.Date = time.Now
	}
	if cfg.Counters == nil {
		cfg.Counters = new(wsconn.Counters)
	}
}
