// GET /metrics: a collector that reads the node once a scrape. Nothing is counted here, and nothing
// runs for a message.

package admin

import (
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"c100k/internal/figures"
)

var descBuild = prometheus.NewDesc("c100k_build_info", "Always 1; the labels say which build this is.",
	[]string{"version", "revision", "goversion"}, nil)

// metric is a row of the table as a metric.
type metric struct {
	row  int
	desc *prometheus.Desc
	kind prometheus.ValueType // of a number
}

// metrics are the rows that are metrics.
var metrics = func() (list []metric) {
	for i := range figures.Table {
		s := &figures.Table[i]
		if s.Metric == "" {
			continue
		}
		labels := s.Labels
		if of, _, inList := strings.Cut(s.Key, "[]."); inList {
			labels = []string{strings.TrimSuffix(of, "s")}
		}
		m := metric{row: i, desc: prometheus.NewDesc(s.Metric, s.Help, labels, nil), kind: prometheus.GaugeValue}
		if s.Kind == figures.Counter {
			m.kind = prometheus.CounterValue
		}
		list = append(list, m)
	}
	return list
}()

// collector reads a node's figures at each scrape.
type collector struct{ read func() *figures.Reading }

// NewCollector is a collector of the c100k_ metrics for a registry of the caller's own. read is
// called once a scrape, from any goroutine.
func NewCollector(read func() *figures.Reading) prometheus.Collector { return collector{read} }

// Describe implements prometheus.Collector.
func (c collector) Describe(out chan<- *prometheus.Desc) {
	out <- descBuild
	for _, m := range metrics {
		out <- m.desc
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(out chan<- prometheus.Metric) {
	r := c.read()
	out <- prometheus.MustNewConstMetric(descBuild, prometheus.GaugeValue, 1,
		r.Text(figures.KeyVersion), r.Text(figures.KeyRevision), r.Text(figures.KeyGoVersion))
	for _, m := range metrics {
		m.collect(r.Value(m.row), out)
	}
}

// collect gives a figure to the scrape, one metric for each value of its labels.
func (m *metric) collect(v figures.Value, out chan<- prometheus.Metric) {
	number := func(n float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(m.desc, m.kind, n, labels...)
	}
	s := &figures.Table[m.row]
	switch {
	case s.Kind == figures.Durations:
		out <- &histogram{m.desc, v.Histogram}
	case len(s.Labels) == 2:
		for first, numbers := range v.Families {
			for second, n := range numbers {
				number(n, first, second)
			}
		}
	case len(s.Labels) == 1 || strings.Contains(s.Key, "[]"):
		for label, n := range v.Family {
			number(n, label)
		}
	default:
		number(v.Number)
	}
}

// processCollector is the library's collector without process_network_*: these count the traffic of
// all processes of the host.
type processCollector struct{ prometheus.Collector }

// NewProcessCollector is a collector of what the kernel says of this process.
func NewProcessCollector() prometheus.Collector {
	return processCollector{collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})}
}

// Describe implements prometheus.Collector.
func (c processCollector) Describe(out chan<- *prometheus.Desc) {
	all := make(chan *prometheus.Desc)
	go func() { c.Collector.Describe(all); close(all) }()
	for d := range all {
		if !ofHost(d) {
			out <- d
		}
	}
}

// Collect implements prometheus.Collector.
func (c processCollector) Collect(out chan<- prometheus.Metric) {
	all := make(chan prometheus.Metric)
	go func() { c.Collector.Collect(all); close(all) }()
	for m := range all {
		if !ofHost(m.Desc()) {
			out <- m
		}
	}
}

func ofHost(d *prometheus.Desc) bool { return strings.Contains(d.String(), `"process_network_`) }

// serveMetrics answers GET /metrics from the caller's gatherer, or from a registry of its own: no
// two handlers share one, and http's default stays untouched.
func serveMetrics(c Config) answer {
	gatherer := c.Metrics
	if gatherer == nil {
		registry := prometheus.NewRegistry()
		registry.MustRegister(
			NewCollector(c.Node.Stats),
			collectors.NewGoCollector(),
			NewProcessCollector(),
		)
		gatherer = registry
	}
	handler := promhttp.HandlerFor(gatherer, promhttp.HandlerOpts{MaxRequestsInFlight: ScrapesMax, EnableOpenMetrics: true})
	return func(w http.ResponseWriter, r *http.Request, _ string) { handler.ServeHTTP(w, r) }
}
