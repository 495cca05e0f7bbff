// GET /metrics: a collector that reads the node once a scrape. Nothing is
// counted here, and nothing runs for a message.

package admin

import (
	"net/http"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// The metrics. None has a topic or a user as a label: their number must not
// grow with the users'.
var (
	descConnections = desc("c100k_connections", "Open connections.", "transport")
	descOpened      = desc("c100k_connections_opened_total", "Connections that were opened.", "transport")
	descClosed      = desc("c100k_connections_closed_total", "Connections that were closed, by why.", "transport", "reason")
	descRejected    = desc("c100k_handshakes_rejected_total", "Handshakes that were answered with an error.", "reason")
	descMoved       = desc("c100k_requests_moved_total", "Requests that were taken from one worker to the one that their Socket.IO client lives on.")
	descMsgReceived = desc("c100k_messages_received_total", "Messages received from clients.")
	descMsgSent     = desc("c100k_messages_sent_total", "Messages sent to clients.")
	descReceived    = desc("c100k_received_bytes_total", "Bytes read from clients' sockets.")
	descSent        = desc("c100k_sent_bytes_total", "Bytes written to clients' sockets.")
	descFanout      = desc("c100k_publish_fanout_seconds", "Time from a publish to its last socket write.")
	descOutbox      = desc("c100k_outbox_bytes", "Bytes owed to clients whose sockets do not take them.")
	descSlow        = desc("c100k_slow_consumer_total", "What was done about clients that lag behind, by action.", "action")
	descBusy        = desc("c100k_loop_busy_seconds_total", "Time a loop has spent working, waiting not counted.", "loop")
	descTurn        = desc("c100k_loop_turn_seconds", "Time a turn of a loop took, waiting not counted.")
	descBusUp       = desc("c100k_bus_connected", "1 while the bus to other nodes is connected, which a node alone always is; else 0.")
	descBusPeers    = desc("c100k_bus_peers", "Other nodes on the bus.")
	descBusSent     = desc("c100k_bus_sent_total", "Messages sent to the other nodes.")
	descBusReceived = desc("c100k_bus_received_total", "Messages of other nodes that were delivered here.")
	descBusMissed   = desc("c100k_bus_missed_total", "Messages of other nodes that are known to have been lost on the way here.")
	descBusUnsent   = desc("c100k_bus_unsent_total", "Messages of this node that the bus did not take, or could not hand on.")
	descBuild       = desc("c100k_build_info", "Always 1; the labels say which build this is.", "version", "revision", "goversion")
)

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

// collector reads a node's Stats at each scrape.
type collector struct{ read func() Stats }

// NewCollector is a collector of the c100k_ metrics for a registry of the
// caller's own. read is called once a scrape, from any goroutine.
func NewCollector(read func() Stats) prometheus.Collector { return collector{read} }

// Describe implements prometheus.Collector.
func (c collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range append([]*prometheus.Desc{
		descConnections, descOpened, descClosed, descRejected, descMoved, descMsgReceived, descMsgSent, descReceived,
		descSent, descFanout, descOutbox, descSlow, descBusy, descTurn, descBuild,
		descBusUp, descBusPeers, descBusSent, descBusReceived, descBusMissed, descBusUnsent,
	}, descsOfWorkers...) {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(out chan<- prometheus.Metric) {
	s := c.read()
	counter := func(d *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, value, labels...)
	}
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	histogram := func(d *prometheus.Desc, h HistogramSnapshot) {
		out <- prometheus.MustNewConstHistogram(d, h.Count(), h.Sum, h.cumulative())
	}

	gauge(descBuild, 1, s.Version, s.Revision, s.GoVersion)
	for transport, n := range s.Connections.Open {
		gauge(descConnections, float64(n), transport)
	}
	for transport, n := range s.Connections.Opened {
		counter(descOpened, float64(n), transport)
	}
	for transport, reasons := range s.Connections.Closed {
		for reason, n := range reasons {
			counter(descClosed, float64(n), transport, reason)
		}
	}
	for reason, n := range s.HandshakesRejected {
		counter(descRejected, float64(n), reason)
	}
	counter(descMoved, float64(s.RequestsMoved))
	counter(descMsgReceived, float64(s.Messages.Received))
	counter(descMsgSent, float64(s.Messages.Sent))
	counter(descReceived, float64(s.Bytes.Received))
	counter(descSent, float64(s.Bytes.Sent))
	histogram(descFanout, s.FanoutSeconds)
	gauge(descOutbox, float64(s.Queues.OutboxBytes))
	for action, n := range s.SlowConsumers {
		counter(descSlow, float64(n), action)
	}
	for _, loop := range s.Loops {
		counter(descBusy, loop.BusySeconds, strconv.Itoa(loop.Loop))
	}
	histogram(descTurn, s.TurnSeconds)
	connected := 0.0
	if s.Bus.Connected {
		connected = 1
	}
	gauge(descBusUp, connected)
	gauge(descBusPeers, float64(s.Bus.Peers))
	counter(descBusSent, float64(s.Bus.Sent))
	counter(descBusReceived, float64(s.Bus.Received))
	counter(descBusMissed, float64(s.Bus.Missed))
	counter(descBusUnsent, float64(s.Bus.Unsent))
	collectWorkers(s.Workers, counter, gauge)
}

// serveMetrics answers GET /metrics from the caller's gatherer, or from a registry
// of its own: no two handlers share one, and http's default stays untouched.
func serveMetrics(c Config) answer {
	gatherer := c.Metrics
	if gatherer == nil {
		registry := prometheus.NewRegistry()
		registry.MustRegister(
			NewCollector(c.Node.Stats),
			collectors.NewGoCollector(),
			collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		)
		gatherer = registry
	}
	handler := promhttp.HandlerFor(gatherer, promhttp.HandlerOpts{MaxRequestsInFlight: ScrapesMax})
	return func(w http.ResponseWriter, r *http.Request, _ string) { handler.ServeHTTP(w, r) }
}
