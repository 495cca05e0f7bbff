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
	descConnections    = desc("c100k_connections", "Open connections.", "transport")
	descOpened         = desc("c100k_connections_opened_total", "Connections that were opened.", "transport")
	descClosed         = desc("c100k_connections_closed_total", "Connections that were closed, by why.", "transport", "reason")
	descRejected       = desc("c100k_handshakes_rejected_total", "Handshakes that were answered with an error.", "reason")
	descMsgReceived    = desc("c100k_messages_received_total", "Messages received from clients.")
	descMsgSent        = desc("c100k_messages_sent_total", "Messages sent to clients.")
	descReceived       = desc("c100k_received_bytes_total", "Bytes read from clients' sockets.")
	descSent           = desc("c100k_sent_bytes_total", "Bytes written to clients' sockets.")
	descFanout         = desc("c100k_publish_fanout_seconds", "Time from a publish to its last socket write.")
	descOutbox         = desc("c100k_outbox_bytes", "Bytes owed to clients whose sockets do not take them.")
	descSlow           = desc("c100k_slow_consumer_total", "What was done about clients that lag behind, by action.", "action")
	descBusy           = desc("c100k_loop_busy_seconds_total", "Time a loop has spent working, waiting not counted.", "loop")
	descTurn           = desc("c100k_loop_turn_seconds", "Time a turn of a loop took, waiting not counted.")
	descWorkerUp       = desc("c100k_worker_up", "1 while the worker serves and answers, else 0.", "worker")
	descWorkerConns    = desc("c100k_worker_connections", "Open connections of the worker.", "worker")
	descWorkerRestarts = desc("c100k_worker_restarts_total", "How often the worker was started again.", "worker")
	descWorkerCPU      = desc("c100k_worker_cpu_seconds_total", "CPU time of the worker and of those before it, user and system.", "worker")
	descWorkerMemory   = desc("c100k_worker_private_bytes", "Private memory of the worker.", "worker")
	descWorkerSent     = desc("c100k_worker_messages_sent_total", "Messages that the worker, and those before it, sent to clients.", "worker")

	descBuild = desc("c100k_build_info", "Always 1; the labels say which build this is.", "version", "revision", "goversion")
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
	for _, d := range []*prometheus.Desc{
		descConnections, descOpened, descClosed, descRejected, descMsgReceived, descMsgSent, descReceived,
		descSent, descFanout, descOutbox, descSlow, descBusy, descTurn, descBuild,
		descWorkerUp, descWorkerConns, descWorkerRestarts, descWorkerCPU, descWorkerMemory, descWorkerSent,
	} {
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
	for i := range s.Workers {
		w := &s.Workers[i]
		name, up := strconv.Itoa(w.Worker), 0.0
		if w.State == WorkerServing {
			up = 1
		}
		gauge(descWorkerUp, up, name)
		gauge(descWorkerConns, float64(w.Connections), name)
		counter(descWorkerRestarts, float64(w.Restarts), name)
		counter(descWorkerCPU, w.CPUSeconds, name)
		gauge(descWorkerMemory, float64(w.PrivateBytes), name)
		counter(descWorkerSent, float64(w.MessagesSent), name)
	}
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
