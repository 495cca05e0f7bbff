// What came out of a run: everything that a report, a threshold or a comparison needs.

package loadgen

import (
	"time"

	"c100k/loadgen/swarm"
)

// Result is the outcome of a run. Its JSON form is the body of the document of package report:
// durations are in milliseconds, sizes in bytes, rates in messages a second, shares from 0 to 1.
type Result struct {
	URL       string         `json:"url"`
	Mode      swarm.Mode     `json:"mode"`
	Protocol  swarm.Protocol `json:"protocol"`
	Publisher string         `json:"publisher,omitempty"` // URL that was published to
	Local     bool           `json:"local,omitempty"`     // the target is on this machine
	Size      int            `json:"message_bytes"`
	Topics    int            `json:"topics,omitempty"`
	Addresses []string       `json:"addresses,omitempty"`        // of the target, over which the connections were spread
	Silent    []string       `json:"silent_addresses,omitempty"` // of the target, that took no connection and were left out

	Started     time.Time `json:"started"`
	Ramp        Millis    `json:"ramp_ms"`     // from the first connect to the last, or to giving up
	Measured    Millis    `json:"measured_ms"` // the measured part
	Settled     Millis    `json:"settled_ms"`  // wait for what was on its way at its end
	Interrupted bool      `json:"interrupted,omitempty"`
	Missing     []string  `json:"missing,omitempty"` // what is not in the figures because a process of the load failed after the measured part

	Connections ConnectionCounts `json:"connections"`
	Messages    MessageCounts    `json:"messages"`
	Rate        Rates            `json:"rate"`

	Connect *Latencies `json:"connect,omitempty"`     // TCP, TLS and handshake
	Full    *Latencies `json:"tls_full,omitempty"`    // TCP and a TLS handshake that makes a session
	Resumed *Latencies `json:"tls_resumed,omitempty"` // TCP and a TLS handshake that resumes one
	Echo    *Latencies `json:"echo,omitempty"`        // due to received back
	Deliver *Latencies `json:"deliver,omitempty"`     // due at the publisher to received
	Ack     *Latencies `json:"ack,omitempty"`         // publish handed over to answered
	Spread  *Latencies `json:"spread,omitempty"`      // of one publish: first to last receiver
	Last    *Latencies `json:"last,omitempty"`        // of one publish: due to last receiver
	Storms  []Storm    `json:"storms,omitempty"`

	Recovery *Recovery  `json:"recovery,omitempty"`
	CatchUp  *Latencies `json:"catchup,omitempty"` // of a recovery: from the moment of coming back to the first message that was sent since

	Server    *ServerCost `json:"server,omitempty"`
	Generator Generator   `json:"generator"`
	Verdict   Verdict     `json:"verdict"`
	Bounds    []Outcome   `json:"thresholds,omitempty"`
	Series    []Second    `json:"series"`

	// intervals are the histograms of each second, for the log of them.
	intervals []Interval
}

// ConnectionCounts are the connections of a run, those of the ramp included.
type ConnectionCounts struct {
	Wanted      int               `json:"wanted"`
	Open        int               `json:"open"`         // when the measured part began
	OpenAtEnd   int               `json:"open_at_end"`  // when it ended
	Opened      uint64            `json:"opened"`       // handshakes that succeeded
	Reconnected uint64            `json:"reconnected"`  // of them, those of connections that had been open before
	FailedCount uint64            `json:"failed_count"` // handshakes that did not
	LostCount   uint64            `json:"lost_count"`   // open connections that ended without our doing
	Failed      map[string]uint64 `json:"failed,omitempty"`
	Lost        map[string]uint64 `json:"lost,omitempty"`
	PerSecond   float64           `json:"per_second"` // opened a second, over the ramp; with churn, over the measured part
}

// MessageCounts are the messages of the measured part.
type MessageCounts struct {
	Published  uint64            `json:"published"`         // by the publisher, and taken by the server
	Refused    map[string]uint64 `json:"refused,omitempty"` // publishes that failed, by reason
	Sent       uint64            `json:"sent"`              // by the connections
	Unsent     uint64            `json:"unsent"`            // due, but there was no way out: the connection was down, or owed too much
	Received   uint64            `json:"received"`          // with a token of this run
	Foreign    uint64            `json:"foreign"`           // others
	Expected   uint64            `json:"expected"`          // that should have been received
	Lost       uint64            `json:"lost"`              // of those, the ones that never came, or were on their way when the server closed the connection
	MissedAway uint64            `json:"missed_away"`       // sent while a connection was down, or on their way when the load closed it
	Duplicated uint64            `json:"duplicated"`
	Reordered  uint64            `json:"reordered"`
	Corrupted  uint64            `json:"corrupted"`
	Gaps       uint64            `json:"gaps"` // what the server says it dropped

	BytesSent     uint64 `json:"bytes_sent"`
	BytesReceived uint64 `json:"bytes_received"`
}

// Rates are messages a second; with churn, connections a second.
type Rates struct {
	Target   float64 `json:"target"`              // what was asked for, on average; 0: as fast as it goes, or nothing
	Achieved float64 `json:"achieved"`            // what went out
	Received float64 `json:"received_a_second"`   // deliveries or echoes
	Due      float64 `json:"due,omitempty"`       // messages that the schedule had
	Behind   float64 `json:"behind,omitempty"`    // of them, those that the generator itself did not get to
	InFlight int     `json:"in_flight,omitempty"` // closed loop
}

// Storm is one drop of all connections, or one cut.
type Storm struct {
	At      Millis `json:"at_ms"`    // since the measured part began
	Dropped int    `json:"dropped"`  // connections that were open
	Back    int    `json:"back"`     // that were open again in the end
	After   Millis `json:"after_ms"` // until all were back; or until it was given up
	All     bool   `json:"all"`
}

// Recovery is what became of connections that were cut off and came back.
type Recovery struct {
	Cut       uint64  `json:"cut"`       // connections that were cut off, the later times of one included
	Recovered uint64  `json:"recovered"` // that the server let go on where they were
	Reset     uint64  `json:"reset"`     // that it did not: what they missed is not counted as lost
	Cuts      []Storm `json:"cuts"`
}

// ServerCost is what the server's processes cost. Per message is per message received.
type ServerCost struct {
	PID           int     `json:"pid"`
	Processes     int     `json:"processes"`
	CPU           Millis  `json:"cpu_ms"`                // over the measured part and the settling
	Cores         float64 `json:"cores"`                 // processors in use on average, over the measured part
	PerMessage    Millis  `json:"cpu_per_message_ms"`    // 0: there were none
	PerConnection Millis  `json:"cpu_per_connection_ms"` // of connecting: over the ramp, or with churn
	MemoryIdle    int64   `json:"memory_idle_bytes"`     // private, before the first connection
	MemoryOpen    int64   `json:"memory_open_bytes"`     // with all open, before the first message
	MemoryEnd     int64   `json:"memory_end_bytes"`
	PerConn       float64 `json:"memory_per_conn_bytes"`
	KernelPerConn float64 `json:"kernel_memory_per_conn_bytes"` // slabs and socket buffers of the whole machine: both ends, where both are on it
	BothEnds      bool    `json:"both_ends"`
	Trouble       string  `json:"trouble,omitempty"` // why figures are missing
}

// Generator is how the generator itself did.
type Generator struct {
	Processes  int        `json:"processes"`
	Loops      int        `json:"loops"`
	CPU        Millis     `json:"cpu_ms"`             // over the measured part and the settling
	PerMessage Millis     `json:"cpu_per_message_ms"` // per message received
	Busy       float64    `json:"busy"`               // of the busiest process's loops, over the measured part
	BoxBusy    float64    `json:"box_busy"`           // of all processors of the machine
	Memory     int64      `json:"memory_bytes"`       // private, at the end
	Slip       *Latencies `json:"slip,omitempty"`     // how late the schedules of the connections ran
	Publisher  *Latencies `json:"publisher_slip,omitempty"`
	Turn       *Latencies `json:"turn,omitempty"` // how long a loop's turn took
}

// Second is one reading of the series.
type Second struct {
	At         Millis  `json:"at_ms"` // since the start
	Phase      Phase   `json:"phase"`
	Open       int     `json:"open"`
	Connecting int     `json:"connecting"`
	Opened     float64 `json:"opened_a_second"`
	Failed     float64 `json:"failed_a_second"`
	Target     float64 `json:"target"`
	Sent       float64 `json:"sent_a_second"` // by connections and publisher
	Received   float64 `json:"received_a_second"`
	Busy       float64 `json:"busy"`
	Connect    *Brief  `json:"connect,omitempty"`
	Latency    *Brief  `json:"latency,omitempty"`
	Cores      float64 `json:"server_cores,omitempty"`
}

// Brief is a distribution in four figures.
type Brief struct {
	Count int64  `json:"count"`
	P50   Millis `json:"p50_ms"`
	P90   Millis `json:"p90_ms"`
	P99   Millis `json:"p99_ms"`
	Max   Millis `json:"max_ms"`
}

// Interval is one second's histogram of one kind.
type Interval struct {
	Tag        string // "connect", "latency"
	Start, End time.Time
	Packed     swarm.Histogram
}

// Intervals are the histograms of each second, in order.
func (r *Result) Intervals() []Interval { return r.intervals }

// Latency is the distribution that the mode is about; nil where there is none.
func (r *Result) Latency() *Latencies {
	switch r.Mode {
	case swarm.Echo:
		return r.Echo
	case swarm.Subscribe, swarm.SlowReader, swarm.Recover:
		return r.Deliver
	case swarm.Publish:
		return r.Ack
	}
	return r.Connect
}

// Schedule is how late messages left: those of the connections, or of the publisher; nil where
// nobody sends on a schedule.
func (r *Result) Schedule() *Latencies {
	switch {
	case sends(r.Mode) && r.Rate.Target > 0:
		return r.Generator.Slip
	case hears(r.Mode):
		return r.Generator.Publisher
	}
	return nil
}
