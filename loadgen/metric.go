// The figures of a result by their names.

package loadgen

import (
	"slices"
	"strings"
)

// metric is a figure that has a name.
type metric struct {
	name string
	help string
	unit unit
	read func(*Result) (value float64, known bool)
}

// metrics are all figures that a threshold or a comparison can name.
var metrics = allMetrics()

func allMetrics() []metric {
	var all []metric
	for _, group := range []struct {
		name, help string
		of         func(*Result) *Latencies
	}{
		{"connect", "time to open a connection", func(r *Result) *Latencies { return r.Connect }},
		{"full", "TCP and a TLS handshake that makes a session", func(r *Result) *Latencies { return r.Full }},
		{"resumed", "TCP and a TLS handshake that resumes a session", func(r *Result) *Latencies { return r.Resumed }},
		{"echo", "due to received back", func(r *Result) *Latencies { return r.Echo }},
		{"deliver", "due at the publisher to received", func(r *Result) *Latencies { return r.Deliver }},
		{"ack", "publish to its answer", func(r *Result) *Latencies { return r.Ack }},
		{"spread", "of one publish: first to last receiver", func(r *Result) *Latencies { return r.Spread }},
		{"catchup", "after a cut: connect to the first message that was sent since", func(r *Result) *Latencies { return r.CatchUp }},
		{"last", "of one publish: due to last receiver", func(r *Result) *Latencies { return r.Last }},
	} {
		for _, point := range []struct {
			name string
			of   func(*Latencies) Millis
		}{
			{"p50", func(l *Latencies) Millis { return l.P50 }}, {"p90", func(l *Latencies) Millis { return l.P90 }},
			{"p99", func(l *Latencies) Millis { return l.P99 }}, {"p99.9", func(l *Latencies) Millis { return l.P999 }},
			{"max", func(l *Latencies) Millis { return l.Max }}, {"mean", func(l *Latencies) Millis { return l.Mean }},
		} {
			all = append(all, metric{group.name + "." + point.name, group.help, unitTime, func(r *Result) (float64, bool) {
				l := group.of(r)
				if l == nil {
					return 0, false
				}
				return float64(point.of(l)) / 1e6, true
			}})
		}
	}
	return append(append(all, countMetrics()...), costMetrics()...)
}

func countMetrics() []metric {
	number := func(name, help string, of func(*Result) float64) metric {
		return metric{name, help, unitCount, func(r *Result) (float64, bool) { return of(r), true }}
	}
	rate := func(name, help string, of func(*Result) float64) metric {
		return metric{name, help, unitRate, func(r *Result) (float64, bool) { return of(r), true }}
	}
	return []metric{
		number("open", "connections that were open when the measured part began", func(r *Result) float64 { return float64(r.Connections.Open) }),
		number("failed", "connections that did not open", func(r *Result) float64 { return float64(r.Connections.FailedCount) }),
		number("dropped", "open connections that ended without our doing", func(r *Result) float64 { return float64(r.Connections.LostCount) }),
		number("sent", "messages that connections or publisher sent", func(r *Result) float64 { return float64(r.Messages.Sent + r.Messages.Published) }),
		number("received", "messages that connections received", func(r *Result) float64 { return float64(r.Messages.Received) }),
		{"lost", "messages that never came", unitCount, func(r *Result) (float64, bool) { return float64(r.Messages.Lost), len(r.Missing) == 0 }},
		number("duplicated", "messages that came twice", func(r *Result) float64 { return float64(r.Messages.Duplicated) }),
		number("reordered", "messages that came behind a later one", func(r *Result) float64 { return float64(r.Messages.Reordered) }),
		number("corrupted", "messages that were changed on the way", func(r *Result) float64 { return float64(r.Messages.Corrupted) }),
		number("gaps", "messages that the server says it dropped", func(r *Result) float64 { return float64(r.Messages.Gaps) }),
		number("unsent", "messages that were due and had no way out", func(r *Result) float64 { return float64(r.Messages.Unsent) }),
		number("refused", "publishes that failed", func(r *Result) float64 { return float64(Total(r.Messages.Refused)) }),
		rate("rate", "messages a second that went out", func(r *Result) float64 { return r.Rate.Achieved }),
		rate("deliver.rate", "messages a second that were received", func(r *Result) float64 { return r.Rate.Received }),
		rate("connect.rate", "connections a second that opened", func(r *Result) float64 { return r.Connections.PerSecond }),
		{"ramp", "time until all were connected", unitTime, func(r *Result) (float64, bool) { return float64(r.Ramp) / 1e6, true }},
		{"recovered", "connections that went on where they were cut off", unitCount, recovery(func(r *Recovery) uint64 { return r.Recovered })},
		{"reset", "connections that were cut off and could not go on", unitCount, recovery(func(r *Recovery) uint64 { return r.Reset })},
		{"back.max", "longest time until all were back after a storm", unitTime, longestStorm},
	}
}

// recovery is a figure of a run that cuts.
func recovery(of func(*Recovery) uint64) func(*Result) (float64, bool) {
	return func(r *Result) (float64, bool) {
		if r.Recovery == nil {
			return 0, false
		}
		return float64(of(r.Recovery)), true
	}
}

// longestStorm is not known where some were not back.
func longestStorm(r *Result) (float64, bool) {
	longest := Millis(0)
	for _, s := range r.Storms {
		if !s.All {
			return 0, false
		}
		longest = max(longest, s.After)
	}
	return float64(longest) / 1e6, len(r.Storms) > 0
}

func costMetrics() []metric {
	server := func(of func(*ServerCost) (float64, bool)) func(*Result) (float64, bool) {
		return func(r *Result) (float64, bool) {
			if r.Server == nil || r.Server.Trouble != "" {
				return 0, false
			}
			return of(r.Server)
		}
	}
	return []metric{
		{"server.cpu_per_message", "processor time of the server for a message received", unitTime,
			server(func(s *ServerCost) (float64, bool) { return float64(s.PerMessage) / 1e6, s.PerMessage > 0 })},
		{"server.cpu_per_connection", "processor time of the server for a connection that opens", unitTime,
			server(func(s *ServerCost) (float64, bool) { return float64(s.PerConnection) / 1e6, s.PerConnection > 0 })},
		{"server.cores", "processors that the server used on average", unitCount, server(func(s *ServerCost) (float64, bool) { return s.Cores, true })},
		{"server.bytes_per_conn", "private memory of the server for a connection", unitBytes, server(func(s *ServerCost) (float64, bool) { return s.PerConn, true })},
		{"server.memory", "private memory of the server at the end", unitBytes, server(func(s *ServerCost) (float64, bool) { return float64(s.MemoryEnd), true })},
		{"generator.busy", "share of their time that the loops of the busiest process worked", unitShare, func(r *Result) (float64, bool) { return r.Generator.Busy, true }},
		{"generator.cpu_per_message", "processor time of the generator for a message received", unitTime, func(r *Result) (float64, bool) {
			return float64(r.Generator.PerMessage) / 1e6, r.Generator.PerMessage > 0
		}},
	}
}

// moreIsBetter are the figures for which higher is better. sent is neither better nor worse: it
// depends on the requested load.
var moreIsBetter = []string{"open", "received", "recovered", "rate", "deliver.rate", "connect.rate"}

// Direction is 1 for a figure that is better when it is higher, -1 for one that is better when it
// is lower, and 0 for one that only tells what was done.
func Direction(name string) int {
	switch {
	case name == "sent":
		return 0
	case slices.Contains(moreIsBetter, name):
		return 1
	}
	return -1
}

func metricNamed(name string) *metric {
	for i := range metrics {
		if metrics[i].name == name {
			return &metrics[i]
		}
	}
	return nil
}

// MetricNames are the names of all figures, in the order of help.
func MetricNames() []string {
	names := make([]string, len(metrics))
	for i := range metrics {
		names[i] = metrics[i].name
	}
	return names
}

// helpWidth is how wide a line of MetricsHelp may be.
const helpWidth = 118

// MetricsHelp lists the figures, in lines that are indented: those of distributions by their group.
func MetricsHelp() string {
	var lines []string
	line := " "
	words := strings.Fields("connect.P full.P resumed.P echo.P deliver.P ack.P spread.P catchup.P last.P (P: p50 p90 p99 p99.9 max mean)")
	for _, m := range append(countMetrics(), costMetrics()...) {
		words = append(words, m.name)
	}
	for _, word := range words {
		if len(line)+1+len(word) > helpWidth {
			lines = append(lines, line)
			line = " "
		}
		line += " " + word
	}
	return strings.Join(append(lines, line), "\n")
}

// Figure is one figure of a result.
type Figure struct {
	Value float64 // milliseconds, bytes, or the figure itself
	Shown string  // for people
}

// Figure reads the figure of that name; known is false where the run has none.
func (r *Result) Figure(name string) (f Figure, known bool) {
	m := metricNamed(name)
	if m == nil {
		return f, false
	}
	f.Value, known = m.read(r)
	f.Shown = m.unit.format(f.Value)
	return f, known
}
