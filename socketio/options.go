// What a server is made with.

package socketio

import (
	"log/slog"
	"time"

	"c100k/internal/engineio"
)

// Parser is how packets are written. Both ends have to use the same; nothing is negotiated.
type Parser uint8

// The parsers.
const (
	ParserJSON    Parser = iota // the default of every client: JSON text, and binary as messages of its own
	ParserMsgpack               // that of npm socket.io-msgpack-parser: each packet is one binary message
)

// Request is an HTTP request of a client, as far as anybody wants to know.
type Request = engineio.Request

// CORS is what answers to pages of other origins say, beside that they are allowed.
type CORS = engineio.CORS

// Options configure a Server. The zero value is a working server, and the zero value of a field its
// default. Fields that belong to the transport (heartbeat, sizes, origins) are for a server that is
// mounted by Handler; inside a node the node's own settings hold.
type Options struct {
	// Path is where a server that is mounted by Handler answers, with a slash at its end. Default
	// "/socket.io/".
	Path string

	// Parser is how packets are written. Default ParserJSON.
	Parser Parser

	// AllowV3 lets clients of socket.io-client 2 in (Engine.IO 3). Default false.
	AllowV3 bool

	// ConnectTimeout is how long a client may be connected without joining a namespace. Default 45
	// s.
	ConnectTimeout time.Duration

	// Recovery keeps what clients miss while they are away for a short time. Nil: off, as with
	// Node's server.
	Recovery *Recovery

	// Adapter joins each namespace with those of its name on other servers. It is called once for
	// each namespace when that is made, on any goroutine, an event loop among them: it must not
	// block, nor call the server. Nil: the namespaces are on this server only.
	Adapter func(local *Local) Adapter

	// CleanupEmptyNamespaces removes a namespace that a Dynamic has made when its last socket has
	// left. Default false.
	CleanupEmptyNamespaces bool

	// NamespacesMax bounds the namespaces of the server, those that clients make of dynamic ones
	// included; beyond it clients are refused. Default 10,000.
	NamespacesMax int

	// NoClient does not serve the client's script below Path. Default false: it is served.
	NoClient bool

	// Use judges each HTTP request of a client: handshakes, polls, POSTs and upgrades. An error
	// refuses it with 400 and its text is not told. It runs on the event loop, behind the handlers
	// that a program has put around Handler. Default none.
	Use func(r *Request) error

	// AllowRequest judges each handshake, which is the first request of a client by either transport,
	// and no later request; an error refuses it with 403 and the error's text. It runs on the event
	// loop, behind Use. Default none.
	AllowRequest func(r *Request) error

	// Logger gets what goes wrong in handlers. Nil: nothing is logged.
	Logger *slog.Logger

	// PingInterval and PingTimeout are the heartbeat; clients are told. Default 25 s and 20 s.
	PingInterval, PingTimeout time.Duration

	// UpgradeTimeout is how long the way from polling to WebSocket may take. Default 10 s.
	UpgradeTimeout time.Duration

	// MaxPayload bounds a message, and the body of a POST, in bytes; clients are told. Default
	// 1,000,000.
	MaxPayload int

	// Outbox bounds what a client may lag behind, in bytes; beyond it the connection is closed.
	// Default 1 MiB.
	Outbox int

	// NoPolling, NoWebSocket and NoUpgrades turn a transport off, or the way from one to the other.
	NoPolling, NoWebSocket, NoUpgrades bool

	// Compress lets WebSocket clients negotiate permessage-deflate. Default false.
	Compress bool

	// Origins are the pages that may connect, by either transport: "https://example.com",
	// "*.example.com", "same-host", "*" for all. Default: only those of the host that the request
	// was sent to.
	Origins []string

	// CORS is what answers to pages of allowed other origins say beside that.
	CORS CORS

	// Cookie is the name of a cookie with the connection's id, for load balancers. Default none.
	Cookie string

	// Loops is how many event loops a server that is mounted by Handler runs. Default: the cores
	// (GOMAXPROCS).
	Loops int

	// MaxConns bounds the connections of a server that is mounted by Handler, and the sessions that
	// poll; beyond it new ones get 503. Default 10,000.
	MaxConns int

	assemblyTimeout time.Duration // assemblyTimeoutDefault; tests have less time
}

// Recovery configures connection state recovery: a client that was away for a short time gets its
// id, its rooms, its Data and what it missed, and is Socket.Recovered. A client that never got an
// event, or got its last long ago, is recovered too.
type Recovery struct {
	// MaxDisconnection is how long a client may be away. Default 2 min.
	MaxDisconnection time.Duration

	// RunMiddlewares runs the namespace's middlewares also for clients that are recovered. Default
	// false: they are skipped, and an authorization that has run out meanwhile is the program's to
	// look after.
	RunMiddlewares bool

	// LogBytesMax bounds the packets that are kept, in bytes for each namespace. A client that
	// misses one that is no longer there begins anew. Default 16 MiB.
	LogBytesMax int

	// SessionsMax bounds the clients of a namespace that are away and may be recovered; beyond it
	// the one that left first is forgotten. Default 100,000.
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
