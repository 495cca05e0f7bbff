// The table of settings. Flags, variables, keys of the file, help, `config init` and `config show`
// all come from it.

package settings

import (
	"slices"

	"c100k/server"
)

// Commands that share settings.
var (
	nodeCommands = []string{"serve", "config check", "config show"}
	pubCommand   = []string{"pub"}
	subCommand   = []string{"sub"}

	historyCommand = []string{"history"}

	// adminCommands ask a node's admin port.
	adminCommands  = []string{"pub", "history", "why", "trace", "top"}
	clientCommands = append([]string{"sub"}, adminCommands...)
)

// Table returns the rows in the order of help, bound to the fields of o.
func Table(o *Options) []Setting {
	var rows []Setting
	for _, group := range [][]Setting{publicRows(&o.Node), tlsRows(&o.Node), limitRows(&o.Node), timeRows(&o.Node), accessRows(&o.Node), hookRows(&o.Node), wiringRows(&o.Node)} {
		for _, row := range group {
			row.Commands, row.File = nodeCommands, true
			if row.Name == "api-key" || row.Name == "api-key-file" {
				row.Commands = slices.Concat(adminCommands, nodeCommands)
			}
			if slices.Contains(certificateRows, row.Name) {
				row.Commands = append([]string{"doctor"}, nodeCommands...)
			}
			rows = append(rows, row)
		}
	}
	rows = append(rows, logRows(o)...)
	rows = append(rows, commandRows(o)...)
	rows = append(rows, tokenRows(&o.Token)...)
	rows = append(rows, emitRows(&o.Emit)...)
	return append(rows, loadRows(&o.Load)...)
}

func publicRows(n *server.Config) []Setting {
	return []Setting{
		{Name: "dev", Field: "Dev", Value: toggle(&n.Dev),
			Help: "development mode: listens on loopback, anyone may subscribe and publish; turns on /echo, /broadcast and the demo page"},
		{Name: "listen", Field: "Listen", Arg: "HOST:PORT", Value: text(&n.Listen, "HOST:PORT"), Default: ":8080, with --dev 127.0.0.1:8080",
			Example: `":8080"`, Help: "address of the public port: every transport and plain HTTP; or a Unix socket, unix:/PATH?mode=0660&owner=NAME&group=NAME"},
		{Name: "admin", Field: "Admin", Value: text(&n.Admin, "HOST:PORT"),
			Help: "address of the admin port: health, metrics and the HTTP API; empty: no admin port"},
		{Name: "workers", Field: "Workers", Value: countOrAuto(&n.Workers, server.WorkersAuto), Unit: "processes",
			Help: "processes that share the public port; auto: as many as --max-conns needs if one may not open enough files"},
		{Name: "loops", Field: "Loops", Value: countOrAuto(&n.Loops, 0), Unit: "event loops", Default: "auto: the cores, dealt out to the workers",
			Help: "event loops in each worker"},
	}
}

func limitRows(n *server.Config) []Setting {
	return []Setting{
		{Name: "max-conns", Field: "MaxConns", Value: countOrAuto(&n.MaxConns, 0), Unit: "connections",
			Default: "auto: what the limit on open files allows, for each worker",
			Help:    "limit on connections, over all workers; new ones beyond it get 503 and Retry-After"},
		{Name: "max-conns-per-ip", Field: "MaxConnsPerIP", Value: count(&n.MaxConnsPerIP), Unit: "connections", Default: "0: no limit",
			Help: "limit on connections of one address, over all workers; new ones beyond it get 429"},
		{Name: "max-conns-per-user", Field: "MaxConnsPerUser", Value: count(&n.MaxConnsPerUser), Unit: "connections", Default: "0: no limit",
			Help: "limit on connections of one user (the subject of the token), over all workers; new ones beyond it get 429"},
		{Name: "conn-rate-per-ip", Field: "ConnRatePerIP", Value: rate(&n.ConnRatePerIP), Unit: "connections a second", Default: "0: no limit",
			Help: "limit on the average rate at which one address opens connections, over all workers; beyond it 429"},
		{Name: "max-head", Field: "MaxHead", Value: size(&n.MaxHead), Unit: "bytes",
			Help: "largest request head (cookies and other header fields), up to 64KiB; larger: 431"},
		{Name: "max-requests", Field: "MaxRequests", Value: count(&n.MaxRequests), Unit: "requests",
			Help: "requests for the API, files or --upstream at one time, in each worker; beyond it 503"},
		{Name: "max-message", Field: "MaxMessage", Value: size(&n.MaxMessage), Unit: "bytes",
			Help: "limit on the size of a client's message; a larger one closes the connection with 1009"},
		{Name: "rate", Field: "Rate", Value: rate(&n.Rate), Unit: "messages a second",
			Help: "limit on the average rate of a connection's messages; beyond it the connection is closed with 1008"},
		{Name: "rate-burst", Field: "RateBurst", Value: countOrAuto(&n.RateBurst, 0), Unit: "messages", Default: "auto: one second of --rate",
			Help: "messages that a connection may send at once before --rate applies"},
		{Name: "byte-rate", Field: "ByteRate", Value: size(&n.ByteRate), Unit: "bytes a second", Default: "0: no limit",
			Help: "limit on the average bytes a second of a connection's messages; beyond it the connection is closed with 1008"},
		{Name: "outbox", Field: "Outbox", Value: sizeOrAuto(&n.Outbox), Unit: "bytes", Default: "auto: 1MiB, or --max-message where that is larger",
			Help: "limit on the unsent output of a connection"},
		{Name: "history", Field: "History", Value: whole(&n.History, "PATTERN=COUNT,AGE[,BYTES]"), Default: "none; with --dev chat=100,5m", Example: `["chat.>=100,5m"]`,
			Help: "topics whose last messages are kept, for clients that come back: the first pattern that matches decides"},
		{Name: "presence", Field: "Presence", Value: whole(&n.Presence, "PATTERN"), Example: `["room.>"]`,
			Help: "topics whose members are known, to clients with the right to that and to the API"},
		{Name: "history-bytes", Field: "HistoryBytes", Value: sizeOrAuto(&n.HistoryBytes), Unit: "bytes", Default: "auto: 256MiB, or a quarter of --memory where that is less",
			Help: "limit on the memory of all kept messages, up to half of --memory"},
		{Name: "history-dir", Field: "HistoryDir", Value: text(&n.HistoryDir, "DIR"), Default: "none",
			Help: "directory in which kept messages outlive the process"},
		{Name: "history-sync", Field: "HistorySync", Value: text(&n.HistorySync, "DURATION|always|off"),
			Help: "how long after a publish its bytes are on the disk; always: before it is acknowledged"},
		{Name: "memory", Field: "Memory", Value: sizeOrAuto(&n.Memory), Unit: "bytes", Default: "auto: 80 % of the cgroup or the machine",
			Help: "memory of the node, over all workers; half of it may be held for clients, beyond that the largest holders are closed and new ones get 503"},
		{Name: "slow-consumer", Field: "SlowConsumer", Value: choice(&n.SlowConsumer, server.SlowDisconnect, server.SlowDropOldest, server.SlowDropNewest),
			Arg: "POLICY", Help: "what happens beyond --outbox: disconnect, drop-oldest or drop-newest; drops are counted and announced"},
	}
}

func timeRows(n *server.Config) []Setting {
	return []Setting{
		{Name: "handshake-timeout", Field: "HandshakeTimeout", Value: duration(&n.HandshakeTimeout),
			Help: "time from accept to the end of the request head"},
		{Name: "body-timeout", Field: "BodyTimeout", Value: durationOrOff(&n.BodyTimeout, "off"),
			Help: "time for the body of a request to the API or --upstream; 10s without a byte of it end it earlier: 408"},
		{Name: "ping-interval", Field: "PingInterval", Value: durationOrOff(&n.PingInterval, "off"),
			Help: "time without traffic after which a heartbeat is sent; off: no heartbeats"},
		{Name: "ping-timeout", Field: "PingTimeout", Value: duration(&n.PingTimeout),
			Help: "time to answer a heartbeat; then the connection is closed"},
		{Name: "drain", Field: "Drain", Value: durationOrOff(&n.Drain, "0s"),
			Help: "time over which connections are closed, evenly, when the node stops; 0s: at once"},
	}
}

func accessRows(n *server.Config) []Setting {
	return []Setting{
		{Name: "trusted-proxies", Field: "TrustedProxies", Value: networks(&n.TrustedProxies), Example: "[10.0.0.0/8, 127.0.0.1]",
			Help: "networks whose X-Forwarded-For and PROXY header are believed"},
		{Name: "origin", Field: "Origins", Value: texts(&n.Origins, "ORIGIN,..."), Default: "none: the host of the request", Example: "[https://example.com]",
			Help: "allowed Origin values, for WebSocket and for HTTP: https://example.com, *.example.com, same-host, * for all"},
		{Name: "host", Field: "Hosts", Value: texts(&n.Hosts, "NAME,..."), Default: "none: all, with --dev loopback names and IP addresses", Example: "[push.example.com]",
			Help: "values of Host that are served, example.com or *.example.com; others get 421"},
		{Name: "public-topics", Field: "PublicTopics", Value: texts(&n.PublicTopics, "PATTERN,..."), Example: `[news, "chat.>"]`,
			Help: "topics that need no token to subscribe; * is one level, > at the end one or more: news, chat.*, >"},
		{Name: "token-key", Field: "TokenKeys", Value: texts(&n.TokenKeys, "FILE,..."), Default: "none", Example: "[/etc/c100k/token-secret]",
			Help: "file with a key that verifies tokens: a secret of 32 bytes or more, a PEM public key, or a JWK Set; repeatable"},
		{Name: "token-jwks", Field: "TokenJWKS", Value: text(&n.TokenJWKS, "URL"), Example: "https://id.example.com/.well-known/jwks.json",
			Help: "JWK Set with keys that verify tokens; fetched again in the background, and at most once in 30s for an unknown key"},
		{Name: "token-issuer", Field: "TokenIssuers", Value: texts(&n.TokenIssuers, "ISSUER,..."), Default: "none: not checked", Example: "[https://id.example.com]",
			Help: "accepted values of the claim iss"},
		{Name: "token-audience", Field: "TokenAudiences", Value: texts(&n.TokenAudiences, "AUDIENCE,..."), Default: "none: not checked", Example: "[push]",
			Help: "accepted values of the claim aud"},
		{Name: "token-cookie", Field: "TokenCookie", Value: text(&n.TokenCookie, "NAME"), Example: "session",
			Help: "cookie that may carry the token, from pages of an allowed origin only"},
		{Name: "token-leeway", Field: "TokenLeeway", Value: durationOrOff(&n.TokenLeeway, "0s"),
			Help: "difference between the clocks of the issuer and the node that exp and nbf allow"},
		{Name: "require-token", Field: "RequireToken", Value: toggle(&n.RequireToken),
			Help: "refuses clients without a token with 401"},
		{Name: "api-key", Field: "APIKey", Value: text(&n.APIKey, "KEY"), Secret: true, Example: "change-me-to-a-random-word",
			Help: "bearer key of the HTTP API; visible in the list of processes, so prefer --api-key-file"},
		{Name: "api-key-file", Field: "APIKeyFile", Value: text(&n.APIKeyFile, "FILE"), Example: "/run/secrets/c100k-api-key",
			Help: "file with the bearer key of the HTTP API"},
		{Name: "admin-read-key", Field: "AdminReadKey", Value: text(&n.AdminReadKey, "KEY"), Secret: true, Example: "change-me-to-another-word",
			Help: "bearer key of those who may read the HTTP API and the dashboard, and change nothing"},
		{Name: "demo-endpoints", Field: "DemoEndpoints", Value: toggle(&n.DemoEndpoints), Default: "off, with --dev on",
			Help: "turns /echo and /broadcast on"},
	}
}

func wiringRows(n *server.Config) []Setting {
	return []Setting{
		{Name: "compress", Field: "Compress", Value: onOff(&n.Compress),
			Help: "permessage-deflate without context takeover, each broadcast compressed once"},
		{Name: "no-socketio", Field: "NoSocketIO", Value: toggle(&n.NoSocketIO),
			Help: "turns /socket.io/ off"},
		{Name: "socketio-v2", Field: "SocketIOV2", Value: toggle(&n.SocketIOV2),
			Help: "accepts clients of Socket.IO 2 (Engine.IO 3) too"},
		{Name: "io", Field: "IO", Value: choice(&n.IO, server.IOAuto, server.IOUring, server.IOSyscall),
			Help: "how a turn's reads and writes reach the kernel; auto takes io_uring where it is allowed"},
		{Name: "upstream", Field: "Upstream", Value: text(&n.Upstream, "URL"), Example: "http://127.0.0.1:3000",
			Help: "server to which all other HTTP requests are passed, as by a reverse proxy"},
		{Name: "upstream-timeout", Field: "UpstreamTimeout", Value: durationOrOff(&n.UpstreamTimeout, "off"),
			Help: "time for --upstream to begin its answer; beyond it 504"},
		{Name: "otlp", Field: "OTLP", Value: text(&n.OTLP, "URL"), Example: "http://127.0.0.1:4318",
			Help: "collector of OpenTelemetry that gets traces of publishes and hooks, by OTLP over HTTP"},
		{Name: "otlp-sample", Field: "OTLPSample", Value: partOrOff(&n.OTLPSample), Unit: "part, 0 to 1",
			Help: "part of publishes and hooks that is traced; one with the header traceparent is traced if that says so; off: only those"},
		{Name: "static", Field: "Static", Value: text(&n.Static, "DIR"), Example: "/srv/www",
			Help: "directory whose files answer all other HTTP requests"},
		{Name: "static-dotfiles", Field: "StaticDotfiles", Value: toggle(&n.StaticDotfiles),
			Help: "serves files of --static whose name begins with a dot, too"},
		{Name: "bus", Field: "Bus", Value: text(&n.Bus, "URL"), Example: "nats://127.0.0.1:4222",
			Help: "what joins nodes: memory for a single node; NATS: nats://, tls://; Redis: redis://, rediss://, redis-sentinel://HOST,HOST/MASTER, redis-cluster://HOST,HOST"},
		{Name: "bus-creds", Field: "BusCreds", Value: text(&n.BusCreds, "FILE"), Example: "/etc/c100k/bus.creds",
			Help: "credentials for NATS, a JWT and its key as nsc writes them"},
		{Name: "socketio-adapter", Field: "SocketIOAdapter", Value: choice(&n.SocketIOAdapter, server.AdapterBus, server.AdapterRedis, server.AdapterSharded, server.AdapterStreams),
			Help: "how Socket.IO servers are joined: by --bus, or in the format of Node's adapters for Redis"},
		{Name: "socketio-redis", Field: "SocketIORedis", Value: text(&n.SocketIORedis, "URL"), Default: "that of --bus", Example: "redis://127.0.0.1:6379",
			Help: "Redis of --socketio-adapter"},
		{Name: "socketio-redis-key", Field: "SocketIORedisKey", Value: text(&n.SocketIORedisKey, "PREFIX"),
			Help: "prefix of its channels, and name of the stream of redis-streams, as the options key and streamName of Node's adapters"},
		{Name: "advertise", Field: "Advertise", Value: text(&n.Advertise, "HOST:PORT"), Example: `"10.0.0.7:8080"`,
			Help: "where other nodes reach this one, to pass on requests of Socket.IO sessions that it has; https://HOST:PORT with TLS"},
		{Name: "cluster", Field: "Cluster", Value: text(&n.Cluster, "ADDR"), Default: "none", Example: "10.0.0.1:7400",
			Help: "address on which the node listens for others that it forms a cluster with; nothing else to install"},
		{Name: "cluster-peer", Field: "ClusterPeers", Value: texts(&n.ClusterPeers, "ADDR"), Default: "none", Example: "[10.0.0.2:7400]",
			Help: "address of another node of the cluster; one that runs is enough"},
		{Name: "cluster-secret-file", Field: "ClusterSecretFile", Value: text(&n.ClusterSecretFile, "FILE"), Default: "none", Example: "/etc/c100k/cluster-secret",
			Help: "file with the secret that all nodes of the cluster share, 32 bytes or more"},
		{Name: "ready-without-bus", Field: "ReadyWithoutBus", Value: toggle(&n.ReadyWithoutBus),
			Help: "/readyz stays 200 while the bus is lost; otherwise it is 503, on all nodes when the broker itself stops"},
	}
}

func logRows(o *Options) []Setting {
	return []Setting{
		{Name: "log-format", Value: choice(&o.LogFormat, "auto", "text", "json"), Default: "auto: text on a terminal, JSON otherwise",
			Help: "format of the log", Commands: nodeCommands, File: true},
		{Name: "log-file", Value: text(&o.LogFile, "FILE"), Default: "none: standard error", Example: "/var/log/c100k.log",
			Help: "file that the log is appended to; opened again when it has been moved away, as logrotate does", Commands: nodeCommands, File: true},
		{Name: "log-level", Value: choice(&o.LogLevel, "debug", "info", "warn", "error"),
			Help: "least level that is logged", Commands: nodeCommands, File: true},
		{Name: "config", Value: text(&o.ConfigFile, "FILE"),
			Help: "YAML file with settings; environment and flags override it", Commands: append([]string{"doctor"}, nodeCommands...)},
	}
}

func commandRows(o *Options) []Setting {
	pub, sub, past := &o.Pub, &o.Sub, &o.History
	return []Setting{
		{Name: "admin-url", Commands: adminCommands, Value: text(&o.AdminURL, "URL"), Help: "admin port of the node"},
		{Name: "json", Scope: "pub", Commands: pubCommand, Value: toggle(&pub.JSON), Help: "DATA is JSON"},
		{Name: "text", Scope: "pub", Commands: pubCommand, Value: toggle(&pub.Text), Help: "DATA is text",
			Default: "on if DATA is UTF-8"},
		{Name: "binary", Scope: "pub", Commands: pubCommand, Value: toggle(&pub.Binary), Help: "DATA is bytes",
			Default: "on if DATA is not UTF-8"},
		{Name: "repeat", Scope: "pub", Commands: pubCommand, Value: count(&pub.Repeat), Unit: "times", Help: "times to publish it; 0: until interrupted"},
		{Name: "rate", Scope: "pub", Commands: pubCommand, Value: rate(&pub.Rate), Unit: "messages a second",
			Default: "off: as fast as they are answered", Help: "pace of --repeat"},

		{Name: "ca", Commands: clientCommands, Value: text(&o.Trust.CA, "FILE"), Default: "none: those of the system", Help: "authorities that vouch for the node, PEM"},
		{Name: "insecure", Commands: clientCommands, Value: toggle(&o.Trust.Insecure), Help: "take any certificate"},
		{Name: "cert", Commands: clientCommands, Value: text(&o.Trust.Cert, "FILE"), Help: "certificate, PEM, to show to a node that asks for one"},
		{Name: "key", Commands: clientCommands, Value: text(&o.Trust.Key, "FILE"), Help: "key of --cert, PEM"},

		{Name: "url", Commands: subCommand, Value: text(&o.URL, "URL"), Help: "WebSocket address of the node"},
		{Name: "json", Scope: "sub", Commands: subCommand, Value: toggle(&sub.JSON), Help: "print each message as JSON, with its topic, on one line"},
		{Name: "count", Scope: "sub", Commands: subCommand, Value: count(&sub.Count), Unit: "messages", Default: "0: no end", Help: "exit after so many messages"},
		{Name: "no-reconnect", Scope: "sub", Commands: subCommand, Value: toggle(&sub.NoReconnect), Help: "exit with 1 when the connection is lost"},
		{Name: "last", Commands: subCommand, Value: count(&sub.Last), Unit: "messages", Default: "0: begin now", Help: "begin with the last so many messages, to 1000"},
		{Name: "rewind", Commands: subCommand, Value: duration(&sub.Rewind), Default: "0s: begin now", Help: "begin with what was published so long ago"},
		{Name: "after", Scope: "sub", Commands: subCommand, Value: text(&sub.After, "EPOCH.OFFSET"), Help: "begin behind a position"},

		{Name: "json", Scope: "history", Commands: historyCommand, Value: toggle(&past.JSON), Help: "print each message as JSON, with its position, on one line"},
		{Name: "reverse", Commands: historyCommand, Value: toggle(&past.Reverse), Help: "newest first"},
		{Name: "limit", Commands: historyCommand, Value: count(&past.Limit), Unit: "messages", Default: "0: all", Help: "print at most so many"},
		{Name: "after", Scope: "history", Commands: historyCommand, Value: text(&past.After, "EPOCH.OFFSET"),
			Help: "begin behind a position; with --reverse, in front of it"},

		{Name: "conn", Scope: "trace", Commands: []string{"trace"}, Value: text(&o.Trace.Conn, "ID"), Help: "trace a connection, by its id"},
		{Name: "sub", Scope: "trace", Commands: []string{"trace"}, Value: text(&o.Trace.Sub, "SUB"), Help: "trace a user, by the subject of its tokens"},
		{Name: "topic", Scope: "trace", Commands: []string{"trace"}, Value: text(&o.Trace.Topic, "TOPIC"), Help: "trace a topic"},
		{Name: "address", Scope: "trace", Commands: []string{"trace"}, Value: text(&o.Trace.Address, "ADDRESS"), Help: "trace an address, or a network such as 10.0.0.0/8"},
		{Name: "payload", Scope: "trace", Commands: []string{"trace"}, Value: toggle(&o.Trace.Payload), Help: "show the beginning of payloads"},
		{Name: "json", Scope: "trace", Commands: []string{"trace"}, Value: toggle(&o.Trace.JSON), Help: "print events as JSON, one a line"},
		{Name: "once", Scope: "top", Commands: []string{"top"}, Value: toggle(&o.Top.Once), Help: "print one look and end"},
		{Name: "json", Scope: "top", Commands: []string{"top"}, Value: toggle(&o.Top.JSON), Help: "with --once: print it as JSON"},
		{Name: "json", Scope: "why", Commands: []string{"why"}, Value: toggle(&o.Why.JSON), Help: "print the answers of the node, one document a line"},

		{Name: "conns", Scope: "doctor", Commands: []string{"doctor"}, Value: count(&o.Doctor.Conns), Unit: "connections", Help: "connections that this machine should hold"},
		{Name: "workers", Scope: "doctor", Commands: []string{"doctor"}, Value: countOrAuto(&o.Doctor.Workers, 0), Unit: "processes",
			Default: "auto: as many as the limit on open files asks for", Help: "processes of the node that share the port, as in serve"},
		{Name: "with-load", Scope: "doctor", Commands: []string{"doctor"}, Value: toggle(&o.Doctor.WithLoad),
			Help: "the load generator runs on this machine too: count both ends of each connection"},
		{Name: "json", Scope: "doctor", Commands: []string{"doctor"}, Value: toggle(&o.Doctor.JSON), Help: "print the report as JSON"},
		{Name: "json", Scope: "version", Commands: []string{"version"}, Value: toggle(&o.Version.JSON), Help: "print it as JSON"},
		{Name: "force", Scope: "config-init", Commands: []string{"config init"}, Value: toggle(&o.Init.Force), Help: "overwrite an existing file"},
		{Name: "dir", Scope: "man", Commands: []string{"man"}, Value: text(&o.Man.Dir, "DIR"), Help: "write every page into a directory, man1/ and man5/ below it"},
	}
}
