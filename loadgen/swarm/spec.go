// What one process of a run is asked to do.

package swarm

import (
	"net/netip"
	"time"
)

// Mode is what the connections do once they are open.
type Mode string

// The modes.
const (
	Echo       Mode = "echo"        // send, and expect the same back
	Idle       Mode = "idle"        // hold, and answer heartbeats
	Subscribe  Mode = "subscribe"   // listen to what somebody publishes
	Publish    Mode = "publish"     // send, and expect an answer only where the protocol has one
	Churn      Mode = "churn"       // open, say one thing where the protocol allows, close, and again
	SlowReader Mode = "slow-reader" // subscribe; a share of the connections stops reading
	Recover    Mode = "recover"     // subscribe; a share is cut off again and again, and goes on where it was
	Storm      Mode = "storm"       // hold; drop all at once, and come back with all the others
)

// Protocol is what is spoken over a connection.
type Protocol string

// The protocols. Auto is resolved before a Spec is made.
const (
	Auto     Protocol = "auto"
	Raw      Protocol = "raw"      // WebSocket, a message is the payload
	V1       Protocol = "c100k.v1" // WebSocket with the envelope of that subprotocol
	SocketIO Protocol = "socketio" // Socket.IO 5 over Engine.IO 4 over WebSocket
	SSE      Protocol = "sse"      // Server-Sent Events over HTTP/1.1
)

// EventDefault is what Spec.Event = "" means.
const EventDefault = "message"

// Spec is the share of one process. It travels as JSON.
type Spec struct {
	Run       uint32 `json:"run"`        // random number of the run, in every token
	Process   int    `json:"process"`    // number of this process, from 0
	FirstConn int    `json:"first_conn"` // number of its first connection; connections are numbered over the whole run
	Conns     int    `json:"conns"`
	AllConns  int    `json:"all_conns"` // of the whole run

	Mode     Mode     `json:"mode"`
	Protocol Protocol `json:"protocol"`

	// URL is ws, wss, http or https. "{topic}" in it stands for the connection's topic, "{i}" for the
	// connection's number.
	URL string `json:"url"`
	// Target is where URL's host was found. Sources are the local addresses, taken in turns; none: the
	// kernel chooses.
	Target netip.AddrPort `json:"target"`
	// Others are further addresses of the host. Connection i goes to the address i modulo their
	// number, Target being the first.
	Others  []netip.AddrPort `json:"others,omitempty"`
	Sources []netip.Addr     `json:"sources,omitempty"`
	// Header has lines of the upgrade request beside ours, as name and value.
	Header   [][2]string `json:"header,omitempty"`
	Insecure bool        `json:"insecure,omitempty"` // certificates are not checked
	CA       string      `json:"ca,omitempty"`       // these three as in Trust
	Cert     string      `json:"cert,omitempty"`
	Key      string      `json:"key,omitempty"`

	ConnectRate float64 `json:"connect_rate"` // of this process, connections a second; 0: as fast as it goes
	// Rate is of this process, messages a second over all its connections, on an open schedule; 0 with
	// InFlight 0: nothing is sent.
	Rate     float64 `json:"rate,omitempty"`
	InFlight int     `json:"in_flight,omitempty"` // closed loop: so many messages on the way on each connection
	Size     int     `json:"size"`                // bytes of a message's payload, sent and expected, at least TokenBytes
	Binary   bool    `json:"binary,omitempty"`    // messages are binary frames, where the protocol has them

	// Topics are dealt to connections by their numbers: connection i has Topics[i mod len]. A
	// message's sender, in its token, is the index of its topic here; there is one sender, 0, where
	// there are none. With Echo each connection is a sender, by its number, and with Publish where
	// there are no topics.
	Topics []string `json:"topics,omitempty"`
	// Hello is a text that a raw client sends as soon as its connection stands; it is open when the
	// server has answered. Empty: none.
	Hello string `json:"hello,omitempty"`
	// Compress offers permessage-deflate without context takeover; a server that does not take it is
	// refused.
	Compress bool `json:"compress,omitempty"`
	// Rounds asks for a Sample with nothing but Rounds each time that as many messages have been heard
	// as one publish makes, so that a publisher can wait for it. For modes that listen, with one topic
	// at most.
	Rounds bool `json:"rounds,omitempty"`
	// Join is what a Socket.IO client emits when it is connected, a JSON array of the event's name and
	// its arguments; "{topic}" and "{i}" as in URL. Empty: with topics ["subscribe",TOPIC], without
	// nothing.
	Join string `json:"join,omitempty"`
	// Event is the name of what a Socket.IO client emits as a message; empty: EventDefault. With Echo
	// each asks for an acknowledgement, and what comes back first, that or an event, is the echo.
	Event string `json:"event,omitempty"`

	SlowShare float64       `json:"slow_share,omitempty"` // SlowReader: which part of the connections does not read
	Reconnect bool          `json:"reconnect,omitempty"`  // a connection that is lost, or not made, is tried again with growing pauses
	Timeout   time.Duration `json:"timeout"`              // for a connection to open
	Nap       time.Duration `json:"nap,omitempty"`        // how long a loop under load sleeps between two looks; 0: NapDefault, or more where many only listen
	IO        string        `json:"io,omitempty"`         // netpoll.IOMode
}

// Order is what the coordinator says while the run goes on. At most one field is set. It travels as
// JSON, one a line.
type Order struct {
	Begin  *Begin   `json:"begin,omitempty"`  // measured from now on: what was counted before is forgotten, what is open stays
	Rate   *float64 `json:"rate,omitempty"`   // new rate of this process, messages or (Churn) connections a second
	Drop   *Drop    `json:"drop,omitempty"`   // Storm, Recover: close connections at once, then reconnect them
	Settle *Settle  `json:"settle,omitempty"` // send nothing more, wait for what is on its way
	End    bool     `json:"end,omitempty"`    // close everything, send the last Sample, and stop
}

// Begin starts the measured part. Every connection that is open now must hear each sender from this
// sequence number on.
type Begin struct {
	First []uint64 `json:"first,omitempty"` // by sender: its next sequence number; empty: 0 for all
}

// Drop is one storm, or one cut.
type Drop struct {
	Reset bool          `json:"reset,omitempty"` // by RST; otherwise a close frame and FIN
	Share float64       `json:"share,omitempty"` // of the connections, the next ones each time; 0: all
	Away  time.Duration `json:"away,omitempty"`  // until they come back, to DropAwayMax
}

// Settle tells what was sent, so that what never came can be told from what is late. The process
// answers with a Sample whose Settled is set, as soon as everything has come, at the latest after
// Within.
type Settle struct {
	Published []uint64 `json:"published,omitempty"` // by sender: how many messages were sent since sequence number 0
	// Unsure is by sender: how many of them, since Begin, the server may never have had. They are not
	// expected.
	Unsure []uint64      `json:"unsure,omitempty"`
	Within time.Duration `json:"within"`
}
