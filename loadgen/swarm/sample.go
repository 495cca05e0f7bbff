// Sample: what one process of a run reports.

package swarm

import "time"

// Sample is one reading of a process. Totals count since the last Begin, or since the start before
// the first; histograms and Spreads hold what has come since the Sample before, so that adding them
// up gives the whole. It travels as JSON, one a line.
type Sample struct {
	Process int           `json:"process"`
	At      time.Duration `json:"at"`                // Clock of the reading
	Rounds  uint64        `json:"rounds,omitempty"`  // publishes heard by all who listen; where it is set, nothing else is but Process
	Begun   bool          `json:"begun,omitempty"`   // every loop has heard a Begin, and the totals count since then; a Begin is answered at once
	Settled bool          `json:"settled,omitempty"` // the last Settle is done; set in every Sample from then on
	Last    bool          `json:"last,omitempty"`    // nothing follows
	Error   string        `json:"error,omitempty"`   // the process could not go on; Last is set too

	// Connections. Those of Conns that are neither open nor connecting are Down: not begun, failed, or
	// waiting to be tried again.
	Open       int `json:"open"`
	Connecting int `json:"connecting"`
	Down       int `json:"down"`

	Opened      uint64            `json:"opened"`       // handshakes that succeeded, the later ones of one connection included
	Reconnected uint64            `json:"reconnected"`  // of them, those of connections that had been open before
	Failed      map[string]uint64 `json:"failed"`       // connections that did not open, by reason: "refused", "timeout", "http 503", …
	Lost        map[string]uint64 `json:"lost"`         // open connections that ended without our doing, by reason: "reset", "closed 1012", "eof", …
	ConnectedAt time.Duration     `json:"connected_at"` // Clock when all of Conns were open for the first time since the last Drop or the start; 0: not yet

	// Recoveries.
	Cut       uint64 `json:"cut,omitempty"`       // connections that Drops have closed
	Recovered uint64 `json:"recovered,omitempty"` // of them, those that the server let go on where they were
	Reset     uint64 `json:"reset,omitempty"`     // and those that it did not

	// Messages.
	Sent          uint64 `json:"sent"`
	Received      uint64 `json:"received"` // with a token of this run
	Foreign       uint64 `json:"foreign"`  // other messages: a welcome, somebody else's
	BytesSent     uint64 `json:"bytes_sent"`
	BytesReceived uint64 `json:"bytes_received"`
	Expected      uint64 `json:"expected"`    // known when Settled: messages (with publish: answers) that the connections should have received
	Missing       uint64 `json:"missing"`     // known when Settled: of them, those that never came
	MissedAway    uint64 `json:"missed_away"` // sent while a connection was down, or under way when the swarm closed it
	Duplicated    uint64 `json:"duplicated"`
	Reordered     uint64 `json:"reordered"` // came behind a later one of the same sender
	Corrupted     uint64 `json:"corrupted"` // a token of ours with something else around it than was sent
	Gaps          uint64 `json:"gaps"`      // what the server says it dropped (c100k.v1 gap)
	Unsent        uint64 `json:"unsent"`    // due, but its connection was down or owed too much

	Connect Histogram `json:"connect"` // from connect to the end of the handshake
	Full    Histogram `json:"full"`    // from connect to the end of a TLS handshake that makes a session
	Resumed Histogram `json:"resumed"` // the same of one that resumes a session
	Latency Histogram `json:"latency"` // echo: due to received; subscribe: published to received; publish: due to acknowledged

	// CatchUp is, of a recovery, from the moment of coming back to the first message that was sent
	// since.
	CatchUp Histogram `json:"catchup,omitempty"`

	// Spreads are publishes whose receivers this process has seen: when the first and when the last of
	// them received it.
	Spreads []Spread `json:"spreads,omitempty"`

	Self Self `json:"self"`
}

// Spread is one published message as this process received it.
type Spread struct {
	Sender    uint32        `json:"sender"`
	Seq       uint64        `json:"seq"`
	Sent      time.Duration `json:"sent"` // Clock of the token
	First     time.Duration `json:"first"`
	Last      time.Duration `json:"last"`
	Receivers uint64        `json:"receivers"`
}

// Self is how the process itself is doing: whether its figures can be believed.
type Self struct {
	CPU    time.Duration `json:"cpu"`  // processor time of the process since its start
	Busy   time.Duration `json:"busy"` // time its loops spent working, waiting not counted, since the start
	Loops  int           `json:"loops"`
	Slip   Histogram     `json:"slip"`   // how late the schedule's ticks ran
	Turn   Histogram     `json:"turn"`   // how long turns took that handled anything
	Memory int64         `json:"memory"` // private bytes of the process
}

// Histogram is an HdrHistogram of nanoseconds, packed; empty: nothing was recorded. First its
// significant digits, then for each bucket that is not empty its distance from the one before and
// its count, all as varints.
type Histogram []byte
