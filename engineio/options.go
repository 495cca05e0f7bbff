// Options of a server.

package engineio

import (
	"log/slog"
	"time"

	"c100k/internal/engineio"
)

// Request is an HTTP request of a client.
type Request = engineio.Request

// CORS are the further fields of answers to pages of other origins that are allowed.
type CORS = engineio.CORS

// Options configure a Server. The zero value is a working server, and the zero value of a field its
// default.
type Options struct {
	// Path is where the server answers, with a slash at its end. Default "/engine.io/".
	Path string

	// AllowV3 accepts clients of Engine.IO protocol 3. Default false.
	AllowV3 bool

	// NoPolling, NoWebSocket and NoUpgrades turn off a transport, or the upgrade from polling to
	// WebSocket.
	NoPolling, NoWebSocket, NoUpgrades bool

	// PingInterval and PingTimeout are the times of the heartbeat; the handshake tells them to
	// clients. Default 25 s and 20 s.
	PingInterval, PingTimeout time.Duration

	// UpgradeTimeout bounds the upgrade from polling to WebSocket. Default 10 s.
	UpgradeTimeout time.Duration

	// MaxPayload bounds a message, and the body of a POST, in bytes; the handshake tells it to
	// clients. Default 1,000,000.
	MaxPayload int

	// Outbox bounds the output that a client has not read, in bytes; beyond it the client is
	// disconnected. Default 1 MiB.
	Outbox int

	// Compress lets WebSocket clients negotiate permessage-deflate. Default false.
	Compress bool

	// Origins are the pages that may connect, by either transport: "https://example.com",
	// "*.example.com", "same-host", "*" for all. Default: only those of the host that the request was
	// sent to.
	Origins []string

	// CORS are the further fields of answers to pages of other origins that are allowed.
	CORS CORS

	// Cookie is the name of a cookie with the client's id, for load balancers. Default none.
	Cookie string

	// CookieAttributes are the attributes of the cookie, as in Set-Cookie. Default "Path=/; HttpOnly;
	// SameSite=Lax".
	CookieAttributes string

	// Use is called on the event loop for each HTTP request of a client. If it returns an error, the
	// request is refused with code 3. Default none.
	Use func(r *Request) error

	// AllowRequest is called on the event loop for each handshake, after Use. If it returns an error,
	// the handshake is refused with code 4 and the text of the error. Default none.
	AllowRequest func(r *Request) error

	// OnConnectionError is called on the event loop for each request that is refused with a code of
	// Engine.IO. r is valid during the call. Default none.
	OnConnectionError func(r *Request, code int, message string)

	// Loops is how many event loops the server runs. Default: the cores (GOMAXPROCS).
	Loops int

	// MaxConns bounds the connections, and the sessions that poll; beyond it new ones get 503. Default
	// 10,000.
	MaxConns int

	// Logger logs panics of handlers. Nil: nothing is logged.
	Logger *slog.Logger
}

func (o *Options) withDefaults() {
	if o.Path == "" {
		o.Path = "/engine.io/"
	}
	if o.MaxConns == 0 {
		o.MaxConns = maxConnsDefault
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
}
