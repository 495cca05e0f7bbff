// Options of a server.

package socketio

import (
	"log/slog"
	"net/http"
	"time"

	"c100k/internal/engineio"
)

// Parser is how packets are encoded. Both sides must use the same parser; it is not negotiated.
type Parser uint8

// The parsers.
const (
	ParserJSON    Parser = iota // the default of every client: JSON text, and binary data as messages of its own
	ParserMsgpack               // that of npm socket.io-msgpack-parser: each packet is one binary message
)

// Request is an HTTP request of a client.
type Request = engineio.Request

// CORS are the further fields of answers to pages of other origins that are allowed.
type CORS = engineio.CORS

// ConnectionError is a request that was refused. Its fields are valid during the call.
type ConnectionError struct {
	Request *Request
	Code    int // of Engine.IO: 0 transport unknown, 1 session unknown, 2 bad method, 3 bad request, 4 forbidden, 5 version
	Message string
}

// Options configure a Server. The zero value is a working server, and the zero value of a field its
// default. Fields of the transport (heartbeat, sizes, origins) are for a server that is mounted by
// Handler; inside a node the settings of the node apply.
type Options struct {
	// Path is where a server that is mounted by Handler answers, with a slash at its end. Default
	// "/socket.io/".
	Path string

	// Parser is how packets are encoded. Default ParserJSON.
	Parser Parser

	// AllowV3 accepts clients of socket.io-client 2 (Engine.IO 3). Default false.
	AllowV3 bool

	// ConnectTimeout is how long a client may be connected without joining a namespace. Default 45 s.
	ConnectTimeout time.Duration

	// Recovery turns connection state recovery on. Nil: off, as with Node's server.
	Recovery *Recovery

	// Adapter makes the Adapter that connects a namespace with the namespaces of the same name on
	// other servers. It is called once for each namespace when that is made, on any goroutine, event
	// loops among them. It must not block, and must not call the server. Nil: the namespaces are on
	// this server only.
	Adapter func(local *Local) Adapter

	// CleanupEmptyNamespaces removes a namespace that a Dynamic has made when its last socket has
	// left. Default false.
	CleanupEmptyNamespaces bool

	// NamespacesMax bounds the namespaces of the server, including those of a Dynamic; beyond it
	// clients are refused. Default 10,000.
	NamespacesMax int

	// NoClient turns off serving the scripts of the client below Path. Default false: they are served.
	NoClient bool

	// Use is called for each HTTP request of a client: handshakes, polls, POSTs and upgrades. If it
	// returns an error, the request is refused with 400, without the text of the error. It runs on the
	// event loop, after the handlers that a program has put around Handler. Default none.
	Use func(r *Request) error

	// AllowRequest is called for each handshake, which is the first request of a client on either
	// transport, and for no later request. If it returns an error, the request is refused with 403 and
	// the text of the error. It runs on the event loop, after Use. Default none.
	AllowRequest func(r *Request) error

	// Authorize is called for each handshake like AllowRequest, but on a goroutine of its own: it may
	// block. The handshake waits for it. An error refuses it with 403 and the text of the error. The
	// context of r ends after ConnectTimeout, or when the server closes. The body of r is empty.
	// Default none.
	Authorize func(r *http.Request) error

	// OnConnectionError is called on the event loop for each request that is refused with a code, as
	// the event "connection_error" of Node's engine. Default none.
	OnConnectionError func(e ConnectionError)

	// Logger logs panics and errors of handlers. Nil: nothing is logged.
	Logger *slog.Logger

	// PingInterval and PingTimeout are the times of the heartbeat; the handshake tells them to
	// clients. Default 25 s and 20 s.
	PingInterval, PingTimeout time.Duration

	// UpgradeTimeout bounds the upgrade from polling to WebSocket. Default 10 s.
	UpgradeTimeout time.Duration

	// MaxPayload bounds a message, and the body of a POST, in bytes; the handshake tells it to
	// clients. Default 1,000,000.
	MaxPayload int

	// Outbox bounds the output that a client has not read, in bytes; beyond it the connection is
	// closed. Default 1 MiB.
	Outbox int

	// NoPolling, NoWebSocket and NoUpgrades turn off a transport, or the upgrade from polling to
	// WebSocket.
	NoPolling, NoWebSocket, NoUpgrades bool

	// Compress lets WebSocket clients negotiate permessage-deflate. Default false.
	Compress bool

	// Origins are the pages that may connect, by either transport: "https://example.com",
	// "*.example.com", "same-host", "*" for all. Default: only those of the host that the request was
	// sent to.
	Origins []string

	// AllowOrigin allows the pages of an origin that Origins does not, for one request. It runs on the
	// event loop. Default none.
	AllowOrigin func(r *Request, origin string) bool

	// CORS are the further fields of answers to pages of other origins that are allowed.
	CORS CORS

	// Cookie is the name of a cookie with the connection's id, for load balancers. Default none.
	Cookie string

	// CookieAttributes are the attributes of the cookie, as in Set-Cookie. Default "Path=/; HttpOnly;
	// SameSite=Lax".
	CookieAttributes string

	// Loops is how many event loops a server that is mounted by Handler runs. Default: the cores
	// (GOMAXPROCS).
	Loops int

	// MaxConns bounds the connections of a server that is mounted by Handler, and the sessions that
	// poll; beyond it new ones get 503. Default 10,000.
	MaxConns int

	assemblyTimeout time.Duration // assemblyTimeoutDefault; shorter in tests
}

// Recovery configures connection state recovery. A client that reconnects within a short time gets
// back its id, its rooms and its Data, and gets the events that it missed; Socket.Recovered is
// true. This includes a client that never got an event, or got its last one long ago.
type Recovery struct {
	// MaxDisconnection is how long a client may be disconnected. Default 2 min.
	MaxDisconnection time.Duration

	// RunMiddlewares runs the namespace's middlewares also for clients that are recovered. Default
	// false: they are skipped, and the program must check whether an authorization has expired
	// meanwhile.
	RunMiddlewares bool

	// LogBytesMax bounds the packets that are kept, in bytes for each namespace. A client that missed
	// a packet that is no longer kept gets a new session. Default 16 MiB.
	LogBytesMax int

	// SessionsMax bounds the disconnected clients of a namespace that may be recovered; beyond it the
	// one that left first is removed. Default 100,000.
	SessionsMax int
}

func (o *Options) withDefaults() {
	if o.Path == "" {
		o.Path = "/socket.io/"
	}
	if o.ConnectTimeout == 0 {
		o.ConnectTimeout = connectTimeoutDefault
	}
	if o.assemblyTimeout == 0 {
		o.assemblyTimeout = assemblyTimeoutDefault
	}
	if o.NamespacesMax == 0 {
		o.NamespacesMax = NamespacesDefault
	}
	if o.PingInterval == 0 {
		o.PingInterval = pingIntervalDefault
	}
	if o.PingTimeout == 0 {
		o.PingTimeout = pingTimeoutDefault
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Recovery != nil {
		r := *o.Recovery
		if r.MaxDisconnection == 0 {
			r.MaxDisconnection = recoveryDurationDefault
		}
		if r.LogBytesMax == 0 {
			r.LogBytesMax = logBytesDefault
		}
		if r.SessionsMax == 0 {
			r.SessionsMax = sessionsDefault
		}
		o.Recovery = &r
	}
}
