// Two results beside each other: what changed, and whether it is more than noise.

package report

import (
	"fmt"
	"io"
	"math"
	"strings"
	"text/tabwriter"

	"golang.org/x/perf/benchmath"

	"c100k/loadgen"
)

// Comparison is two results, figure by figure.
type Comparison struct {
	Remarks []string // what makes the two hard to compare
	Rows    []Row
}

// Row is one figure of two results.
type Row struct {
	Name          string
	Before, After string  // as people read them
	Ratio         float64 // after / before; NaN: not to be had
	P             float64 // chance that both series come from one distribution; NaN: there are no series, or they are too short
	Noise         bool    // with P: the difference may be noise
}

// leastSeconds is how many readings each side needs before a test can tell anything at all.
const leastSeconds = 4

// Compare holds two documents against each other. Figures that have a reading for every second of the measured part are tested; the rest
// are counts and costs of the whole run, of which there is one on each side.
func Compare(before, after *Document) *Comparison {
	c := &Comparison{Remarks: differences(before, after)}
	for _, s := range tested {
		x, y := s.series(before.Result), s.series(after.Result)
		if len(x) == 0 || len(y) == 0 {
			continue
		}
		c.Rows = append(c.Rows, compareSeries(s, x, y))
	}
	for _, name := range loadgen.MetricNames() {
		if row, ok := compareFigure(name, before.Result, after.Result); ok {
			c.Rows = append(c.Rows, row)
		}
	}
	return c
}

// timed is a figure that the series of a result has.
type timed struct {
	name   string
	of     func(*loadgen.Second) (float64, bool)
	format func(float64) string
}

func ofLatency(of func(*loadgen.Brief) loadgen.Millis) func(*loadgen.Second) (float64, bool) {
	return func(s *loadgen.Second) (float64, bool) {
		if s.Latency == nil {
			return 0, false
		}
		return float64(of(s.Latency)), true
	}
}

func formatTime(f float64) string { return loadgen.Millis(f).String() }
func formatRate(f float64) string { return figure(f) + "/s" }

var tested = []timed{
	{"latency p50, each second", ofLatency(func(b *loadgen.Brief) loadgen.Millis { return b.P50 }), formatTime},
	{"latency p90, each second", ofLatency(func(b *loadgen.Brief) loadgen.Millis { return b.P90 }), formatTime},
	{"latency p99, each second", ofLatency(func(b *loadgen.Brief) loadgen.Millis { return b.P99 }), formatTime},
	{"sent, each second", func(s *loadgen.Second) (float64, bool) { return s.Sent, s.Sent > 0 }, formatRate},
	{"received, each second", func(s *loadgen.Second) (float64, bool) { return s.Received, s.Received > 0 }, formatRate},
	{"server processors, each second", func(s *loadgen.Second) (float64, bool) { return s.Cores, s.Cores > 0 }, func(f float64) string { return fmt.Sprintf("%.2f", f) }},
}

// series are the readings of the measured part.
func (t *timed) series(r *loadgen.Result) (values []float64) {
	for i := range r.Series {
		if r.Series[i].Phase != loadgen.Measure {
			continue
		}
		if v, ok := t.of(&r.Series[i]); ok {
			values = append(values, v)
		}
	}
	return values
}

// compareSeries tests without assuming a distribution: latencies have none that is known.
func compareSeries(t timed, x, y []float64) Row {
	thresholds := benchmath.DefaultThresholds
	before, after := benchmath.NewSample(x, &thresholds), benchmath.NewSample(y, &thresholds)
	a, b := benchmath.AssumeNothing.Summary(before, 0.95).Center, benchmath.AssumeNothing.Summary(after, 0.95).Center
	row := Row{Name: t.name, Before: t.format(a), After: t.format(b), Ratio: ratio(a, b), P: math.NaN()}
	if len(x) >= leastSeconds && len(y) >= leastSeconds {
		comparison := benchmath.AssumeNothing.Compare(before, after)
		row.P, row.Noise = comparison.P, comparison.P > comparison.Alpha
	}
	return row
}

func compareFigure(name string, before, after *loadgen.Result) (Row, bool) {
	a, known := before.Figure(name)
	b, knownToo := after.Figure(name)
	if !known && !knownToo || known && knownToo && a.Value == 0 && b.Value == 0 {
		return Row{}, false
	}
	row := Row{Name: name, Before: "-", After: "-", Ratio: math.NaN(), P: math.NaN()}
	if known {
		row.Before = a.Shown
	}
	if knownToo {
		row.After = b.Shown
	}
	if known && knownToo {
		row.Ratio = ratio(a.Value, b.Value)
	}
	return row, true
}

func ratio(before, after float64) float64 {
	if before == 0 {
		return math.NaN()
	}
	return after / before
}

// differences are the conditions that two runs should have in common.
func differences(a, b *Document) (remarks []string) {
	differ := func(what string, x, y any) {
		if x != y {
			remarks = append(remarks, fmt.Sprintf("%s differs: %v and %v", what, x, y))
		}
	}
	differ("mode", a.Result.Mode, b.Result.Mode)
	differ("protocol", a.Result.Protocol, b.Result.Protocol)
	differ("number of connections", a.Result.Connections.Wanted, b.Result.Connections.Wanted)
	differ("size of a message", a.Result.Size, b.Result.Size)
	differ("target rate", figure(a.Result.Rate.Target), figure(b.Result.Rate.Target))
	differ("kernel", a.Machine.Kernel, b.Machine.Kernel)
	differ("processor", a.Machine.CPU, b.Machine.CPU)
	differ("number of processors", a.Machine.CPUs, b.Machine.CPUs)
	for _, side := range []struct {
		name string
		d    *Document
	}{{"first", a}, {"second", b}} {
		if !side.d.Result.Verdict.Valid {
			remarks = append(remarks, "the "+side.name+" result is invalid: its generator was the bottleneck")
		}
	}
	return remarks
}

// WriteText writes the comparison as a table.
func (c *Comparison) WriteText(w io.Writer) error {
	text := &strings.Builder{}
	for _, remark := range c.Remarks {
		fmt.Fprintf(text, "note: %s\n", loadgen.Printable(remark))
	}
	if len(c.Remarks) > 0 {
		text.WriteByte('\n')
	}
	table := tabwriter.NewWriter(text, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "figure\tbefore\tafter\tratio\tp")
	for _, row := range c.Rows {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", row.Name, row.Before, row.After, row.ratio(), row.p())
	}
	// A strings.Builder takes everything.
	_ = table.Flush()
	text.WriteString("\n~: the difference may be noise. Without p there is one reading on each side: compare several runs.\n")
	_, err := io.WriteString(w, text.String())
	return err
}

func (r *Row) ratio() string {
	if math.IsNaN(r.Ratio) {
		return ""
	}
	return fmt.Sprintf("%.3f", r.Ratio)
}

func (r *Row) p() string {
	switch {
	case math.IsNaN(r.P):
		return ""
	case r.Noise:
		return fmt.Sprintf("~ (p=%.3f)", r.P)
	}
	return fmt.Sprintf("p=%.3f", r.P)
}
