// Configuration of a node: one field for every setting of `c100k serve`, and the fields only a Go
// program can set.

package server

import (
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"sync"
	"time"

	"c100k/broadcast"
	"c100k/internal/edge"
	"c100k/netpoll"
	"c100k/socketio"
	"c100k/websocket"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"
)

// Values of Config.SlowConsumer.
const (
	SlowDisconnect = "disconnect"  // the connection that lags is closed
	SlowDropOldest = "drop-oldest" // its oldest unsent messages make room
	SlowDropNewest = "drop-newest" // new messages pass it by until it has caught up
)

// Values of Config.IO.
const (
	IOAuto    = "auto"    // io_uring where it is allowed, system calls otherwise
	IOUring   = "uring"   // io_uring, or New fails
	IOSyscall = "syscall" // one system call a read and a write
)

// Values of Config.TLSMin.
const (
	TLSMin12 = "1.2"
	TLSMin13 = "1.3"
)

// Values of Config.TLSClientAuth.
const (
	ClientAuthOff      = "off"      // clients are not asked for a certificate
	ClientAuthOptional = "optional" // a certificate that is shown must be good
	ClientAuthRequire  = "require"  // no connection without a good certificate
)

// Off switches a duration off where its field allows that: zero is taken by "the default".
const Off = time.Duration(-1)

// WorkersAuto asks for as many processes as MaxConns and the limit on open files need.
const WorkersAuto = -1

// BusMemory is the bus of a node that stands alone.
const BusMemory = "memory"

// Defaults and bounds. A bound stands where a value beyond it is a slip of the hand rather than a
// wish.
const (
	maxMessageDefault = 64 << 10 // bytes
	maxMessageMax     = 1 << 30  // bytes: frames and outboxes count in 32 bits, and one message is one buffer
	outboxDefault     = 1 << 20  // bytes a connection
	outboxMax         = 1 << 30  // bytes a connection: see maxMessageMax

	historyBytesDefault = broadcast.KeptBytesDefault // or the part below of Config.Memory
	historyBytesPart    = 4
	historySyncDefault  = "100ms"
	historySyncMin      = 10 * time.Millisecond
	historySyncMax      = time.Hour
	historySyncOff      = 365 * 24 * time.Hour // longer than a process lives
	historyBytesMin     = 1 << 20              // bytes: less holds no message of the largest size

	maxHeadMin         = 1 << 10 // bytes
	maxHeadMax         = 64 << 10
	maxRequestsDefault = 4096

	handshakeTimeoutDefault = 5 * time.Second
	bodyTimeoutDefault      = 5 * time.Minute
	upstreamTimeoutDefault  = time.Minute
	pingIntervalDefault     = 30 * time.Second
	pingTimeoutDefault      = 10 * time.Second
	drainDefault            = 30 * time.Second
	tokenLeewayDefault      = 10 * time.Second

	// A leeway is for clocks, which are seconds apart. More than this is more likely a wrong unit.
	tokenLeewayMax = 10 * time.Minute

	// The timer wheel ticks every 4 ms at best: a shorter deadline would fire at the wheel's pace, not
	// at the configured one.
	timeoutMin = 100 * time.Millisecond
	// A deadline of more than a day keeps records of dead peers, and is more likely a wrong unit.
	timeoutMax = 24 * time.Hour

	// A slower rate would take minutes to forget a connection, a faster one limits nothing.
	connRateMin = 0.01
	connRateMax = 1e6

	loopsMax = 256     // a connection's ID has 8 bits for its loop
	connsMax = 1 << 24 // a fan-out's member number has 24 bits

	byteRateMax = 1_000_000_000_000 // bytes a second: no network of a machine is so fast

	// reservedFiles are kept back from the limit on open files when MaxConns is left to it: listeners,
	// epoll and io_uring descriptors, the admin port, HTTP requests on their way to an upstream, and
	// the runtime's own.
	reservedFiles = 128
)

// Config says how a node runs. The zero value is a working node on port 8080 with nothing open on
// it; the zero value of a field is its default unless its comment says otherwise. Fields must not
// be changed after New.
type Config struct {
	// Dev is for a laptop: listens on loopback, anyone may subscribe and publish, /echo, /broadcast
	// and the demo page are on. Default false.
	Dev bool
	// Listen is the public address, every transport and plain HTTP on this one port: host:port.
	// Default ":8080", "127.0.0.1:8080" with Dev. Port 0 takes a free one; OnListen tells which.
	//
	// "unix:/PATH" is a Unix socket; "?mode=0660&owner=NAME&group=NAME" behind it sets those of its
	// file. Its peers have no address: they are trusted proxies, and the mode decides who may connect.
	Listen string
	// Admin is the address of health, metrics and the publish API: host:port. Empty: there is no admin
	// port, which is the zero value; Defaults has "127.0.0.1:9100".
	Admin string

	// Workers is how many processes share the public port, 1 to 64. Default 1. WorkersAuto derives it
	// from MaxConns and the limit on open files. A Server is one of them: `c100k serve` starts the
	// others, and New refuses more than 1.
	Workers int
	// Loops is how many event loops run in each process, 1 to 256, and at most 256 over all workers.
	// Default: the cores (GOMAXPROCS) divided by the workers, at least 1.
	Loops int

	// MaxConns is how many connections are held at once, by all workers together; beyond it new ones
	// get 503. As many sessions of Socket.IO may poll beside them. Default: what the process's limit
	// on open files allows, less a reserve, for each worker.
	MaxConns int
	// MaxConnsPerIP is how many connections one address may hold, and how many sessions of Socket.IO
	// that poll; beyond it 429. A /64 of IPv6 is one address. The connections of TrustedProxies count
	// for their clients. It holds for all workers together. Zero: no limit.
	MaxConnsPerIP int
	// ConnRatePerIP is how many connections a second one address may open on average, and within one
	// second at once, 0.01 to 1,000,000; beyond it 429. Addresses are those of MaxConnsPerIP, and it
	// holds for all workers together. Zero: no limit.
	ConnRatePerIP float64
	// MaxConnsPerUser is how many WebSockets and streams of events one user may hold, by the subject
	// of its token or of the connect hook's answer; beyond it 429. It holds for all workers together.
	// Zero: no limit.
	MaxConnsPerUser int
	// TrustedProxies are the networks of proxies that speak for their clients: whose X-Forwarded-For
	// is believed, and who may begin a connection with a PROXY header, version 1 or 2. Do not list a
	// proxy that passes on bytes without such a header: its clients could send one. Default none: the
	// peer's address counts.
	TrustedProxies []netip.Prefix

	// MaxHead is the largest request head, in bytes, 1 KiB to 64 KiB; larger: 431. Default 8 KiB.
	MaxHead int
	// MaxRequests is how many requests net/http serves at one time, 1 to 16,777,216: the API, files,
	// and those for Upstream or Handler; beyond it 503. WebSockets through Upstream do not count.
	// Default 4,096. Each worker counts its own.
	MaxRequests int

	// MaxMessage is the largest message a client may send, in bytes, 1 to 1 GiB; larger: close 1009.
	// Default 64 KiB.
	MaxMessage int
	// Rate is how many messages a second a connection may send on average; beyond it close 1008. Zero:
	// no limit.
	Rate float64
	// RateBurst is how many messages a connection may send at once before Rate counts. Default: one
	// second of Rate, at least 1. Means nothing without Rate.
	RateBurst int
	// ByteRate is how many bytes of messages a second a connection may send on average, up to 1e12, as
	// they are after inflating; beyond it close 1008. One second of it, and at least MaxMessage, may
	// come at once. Zero: no limit.
	ByteRate int

	// Outbox is how many bytes a connection may lag behind, MaxMessage to 1 GiB. Default 1 MiB, or
	// MaxMessage where that is larger.
	Outbox int
	// SlowConsumer is what happens to a connection beyond Outbox: "disconnect" (default),
	// "drop-oldest", "drop-newest".
	SlowConsumer string

	// History says of which topics messages are kept, for clients that come back and for the API, each
	// as PATTERN=COUNT,AGE or PATTERN=COUNT,AGE,BYTES: "chat.>=100,5m" keeps of each topic below chat.
	// the last 100 messages for five minutes. The first that matches decides. Nil: nothing is kept, or
	// with Dev and one worker, of the demo page's topic, the last 100 for five minutes.
	History []string
	// Presence are patterns of topics whose members are known, to clients with the right to that and
	// to the API: see docs/presence.md. Default none.
	Presence []string
	// HistoryBytes bounds what is kept of all topics in memory, in bytes, 1 MiB to half of Memory.
	// Default: 256 MiB, or a quarter of Memory where that is less.
	HistoryBytes int
	// HistoryDir is a directory in which what is kept outlives the process. It is made, and belongs to
	// one node at a time. Default none: the memory, or with a bus its server, keeps it.
	HistoryDir string
	// HistorySync says when the files of HistoryDir are on the disk, and so what a loss of power
	// costs: a time after the publish, 10 ms to 1 h; "always": before the publish is acknowledged;
	// "off": when the kernel sees fit. Default 100 ms.
	HistorySync string
	// Memory is how much memory the node may use, in bytes, 32 MiB or more. Half of it is what it may
	// hold for clients: parts of messages and requests, output that waits, sessions, topics. Where
	// that is reached, reading pauses, the connections that hold most are closed (1013), and new ones
	// get 503, until a quarter of it is free again. Each of several workers, and their parent, has an
	// even share. `c100k serve` tells the garbage collector of it too, unless GOMEMLIMIT is set; a
	// program does that itself. Default: 80 % of the memory of the cgroup, or of the machine.
	Memory int

	// HandshakeTimeout is the time from accept to the end of the request head, 100 ms to 24 h. Default
	// 5 s.
	HandshakeTimeout time.Duration
	// BodyTimeout is the time that the body of a request to net/http may take in all, 100 ms to 24 h;
	// 10 s without a byte of it end it earlier: 408. Default 5 min. Off: only the 10 s hold.
	BodyTimeout time.Duration
	// PingInterval is the quiet time after which a connection is pinged, 100 ms to 24
	// h. Default 30 s. Off: no heartbeats; half-open peers are then found by TCP alone.
	PingInterval time.Duration
	// PingTimeout is how long the answer to a heartbeat may take, 100 ms to 24 h. Default 10 s.
	PingTimeout time.Duration
	// Drain is the time over which connections are closed, spread evenly, at a stop; up to 24 h.
	// Default 30 s. Off: all at once.
	Drain time.Duration

	// Origins are the Origin values allowed, for WebSocket and for HTTP: "https://example.com",
	// "https://example.com:*" for any port, "*.example.com" for its subdomains by http and https,
	// "same-host", "null", or "*" for all. Default: only the host the request was sent to.
	Origins []string
	// Hosts are the values of Host that are served, names such as "example.com" or "*.example.com";
	// others get 421. With Dev the loopback names and all IP addresses are served too, and no other
	// name: a foreign page whose name resolves to 127.0.0.1 is refused. Default: all, with Dev only
	// those.
	Hosts []string
	// PublicTopics are patterns of the topics that need no token to subscribe: levels are separated
	// by dots, "*" is one level, and ">" at the end is one or more. ">" alone is all topics. Default
	// none.
	PublicTopics []string

	// Compress turns permessage-deflate on, without context takeover. Default false.
	Compress bool
	// IO is how a turn's reads and writes reach the kernel: "auto" (default), "uring", "syscall".
	IO string

	// Upstream is the server that gets every HTTP request that is not ours: an http or https URL.
	// Default none. Excludes Static and Handler.
	Upstream string
	// UpstreamTimeout is how long Upstream may take to begin its answer, and to take bytes of a
	// request, 100 ms to 24 h; beyond it 504. Default 1 min. Off: no limit.
	UpstreamTimeout time.Duration
	// OTLP is the collector of OpenTelemetry that gets traces of publishes and of requests to hooks,
	// over HTTP: an http or https URL; without a path /v1/traces is added. Default none.
	OTLP string
	// OTLPSample is the part of them that is traced, 0 to 1; a publish with the header traceparent is
	// traced if that says so. Default 0.01. Negative: only those.
	OTLPSample float64
	// Static is the directory whose files answer every GET that is not ours. Default none. Excludes
	// Upstream and Handler.
	Static string
	// StaticDotfiles serves files below Static whose name, or that of a directory above, begins with a
	// dot. Default false.
	StaticDotfiles bool
	// Bus joins nodes: "memory" (default) is a node alone. nats://HOST:PORT joins all nodes at that
	// NATS server, with TOKEN@ or USER:PASSWORD@ before HOST where it asks for one, and tls:// in
	// place of nats:// for TLS; several servers of one NATS cluster stand behind commas.
	// redis://[:PASSWORD@]HOST:PORT[/DATABASE] joins them at a Redis server, rediss:// with TLS,
	// redis-sentinel://HOST,HOST/MASTER at the master that Sentinel names, redis-cluster://HOST,HOST
	// in a cluster; ?prefix=NAME keeps several clusters of nodes on one Redis apart. New fails with
	// ErrBus if it cannot be reached; if it is lost later, the node goes on and reconnects. Topics
	// cross the bus, and so do rooms and broadcasts of Socket.IO: see SocketIOAdapter.
	Bus string
	// BusCreds is a file with credentials for NATS: a JWT and its key, as nsc writes them. Default
	// none. Read at each connection.
	BusCreds string
	// SocketIOAdapter joins Socket.IO servers, so that rooms and broadcasts hold for all of them:
	// "bus" (default) goes with the topics; "redis", "redis-sharded" and "redis-streams" are the
	// formats of npm @socket.io/redis-adapter and @socket.io/redis-streams-adapter, in one cluster
	// with servers of Node. New fails with ErrBus if Redis cannot be reached. A SocketIO with an
	// adapter of its own must be used with "bus".
	SocketIOAdapter string
	// SocketIORedis is the Redis of SocketIOAdapter: redis://HOST:PORT, redis-sentinel://A,B/MASTER or
	// redis-cluster://A,B, each with rediss for TLS. Default: that of Bus.
	SocketIORedis string
	// SocketIORedisKey is the prefix of its channels, as the option "key" of Node's adapter. Default
	// "socket.io".
	SocketIORedisKey string
	// Advertise is where other nodes reach the public port of this one: HOST:PORT, or
	// https://HOST:PORT. Requests of Socket.IO clients that arrive at another node than that of their
	// session are passed on to it, and TrustedProxies should have the addresses of the nodes. The
	// nodes tell each other over the Bus. Default none: a load balancer must send a client that polls
	// to the same node each time.
	Advertise string
	// Cluster is an address, ADDR:PORT, on which this node listens for others that it forms a cluster
	// with: their embedded NATS servers are the bus, and nothing needs to be installed. All that goes
	// between them is TLS 1.3. Default none. Excludes a Bus.
	Cluster string
	// ClusterPeers are addresses, HOST:PORT, of other nodes of the cluster. One that runs is enough:
	// it tells of the rest. Those that do not answer are tried for ever.
	ClusterPeers []string
	// ClusterSecretFile is a file with the secret that all nodes of the cluster share, of 32 bytes or
	// more. Whoever has it can join.
	ClusterSecretFile string
	// ReadyWithoutBus keeps the node ready while the bus is lost. Default false: /readyz is then 503,
	// so that a balancer prefers nodes that hear the others; when the broker itself stops, no node is
	// ready. With true, new clients are served and hear of this node only.
	ReadyWithoutBus bool

	// TokenKeys are files with keys that verify tokens: a secret of 32 bytes or more for HS256, HS384
	// and HS512; public keys or certificates in PEM for RS, PS, ES and EdDSA; or a JWK Set. Read by
	// New and at each Reload. Default none.
	TokenKeys []string
	// TokenJWKS is the http or https URL of a JWK Set. It is fetched again every 10 minutes, and for
	// an unknown key at most once in 30 s. Default none.
	TokenJWKS string
	// TokenIssuers and TokenAudiences are the values of iss and aud that are accepted. Default: not
	// checked.
	TokenIssuers, TokenAudiences []string
	// TokenCookie is the name of the cookie that may carry a token, from an allowed origin only.
	// Default none.
	TokenCookie string
	// TokenLeeway is how much the clock of the issuer may be off, for exp and nbf, up to 10 min.
	// Default 10 s. Off: not at all.
	TokenLeeway time.Duration
	// StateDir is a directory for what outlives the process: revocations, and events that HookEvents
	// has not taken. It is made. Default none: they are kept in memory only.
	StateDir string
	// RequireToken refuses clients without a token with 401; those of the node's own Socket.IO, when
	// they connect to its namespace. A SocketIO of the program's own decides by itself. Default false:
	// they may do what is public.
	RequireToken bool
	// HookConnect, HookSubscribe and HookPublish are http or https URLs of a backend that decides
	// whether a client may connect, subscribe and publish: see docs/hooks.md. What a token denies is
	// denied without it. Default none: tokens and PublicTopics decide.
	HookConnect, HookSubscribe, HookPublish string
	// HookEvents is the URL of a backend that is told who connects and disconnects, and which topics
	// have subscribers. Default none.
	HookEvents string
	// HookTimeout bounds how long a request to the backend waits for its turn, and then how long it
	// may take, 100 ms to 30 s. Default 1 s.
	HookTimeout time.Duration
	// HookConcurrency is how many requests one backend gets at one time, over all workers, 1 to 4,096.
	// Default 64.
	HookConcurrency int
	// HookSecretFile is a file with the secret that signs requests to the backend. Default none: they
	// are not signed.
	HookSecretFile string
	// HookFail is what it means if the backend does not decide: "closed" (default) refuses, "open"
	// allows.
	HookFail string
	// HookHeaders are the names of those header fields of a client's request that the connect hook
	// gets. Default none.
	HookHeaders []string
	// Authenticate says who a client is, from the request that begins its connection. token is what
	// its token says, nil if it has none; without TokenKeys and TokenJWKS tokens are not verified, and
	// are for Authenticate to read. The result counts; nil is a client that is not known. An
	// *AuthError refuses the client with a reason, any other error with 503. It may block for up to
	// 5 s, the deadline of the request's context, and is called on many goroutines. Nil: tokens alone
	// decide.
	Authenticate func(r *http.Request, token *Identity) (*Identity, error) `json:"-"`

	// TLSCerts are files of certificates, PEM, each with its chain; TLSKeys are the files of their
	// keys, in the same order. With one, the public port speaks TLS. The name that a client asks for
	// chooses the certificate, and the first is the default. Files are watched, and read again by
	// Reload: where one cannot be used, that is logged and the old certificate stays. Default none:
	// plain text.
	TLSCerts, TLSKeys []string
	// TLSMin is the least version of TLS: "1.2" (default) or "1.3". Of 1.2 only suites with a
	// forgotten key exchange and an AEAD cipher are offered.
	TLSMin string
	// TLSClientCA is a file of certificates, PEM, of the authorities that vouch for clients. Watched.
	// Default none.
	TLSClientCA string
	// TLSClientAuth is whether clients prove who they are by a certificate of TLSClientCA: "off"
	// (default), "optional" (a certificate that is shown must be good), "require".
	TLSClientAuth string
	// TLSTicketKeys is a file of keys of session tickets that nodes behind one name share: 64
	// hexadecimal digits a line, the first seals. Watched. Default: keys made at the start, shared by
	// all workers, and rotated daily.
	TLSTicketKeys string
	// DevTLS makes a certificate for this start, for loopback names. Needs Dev. Excludes TLSCerts and
	// ACME. Default false.
	DevTLS bool

	// ACME are names for which certificates are obtained from an authority, by a challenge on the
	// public port (TLS-ALPN-01, the authority comes to port 443) or on HTTPRedirect (HTTP-01, port
	// 80). Setting it is agreeing to the authority's terms. Default none.
	ACME []string
	// ACMEEmail is the address by which the authority reaches the operator. Default none.
	ACMEEmail string
	// ACMEDirectory is the URL of the authority's directory. Default: that of Let's Encrypt.
	ACMEDirectory string
	// ACMEStorage is the directory in which account and certificates are kept. Nodes that share it
	// obtain each certificate once. Required with ACME.
	ACMEStorage string
	// HTTPRedirect is the address of a second listener, which answers requests in plain HTTP with 308
	// to https: on the same host and path, and answers challenges of ACME: host:port. Default none.
	HTTPRedirect string

	// AdminTLSCert and AdminTLSKey are the files of a certificate, PEM, and its key: with them the
	// admin port speaks TLS. Watched. Default none.
	AdminTLSCert, AdminTLSKey string

	// APIKey is the bearer key of the publish API, 8 to 1024 visible ASCII characters. Default none.
	// Excludes APIKeyFile.
	APIKey string
	// APIKeyFile is a file that holds the key, read by New and at each Reload. Default none. Excludes
	// APIKey.
	APIKeyFile string
	// AdminReadKey is a bearer key for those who may read the API and change nothing, 8 to 1024
	// visible ASCII characters. Default none.
	AdminReadKey string
	// DemoEndpoints turns /echo and /broadcast on. Default false; Dev turns it on.
	DemoEndpoints bool

	// SocketIO is served at /socket.io/; it must not be mounted elsewhere. Limits, heartbeat, origins
	// and compression are those of the node. Its rooms and broadcasts hold for all workers and nodes,
	// as SocketIOAdapter says, or its own adapter. Excludes NoSocketIO and SocketIOV2 (see
	// socketio.Options.AllowV3). Nil: a server of the node's own, whose clients subscribe and publish
	// to the node's topics.
	SocketIO *socketio.Server `json:"-"`
	// WebSockets are servers of the program's own by their path, which begins with a slash and is
	// compared as it was sent. What they publish reaches the same path on all workers and nodes.
	// Their Options hold, but for Loops and MaxConns; Outbox and SlowConsumer of the node hold for
	// what is published. Nil: none.
	WebSockets map[string]*websocket.Server `json:"-"`
	// NoSocketIO turns /socket.io/ off. Default false.
	NoSocketIO bool
	// SocketIOV2 lets clients of Socket.IO 2 in, which speak Engine.IO 3. Default false.
	SocketIOV2 bool

	// ReturnMemory returns memory to the system when the node has started and when many connections
	// have come or gone: it collects garbage and returns what is free. It is for a process that is a
	// node and little else, because the collection covers the whole heap of the program. Default
	// false; `c100k serve` has it.
	ReturnMemory bool

	// Handler answers every HTTP request that is not ours. Nil: 404, or what Upstream, Static or Dev
	// ask for.
	Handler http.Handler `json:"-"`
	// Logger gets the node's log. Nil: nothing is logged.
	Logger *slog.Logger `json:"-"`
	// Registry is where the node's metrics are registered and what /metrics shows. Nil: a registry of
	// its own.
	Registry Registry `json:"-"`
	// OnListen is called by Serve when the ports are open; connections may be served already. admin is
	// nil when there is no admin port. Nil: not called.
	OnListen func(public, admin net.Addr) `json:"-"`
	// Ports are ports that somebody else has opened, as systemd does. Nil: none.
	Ports *Ports `json:"-"`

	// TLS has the public port speak TLS, on every path. It needs a certificate: Certificates,
	// GetCertificate or GetConfigForClient; client certificates and the callbacks are honoured. The
	// versions are 1.2 and 1.3, the suites those with an AEAD, the protocol http/1.1; a configuration
	// that asks for others is an error. Session tickets survive a restart only with
	// SetSessionTicketKeys. It must not be changed once New has it. Nil: plain.
	TLS *tls.Config `json:"-"`

	// layer makes loop i's layer in tests; nil for layerOfBuild. Excludes TLS.
	layer func(loop int) netpoll.Layer
	// Worker makes the Server one of several processes behind one port. Nil: it stands alone.
	Worker *Worker `json:"-"`
}

// Ports are listeners that are used in place of addresses: Public of Listen, Admin of Admin,
// Redirect of HTTPRedirect. Each is plain TCP, Public may be a Unix socket; nil: the address is
// listened on. Use calls for them, so that the addresses are those of the listeners. ListenAndServe
// closes them at its end.
type Ports struct {
	Public, Admin, Redirect net.Listener
}

// Use puts the ports into the configuration, before it is checked.
func (p *Ports) Use(c *Config) {
	c.Ports = p
	for _, one := range []struct {
		ln   net.Listener
		addr *string
	}{{p.Public, &c.Listen}, {p.Admin, &c.Admin}, {p.Redirect, &c.HTTPRedirect}} {
		switch {
		case one.ln == nil:
		case one.ln.Addr().Network() == "unix":
			*one.addr = unixScheme + one.ln.Addr().String()
		default:
			*one.addr = one.ln.Addr().String()
		}
	}
}

// Registry is both sides of a Prometheus registry; a *prometheus.Registry is one.
type Registry interface {
	prometheus.Registerer
	prometheus.Gatherer
}

// Defaults returns what `c100k serve` starts from: every default filled in, and the admin port on.
// Listen, Loops, MaxConns, RateBurst, Outbox, Memory and HistoryBytes stay zero, because theirs
// depend on the machine or on other fields; WithDefaults fills them.
func Defaults() Config {
	c := Config{Admin: "127.0.0.1:9100"}
	c.fill()
	return c
}

// devHistory is what a node of Config.Dev keeps: of the demo page's topic, so that the page can
// show what it missed.
const devHistory = "chat=100,5m"

// layerOfBuild is nil but in a build for tests, see layer_on.go.
var layerOfBuild func(loop int) netpoll.Layer

// fill puts the constant defaults into the fields that are zero.
func (c *Config) fill() {
	if c.layer == nil {
		c.layer = layerOfBuild
	}
	orDefault(&c.Workers, 1)
	orDefault(&c.MaxMessage, maxMessageDefault)
	orDefault(&c.SlowConsumer, SlowDisconnect)
	orDefault(&c.MaxHead, edge.HeadBytesMax)
	orDefault(&c.HistorySync, historySyncDefault)
	orDefault(&c.MaxRequests, maxRequestsDefault)
	orDefault(&c.HandshakeTimeout, handshakeTimeoutDefault)
	orDefault(&c.BodyTimeout, bodyTimeoutDefault)
	orDefault(&c.OTLPSample, otlpSampleDefault)
	orDefault(&c.UpstreamTimeout, upstreamTimeoutDefault)
	orDefault(&c.PingInterval, pingIntervalDefault)
	orDefault(&c.PingTimeout, pingTimeoutDefault)
	orDefault(&c.Drain, drainDefault)
	orDefault(&c.TokenLeeway, tokenLeewayDefault)
	orDefault(&c.IO, IOAuto)
	orDefault(&c.Bus, BusMemory)
	orDefault(&c.SocketIOAdapter, AdapterBus)
	orDefault(&c.SocketIORedisKey, "socket.io")
	orDefault(&c.HookTimeout, hookTimeoutDefault)
	orDefault(&c.HookConcurrency, hookConcurrencyDefault)
	orDefault(&c.HookFail, HookFailClosed)
	orDefault(&c.TLSMin, TLSMin12)
	orDefault(&c.TLSClientAuth, ClientAuthOff)
}

// WithDefaults returns the configuration with every default in place, those included that come from
// the machine and from other fields. It does not validate.
func (c Config) WithDefaults() Config {
	c.fill()
	if c.Workers == WorkersAuto {
		c.Workers = workersFor(c.MaxConns, connsDefault())
	}
	orDefault(&c.Loops, max(1, loopsDefault()/c.Workers))
	orDefault(&c.MaxConns, min(connsDefault()*c.Workers, connsMax))
	orDefault(&c.Memory, memoryDefault())
	orDefault(&c.HistoryBytes, max(min(historyBytesDefault, c.Memory/historyBytesPart), historyBytesMin))
	orDefault(&c.Outbox, max(outboxDefault, c.MaxMessage))
	if c.Dev {
		orDefault(&c.Listen, "127.0.0.1:8080")
		c.DemoEndpoints = true
		if len(c.History) == 0 && c.Workers == 1 && c.Bus == BusMemory && c.Cluster == "" {
			c.History = []string{devHistory}
		}
	}
	orDefault(&c.Listen, ":8080")
	if c.Rate > 0 {
		orDefault(&c.RateBurst, max(1, int(min(c.Rate, connsMax))))
	}
	return c
}

func orDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// OpenFiles returns how many files this process may open. Go raises the soft limit to the hard one
// at start.
func OpenFiles() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 1024 // the kernel's own default
	}
	return int(min(limit.Cur, connsMax))
}

// The limits of the machine are read once: they may change under a running process (the runtime
// follows those of a cgroup), and a reload must not take that for a setting that changed.
var (
	loopsDefault = sync.OnceValue(func() int { return min(runtime.GOMAXPROCS(0), loopsMax) })
	connsDefault = sync.OnceValue(connsAllowed)
)

func connsAllowed() int { return max(1, min(OpenFiles()-reservedFiles, connsMax)) }
