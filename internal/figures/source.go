// What the parts of a process count, as the table reads it.

package figures

import (
	"time"

	"c100k/broadcast"
	"c100k/internal/bus"
	"c100k/internal/wsconn"
	"c100k/netpoll"
)

// Source is what the parts of a process count, copied at one moment. Loops are read one after the
// other without stopping them, so sums may be off by what happened in between.
type Source struct {
	Version, Revision, GoVersion string
	Started                      time.Time
	Uptime                       time.Duration
	IO                           string // "uring" or "syscall": how reads and writes reach the kernel
	Draining                     bool

	Transports    map[string]Transport
	Rejected      map[string]uint64 // handshakes that were answered with an error, by reason
	Refused       map[string]uint64 // connections over a limit, by limit
	Uncounted     uint64            // connections that the full table of limits did not count, over all workers
	RequestsOpen  int               // that net/http serves
	RequestsMoved uint64            // requests taken over from other workers
	Accepted      uint64            // connections that the acceptor took
	TurnedAway    uint64            // connections closed because no descriptor was left

	TLSHandshakes map[string]map[string]uint64 // that were completed, by resumption and version; nil without TLS
	TLSFailures   map[string]uint64            // that were not, by reason
	Memory        Memory                       // what the process holds for its clients

	Loops           []Loop
	UpstreamAnswers map[string]uint64 // of the application, by class of the status or by outcome
	UpstreamTimes   HistogramSnapshot // to the head of its answer
	Tunnels         int               // its open WebSockets

	Hooks         Hooks
	Hub           broadcast.Counters
	Stored        Stored
	Topics        int
	Subscriptions int // over the loops
	Bus           Bus

	SocketIO SocketIO

	MaxConns   int    // connections that the node lets in; 0 in a worker, whose parent says it for all
	EndsMissed uint64 // ends of connections that were not kept for GET /v1/closes

	Reloads ReloadCounts
	Spans   Spans

	Certificates []Certificate // in use on the node's ports

	Process Process
	Workers []Worker // nil for a node of one process
}

// Spans counts the spans of traces that were sent to a collector.
type Spans struct{ Sent, Dropped uint64 }

// ReadSpans reads them; of may be nil.
func ReadSpans(of interface{ Counts() (sent, dropped uint64) }) Spans {
	sent, dropped := of.Counts()
	return Spans{sent, dropped}
}

// Stored counts the messages that were published here for an engine that keeps them.
type Stored struct {
	Accepted uint64 // that the engine has taken
	Failed   uint64 // that it has not, or of which it has not said so
}

// SocketIO is what a node counts of the Socket.IO servers that it is in a cluster with.
type SocketIO struct {
	Sent, Unsent, Received, Refused, Busy, Disconnects uint64
}

// Hooks is what the hooks of a node count.
type Hooks struct {
	Requests map[string]map[string]uint64 // by hook and result; nil without hooks
	Times    HistogramSnapshot            // that the backend took
	Waiting  int                          // requests that have no slot yet
	Cached   int                          // answers that are remembered

	EventsSent, EventBatchesFailed, EventsLost uint64
	EventsQueued, EventsQueuedBytes            int64
}

// Transport counts the connections of one transport.
type Transport struct {
	Opened uint64
	Closed map[string]uint64 // by reason
}

// open is how many are open.
func (t *Transport) open() uint64 {
	n := t.Opened
	for _, closed := range t.Closed {
		n -= closed
	}
	return n
}

// Memory is what the process holds for its clients: parts of messages and of requests, output that
// waits, sessions, topics.
type Memory struct {
	HeldBytes, MaxBytes int64
	Short               bool   // too much is held
	Shortages           uint64 // how often it was too much
}

// Loop is what one event loop counts.
type Loop struct {
	Number int
	IO     string
	netpoll.Stats
	RequestsWaiting   int               // request heads that wait for a verdict from elsewhere
	RequestsHeldBytes int               // what their clients have sent
	QueuedBytes       int64             // what clients that poll have not fetched
	Streams           wsconn.Counters   // what the protocols received and answered
	Broadcasts        uint64            // messages of topics handed to members
	FanoutTimes       HistogramSnapshot // from a publish to its last socket write
}

// outbox is what the loop's clients are owed, in bytes, whatever their transport.
func (l *Loop) outbox() int64 { return l.OutboxBytes + l.QueuedBytes }

// turns are the loop's own buckets as a histogram.
func (l *Loop) turns() HistogramSnapshot {
	h := HistogramSnapshot{Counts: l.TurnBuckets[:], Sum: l.Busy.Seconds()}
	for _, bound := range netpoll.TurnBounds() {
		h.Bounds = append(h.Bounds, bound.Seconds())
	}
	return h
}

// Bus is the connection to other nodes.
type Bus struct {
	Kind string // "memory" for a node without others, "nats" or "redis"
	bus.Health
}

// probes are the bus's own buckets as a histogram.
func (b *Bus) probes() HistogramSnapshot {
	h := HistogramSnapshot{Counts: b.Probes.Counts[:], Sum: b.Probes.Sum.Seconds()}
	for _, bound := range bus.ProbeBounds() {
		h.Bounds = append(h.Bounds, bound.Seconds())
	}
	return h
}

// Certificate is one that a port of the node uses.
type Certificate struct {
	Name     string // no other of the node has it
	NotAfter time.Time
	Left     time.Duration // to NotAfter; negative once it has expired
}

// Worker is one of several processes behind one port.
type Worker struct {
	Number       int    // from 0; a worker that is started again keeps it
	PID          int    // 0 while there is no process
	State        string // one of the states below
	Restarts     uint64
	Uptime       time.Duration
	Connections  int
	MessagesSent uint64        // with those that earlier processes sent
	CPU          time.Duration // likewise
	PrivateBytes int64
	OpenFiles    int
	Note         string // what is wrong with it, in words
}

// The states of a worker. Of one that is silent, what is counted up is from its last answer, and
// all else is zero.
const (
	WorkerStarting   = "starting"
	WorkerServing    = "serving"
	WorkerSilent     = "silent" // it does not answer
	WorkerDraining   = "draining"
	WorkerRestarting = "restarting" // it has died, and the next one does not serve yet
	WorkerEnded      = "ended"      // the node drains, and this worker has ended
)
