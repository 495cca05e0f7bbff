// The metrics: names, values, and what the linter thinks of them.

package admin

import (
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"c100k/internal/figures"
)

func TestMetricsLint(t *testing.T) {
	problems, err := testutil.CollectAndLint(NewCollector(someStats))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestMetricsGolden(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(NewCollector(someStats))
	ts, _ := newAPIServer(t, Config{Metrics: registry})
	golden(t, "metrics.txt", do(t, ts, request{method: "GET", path: "/metrics"}).body)
}

// A node that has just started has no connections, no loops, empty histograms.
func TestMetricsOfZeroStats(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(NewCollector(func() *figures.Reading { return new(figures.Reading) }))
	if _, err := registry.Gather(); err != nil {
		t.Error(err)
	}
}

func TestMetricsEndpoint(t *testing.T) {
	ts, _ := newAPIServer(t, Config{})
	got := do(t, ts, request{method: "GET", path: "/metrics"})
	if got.status != 200 || !strings.HasPrefix(got.header.Get("Content-Type"), "text/plain; version=0.0.4") {
		t.Errorf("status %d, %s", got.status, got.header.Get("Content-Type"))
	}
	var have []string
	for line := range strings.Lines(got.body) {
		if name, ok := strings.CutPrefix(line, "# TYPE "); ok {
			have = append(have, strings.TrimSpace(name))
		}
	}
	for _, want := range []string{
		"c100k_connections gauge", "c100k_connections_opened_total counter", "c100k_connections_closed_total counter",
		"c100k_handshakes_rejected_total counter", "c100k_messages_received_total counter", "c100k_messages_sent_total counter",
		"c100k_received_bytes_total counter", "c100k_sent_bytes_total counter", "c100k_publish_fanout_seconds histogram",
		"c100k_outbox_bytes gauge", "c100k_slow_consumer_total counter", "c100k_loop_busy_seconds_total counter",
		"c100k_loop_turn_seconds histogram", "c100k_build_info gauge", "c100k_bus_connected gauge", "c100k_bus_peers gauge", "c100k_bus_sent_total counter",
		"c100k_bus_received_total counter", "c100k_bus_missed_total counter", "c100k_bus_unsent_total counter", "go_goroutines gauge", "process_open_fds gauge",
	} {
		if !slices.Contains(have, want) {
			t.Errorf("no %s", want)
		}
	}
	if strings.Contains(got.body, "process_network_") { // the traffic of the host
		t.Error("process_network_ is there")
	}
}

func TestMetricsOfGivenGatherer(t *testing.T) {
	ts, _ := newAPIServer(t, Config{Metrics: prometheus.NewRegistry()})
	if got := do(t, ts, request{method: "GET", path: "/metrics"}); got.status != 200 || got.body != "" {
		t.Errorf("%d %q", got.status, got.body)
	}
}
