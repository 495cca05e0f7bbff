// One reading of a node: the document of GET /v1/stats and the source of the
// metrics.

package admin

import "time"

// Stats is one reading of a node. Totals count since the start; all others are
// the state at the time of reading. Loops are read one after the other without
// stopping them, so sums may be off by what happened in between. Keys of the
// maps are the label values of the metrics.
type Stats struct {
	Version       string    `json:"version"`
	Revision      string    `json:"revision"`
	GoVersion     string    `json:"go_version"`
	PID           int       `json:"pid"`
	Started       time.Time `json:"started"`
	UptimeSeconds float64   `json:"uptime_seconds"`
	IO            string    `json:"io"` // "uring" or "syscall": how reads and writes reach the kernel
	Draining      bool      `json:"draining"`

	Connections Connections `json:"connections"`
	// HandshakesRejected counts refused handshakes by reason.
	HandshakesRejected map[string]uint64 `json:"handshakes_rejected_total"`
	// RequestsMoved counts requests that came to one worker, and were taken to
	// the one that their Socket.IO client lives on.
	RequestsMoved uint64  `json:"requests_moved_total"`
	Messages      Traffic `json:"messages"`
	Bytes         Traffic `json:"bytes"`
	// SlowConsumers counts what the slow-consumer policy did, by action.
	SlowConsumers map[string]uint64 `json:"slow_consumer_total"`
	Topics        int               `json:"topics"`
	Queues        Queues            `json:"queues"`
	Loops         []Loop            `json:"loops"`

	Bus Bus `json:"bus"`

	// FanoutSeconds is the time from a publish to its last socket write.
	FanoutSeconds HistogramSnapshot `json:"publish_fanout_seconds"`
	// TurnSeconds is how long a turn of a loop took, waiting not counted, all
	// loops together.
	TurnSeconds HistogramSnapshot `json:"loop_turn_seconds"`

	// Memory, CPUSeconds, Goroutines and Files are sums over the processes of
	// the node: the handler adds its own.
	Memory     Memory  `json:"memory"`
	CPUSeconds float64 `json:"cpu_seconds_total"` // user and system time
	Goroutines int     `json:"goroutines"`
	Files      Files   `json:"files"`

	// Workers are the processes that share the public port; absent where the
	// node is one process.
	Workers []Worker `json:"workers,omitempty"`
}

// Worker is one of several processes behind one port.
type Worker struct {
	Worker       int     `json:"worker"` // its number, from 0; one that is started again keeps it
	PID          int     `json:"pid"`    // 0 while there is no process
	State        string  `json:"state"`  // one of the states below
	Restarts     uint64  `json:"restarts_total"`
	Uptime       float64 `json:"uptime_seconds"`
	Connections  int     `json:"connections"`
	MessagesSent uint64  `json:"messages_sent_total"` // with those that earlier processes sent
	CPUSeconds   float64 `json:"cpu_seconds_total"`   // likewise
	PrivateBytes int64   `json:"private_bytes"`
	OpenFiles    int     `json:"open_files"`
	Note         string  `json:"note,omitempty"` // what is not well, in words
}

// The states of a worker. Of one that is silent, what is counted up is from
// its last answer, and all else is zero.
const (
	WorkerStarting   = "starting"
	WorkerServing    = "serving"
	WorkerSilent     = "silent" // it is there and does not answer
	WorkerDraining   = "draining"
	WorkerRestarting = "restarting" // it has died, and the next is not there yet
	WorkerEnded      = "ended"      // the node drains, and this worker has done so
)

// fillEmpty makes the document say {} and [] where the node had nothing to say,
// so that who reads it never meets a null.
func (s *Stats) fillEmpty() {
	c := &s.Connections
	c.Open, c.Opened, c.Closed = orEmpty(c.Open), orEmpty(c.Opened), orEmpty(c.Closed)
	s.HandshakesRejected, s.SlowConsumers = orEmpty(s.HandshakesRejected), orEmpty(s.SlowConsumers)
	if s.Loops == nil {
		s.Loops = []Loop{}
	}
	for _, h := range []*HistogramSnapshot{&s.FanoutSeconds, &s.TurnSeconds} {
		if h.Counts == nil {
			h.Bounds, h.Counts = []float64{}, []uint64{0}
		}
	}
}

func orEmpty[V any](m map[string]V) map[string]V {
	if m == nil {
		m = map[string]V{}
	}
	return m
}

// Connections counts connections by transport.
type Connections struct {
	Total  int               `json:"total"`
	Open   map[string]int    `json:"open"`
	Opened map[string]uint64 `json:"opened_total"`
	// Closed is by transport, then by reason.
	Closed map[string]map[string]uint64 `json:"closed_total"`
}

// Traffic counts one thing in both directions, as the node sees it.
type Traffic struct {
	Received uint64 `json:"received_total"`
	Sent     uint64 `json:"sent_total"`
}

// Queues says what waits, in bytes.
type Queues struct {
	PendingBytes int64 `json:"pending_bytes"` // published, and not yet delivered by every loop
	OutboxBytes  int64 `json:"outbox_bytes"`  // delivered, and not yet taken by the peers' sockets
}

// Bus is the node's connection to other nodes.
type Bus struct {
	Kind      string `json:"kind"` // "memory": the node is alone; "nats"
	Connected bool   `json:"connected"`
	Reason    string `json:"reason"` // why it is not connected
	Peers     int    `json:"peers"`  // other nodes that are there
	Sent      uint64 `json:"sent_total"`
	Received  uint64 `json:"received_total"`
	Missed    uint64 `json:"missed_total"` // messages of other nodes that are known to have been lost on the way here
	Unsent    uint64 `json:"unsent_total"` // messages of this node that the others, or some of them, did not get
}

// Loop is one event loop.
type Loop struct {
	Loop        int     `json:"loop"`
	Connections int     `json:"connections"`
	Turns       uint64  `json:"turns_total"`
	BusySeconds float64 `json:"busy_seconds_total"` // time not spent waiting for events
	Mailbox     int     `json:"mailbox"`            // tasks that other goroutines posted and that have not run
	IO          string  `json:"io"`
}

// Memory is the process's memory, in bytes.
type Memory struct {
	PrivateBytes int64 `json:"private_bytes"` // pages that nobody else maps
	BaseBytes    int64 `json:"base_bytes"`    // the same when the handler was made, before there were connections
	HeapBytes    int64 `json:"heap_bytes"`    // live and not yet collected objects of the Go heap
	// PerConnectionBytes is what has come on top of BaseBytes, divided by the
	// connections; 0 without connections. A rule of thumb: the heap's slack
	// and every queue are in it.
	PerConnectionBytes int64 `json:"per_connection_bytes"`
}

// Files counts file descriptors.
type Files struct {
	Open  int    `json:"open"`
	Limit uint64 `json:"limit"` // the soft RLIMIT_NOFILE
}
