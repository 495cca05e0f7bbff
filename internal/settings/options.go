// Options: all that the settings fill.

package settings

import (
	"time"

	"c100k/loadgen"
	"c100k/loadgen/swarm"
	"c100k/server"
)

// Options is what a command runs with. Each command reads its own part.
type Options struct {
	Node       server.Config // serve, config check, config show
	LogFormat  string        // "auto", "text", "json"
	LogLevel   string        // "debug", "info", "warn", "error"
	LogFile    string        // path; empty: standard error
	ConfigFile string        // path of the YAML file; empty: none

	URL      string      // WebSocket address of a node: sub
	AdminURL string      // address of a node's admin port: pub, why
	Trust    swarm.Trust // of wss: and https: addresses: pub, sub, why

	Pub     PubOptions
	Sub     SubOptions
	History HistoryOptions
	Emit    EmitOptions
	Why     struct{ JSON bool }
	Trace   TraceOptions
	Top     struct{ Once, JSON bool }
	Doctor  DoctorOptions
	Load    LoadOptions
	Token   TokenOptions
	Version struct{ JSON bool }
	Init    struct{ Force bool }
	Man     struct{ Dir string }
}

// EmitOptions are the options of `c100k emit`.
type EmitOptions struct {
	Redis, Key    string
	Namespace     string
	Rooms, Except []string
	Volatile      bool
}

// PubOptions are the options of `c100k pub` alone.
type PubOptions struct {
	JSON, Text, Binary bool    // how the payload is sent; none: text if it is UTF-8, binary otherwise
	Repeat             int     // how often; 0: until interrupted
	Rate               float64 // messages a second; 0: as fast as they are answered
}

// SubOptions are the options of `c100k sub` alone.
type SubOptions struct {
	JSON        bool // print envelopes
	Count       int  // end after so many messages; 0: never
	NoReconnect bool
	Last        int           // begin before so many messages; 0: now
	Rewind      time.Duration // begin so long ago; 0: now
	After       string        // begin behind a position; empty: now
}

// HistoryOptions are the options of `c100k history`.
type HistoryOptions struct {
	JSON    bool
	Reverse bool
	Limit   int    // most messages; 0: all
	After   string // a position; empty: the beginning, or with Reverse the end
}

// TraceOptions are the options of `c100k trace`. One of the first four is set.
type TraceOptions struct {
	Conn, Sub, Topic, Address string
	Payload                   bool // show payloads
	JSON                      bool // print events as they come
}

// DoctorOptions are the options of `c100k doctor`.
type DoctorOptions struct {
	Conns    int  // connections that are wanted
	Workers  int  // processes of the node; 0: as many as they need
	WithLoad bool // the load generator is on the same box
	JSON     bool
}

// LoadOptions are the options of `c100k load`.
type LoadOptions struct {
	Run    loadgen.Options // but its URL, which is an argument
	JSON   string          // files of the results; empty: none
	Report string
	HDR    string
	Plain  bool // no live view, even on a terminal

	Compare struct { // `c100k load compare`
		Bounds []loadgen.RatioBound
		Report string // file of the page; empty: none
	}
}

// defaults are the values that hold where nothing was said.
func defaults() *Options {
	o := &Options{
		Node:      server.Defaults(),
		LogFormat: "auto",
		LogLevel:  "info",
		URL:       "ws://127.0.0.1:8080/ws",
		AdminURL:  "http://127.0.0.1:9100",
		Emit:      EmitOptions{Key: "socket.io", Namespace: "/"},
		Pub:       PubOptions{Repeat: 1},
		Doctor:    DoctorOptions{Conns: 100_000},
		Load:      LoadOptions{Run: loadgen.DefaultOptions()},
	}
	o.Token.Mint.For = time.Hour
	return o
}
