// The configuration of an endpoint.

package engineio

import (
	"net/netip"
	"time"

	"c100k/broadcast"
	"c100k/internal/auth"
	"c100k/internal/edge"
	"c100k/internal/trace"
	"c100k/internal/wsconn"
	"c100k/netpoll"
)

// Roles are the roles of an endpoint on its loop.
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

	// Node is the number of this node among those that pass requests on to each other, for session
	// ids: see NodeOf. 0: there are none.
	Node uint16

	// Move moves a request to the loop, or the process of this node, that it belongs to. It calls
	// Detach for c and passes the socket on with c's tag and the bytes of first, which it may keep;
	// the other loop adopts it in the head role. It returns false, and has done nothing, if there is
	// no such place. If the place turns out not to take it, Endpoint.ServeHere of any loop answers.
	// Nil: there is only this loop.
	Move func(l *netpoll.Loop, c *netpoll.Conn, process, loop uint8, first []byte) bool

	// Farewell and Inherit are those of proto.Place, and may be nil. Who is the client of a session,
	// nil if it was not identified; nil: nobody is.
	Farewell func(c *netpoll.Conn, code uint16, text string)
	Inherit  func(to, from *netpoll.Conn)
	Who      func(s *Session) *auth.Principal
	// Encode is proto.Personal of all roles. Nil: no form is personal.
	Encode func(dst []byte, c *netpoll.Conn, m *broadcast.Message) []byte

	Tap *trace.Tap // is told of each message; nil: nobody listens

	// Keep is called for a connection whose request, with an edge.Mount, is answered: see proto.Place.
	// Required where there are such requests.
	Keep func(l *netpoll.Loop, c *netpoll.Conn, m *edge.Mount, early []byte)

	// AllowV3 lets clients of protocol 3 in (Socket.IO 2).
	AllowV3 bool

	// NoPolling, NoWebSocket and NoUpgrades turn a transport off, or the way from one to the other.
	NoPolling, NoWebSocket, NoUpgrades bool

	// PingInterval and PingTimeout are the heartbeat of both protocols; 0 is 25 s and 20 s. The
	// handshake tells them to clients.
	PingInterval, PingTimeout time.Duration

	// UpgradeTimeout is how long an upgrade may take; 0 is 10 s.
	UpgradeTimeout time.Duration

	// PayloadBytesMax bounds a message, and a POST's body, in bytes; 0 is 1,000,000. The handshake
	// tells it to clients.
	PayloadBytesMax int

	// OutboxBytesMax bounds the pending output of a session, in bytes; 0 is 1 MiB. Beyond it the
	// session ends with ReasonSlow; one message of any size may wait by itself.
	OutboxBytesMax int

	// SessionsMax bounds the sessions of this loop; 0 is 250,000. Beyond it, handshakes over polling
	// get 503. Those over WebSocket are bounded by their connections.
	SessionsMax int

	// Edge is the configuration of the head role, whose Admission admits the sessions that poll; one
	// that has upgraded counts as its connection. Nil: only SessionsMax bounds them.
	Edge *edge.Config

	// Rate is how many messages a second a session may send, RateBurst how many at once; 0 is no
	// limit. See wsconn.Config. All polling sessions of one address together have the same rate, if
	// the address is known; opening a session counts as a message.
	Rate      float64
	RateBurst int

	// ByteRate is how many bytes a second a session may send; 0 is no limit. See wsconn.Config, and
	// Rate for sessions that poll.
	ByteRate int

	// Compress lets WebSocket clients negotiate permessage-deflate.
	Compress bool

	// Origins are the pages that may connect, by either transport; the zero value allows those of the
	// same host. Answers to requests of other allowed origins have CORS headers.
	Origins edge.OriginRules

	// CORS is the content of those headers.
	CORS CORS

	// Cookie is the name of a cookie with the session's id that the answer to a handshake sets; "" for
	// none. It is for load balancers; the server does not read it.
	Cookie string

	// CookieAttributes are the attributes of the cookie, as in Set-Cookie; "" is "Path=/; HttpOnly;
	// SameSite=Lax". They must have no line break.
	CookieAttributes string

	// AllowOrigin allows an origin that Origins does not. It may be nil.
	AllowOrigin func(r *Request, origin string) bool

	// Failed is called for each request that is refused with a code. It may be nil.
	Failed func(r *Request, code Code, message string)

	// Use checks each HTTP request, also that of an upgrade; an error refuses it with code 3. It may
	// be nil.
	Use func(r *Request) error

	// Allow checks each handshake; an error refuses it with code 4 and the error's text. It may be
	// nil.
	Allow func(r *Request) error

	// Address returns the client's address for Request.Address. It may be nil.
	Address func(l *netpoll.Loop, c *netpoll.Conn, h *edge.Head) netip.Addr

	// Draining tells whether the node drains: then handshakes are answered with 503. It may be nil.
	Draining func() bool

	// Refused is called for each refused request, with a label of few values: Code.Label, or that of
	// an edge.Refusal. It may be nil.
	Refused func(label string)

	// Shard is the loop's part of the rooms, Sink sends to its members. A session that has ended
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

// CORS is the content of the CORS headers in answers to other allowed origins (Fetch standard, CORS
// protocol).
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
