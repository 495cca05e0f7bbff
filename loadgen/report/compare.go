// Two results beside each other: what changed, and whether it is more than noise.

package report

import (
	"cmp"
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"

	"golang.org/x/perf/benchmath"

	"c100k/loadgen"
)

// Comparison is two results, figure by figure.
type Comparison struct {
	Remarks  []string // what makes the two hard to compare
	Rows     []Row
	Bounds   []loadgen.Outcome
	Unusable bool // one of the two is invalid, or of a run that failed: a bound that is kept says nothing
}

// Row is one figure of two results.
type Row struct {
	Name          string
	Before, After string  // as people read them
	Ratio         float64 // after / before; NaN: there is none, because one is unknown, or not above 0
	P             float64 // chance that both series come from one distribution; NaN: there are no series, or they are too short
	Noise         bool    // with P: the difference may be noise
	Change        Change
}

// Change is what became of a figure.
type Change string

// The changes. A figure that is neither good nor bad has none; nor has one whose ratio is not
// known.
const (
	Better Change = "better"
	Worse  Change = "worse"
	Same   Change = "same"
)

// sameWithin is the change of a figure with one reading on each side that is taken for none.
const sameWithin = 0.05

// change judges a row; direction is loadgen.Direction's.
func (r *Row) change(direction int) Change {
	switch tested := !math.IsNaN(r.P); {
	case direction == 0 || math.IsNaN(r.Ratio):
		return ""
	case tested && (r.Noise || r.Ratio == 1), !tested && math.Abs(r.Ratio-1) <= sameWithin:
		return Same
	case (r.Ratio > 1) == (direction > 0):
		return Better
	}
	return Worse
}

// leastSeconds is how many readings each side needs before a test can tell anything at all.
const leastSeconds = 4

// Compare holds two documents against each other, and against bounds on their ratios. Figures that
// have a reading for every second of the measured part are tested; the rest are counts and costs of
// the whole run, of which there is one on each side.
func Compare(before, after *Document, bounds ...loadgen.RatioBound) *Comparison {
	c := &Comparison{Remarks: differences(before, after), Unusable: unusable(before) || unusable(after)}
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
	for i := range bounds {
		c.Bounds = append(c.Bounds, bounds[i].Check(before.Result, after.Result))
	}
	return c
}

func unusable(d *Document) bool { return !d.Result.Verdict.Valid || len(d.Result.Verdict.Failures) > 0 }

// Broken tells whether a bound is broken.
func (c *Comparison) Broken() bool {
	return slices.ContainsFunc(c.Bounds, func(b loadgen.Outcome) bool { return b.Broken })
}

// count is how many rows have changed so.
func (c *Comparison) count(change Change) (n int) {
	for _, row := range c.Rows {
		if row.Change == change {
			n++
		}
	}
	return n
}

// Conclusion is one sentence on the whole.
func (c *Comparison) Conclusion() string {
	worse, better := c.count(Worse), c.count(Better)
	text := fmt.Sprintf("%d %s worse, %d better, %d the same", worse, loadgen.Plural(worse, "figure is", "figures are"), better, c.count(Same))
	switch {
	case len(c.Bounds) == 0:
	case c.Broken():
		text += "; a bound is broken"
	case c.Unusable:
		text += "; no bound is broken, which says nothing because one of the results cannot be used"
	default:
		text += "; every bound is kept"
	}
	return text + "."
}

// timed is a figure that the series of a result has.
type timed struct {
	name   string
	better int // as loadgen.Direction
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
	{"latency p50, each second", -1, ofLatency(func(b *loadgen.Brief) loadgen.Millis { return b.P50 }), formatTime},
	{"latency p90, each second", -1, ofLatency(func(b *loadgen.Brief) loadgen.Millis { return b.P90 }), formatTime},
	{"latency p99, each second", -1, ofLatency(func(b *loadgen.Brief) loadgen.Millis { return b.P99 }), formatTime},
	{"sent, each second", 0, func(s *loadgen.Second) (float64, bool) { return s.Sent, s.Sent > 0 }, formatRate},
	{"received, each second", 1, func(s *loadgen.Second) (float64, bool) { return s.Received, s.Received > 0 }, formatRate},
	{"server processors, each second", -1, func(s *loadgen.Second) (float64, bool) { return s.Cores, s.Cores > 0 }, func(f float64) string { return fmt.Sprintf("%.2f", f) }},
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
	row.Change = row.change(t.better)
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
	row.Change = row.change(loadgen.Direction(name))
	return row, true
}

func ratio(before, after float64) float64 {
	if before <= 0 || after < 0 { // memory that was given back is no multiple of anything
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
		if v := side.d.Result.Verdict; len(v.Failures) > 0 {
			remarks = append(remarks, "the "+side.name+" run failed: "+strings.Join(v.Failures, "; "))
		} else if !v.Valid {
			remarks = append(remarks, "the "+side.name+" result is invalid: "+cmp.Or(strings.Join(v.Reasons, "; "), "its generator was the bottleneck"))
		}
	}
	return remarks
}

// The colors of a terminal for what is better and what is worse: those of its own palette.
var changeColors = map[Change]string{Better: "\x1b[32m", Worse: "\x1b[31m"}

const colorOff = "\x1b[0m"

// WriteText writes the comparison as a table, in colors where the writer is a terminal that wants
// them.
func (c *Comparison) WriteText(w io.Writer, colors bool) error {
	text := &strings.Builder{}
	for _, remark := range c.Remarks {
		fmt.Fprintf(text, "note: %s\n", loadgen.Printable(remark))
	}
	if len(c.Remarks) > 0 {
		text.WriteByte('\n')
	}
	rows := &strings.Builder{}
	table := tabwriter.NewWriter(rows, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "figure\tbefore\tafter\tratio\tp\tchange")
	for _, row := range c.Rows {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", row.Name, row.Before, row.After, row.ratio(), row.p(), row.Change)
	}
	// A strings.Builder takes everything.
	_ = table.Flush()
	number := -1 // the heading comes first
	for line := range strings.Lines(rows.String()) {
		color := ""
		if colors && number >= 0 {
			color = changeColors[c.Rows[number].Change]
		}
		if number++; color != "" {
			line = color + strings.TrimSuffix(line, "\n") + colorOff + "\n"
		}
		text.WriteString(line)
	}
	text.WriteString("\n~: the difference may be noise. Without p there is one reading on each side, and up to 5 % is the same: compare several runs.\n")
	for _, b := range c.Bounds {
		fmt.Fprintf(text, "fail if %s: %s, it is %s\n", b.Expression, boundWord(b), b.Shown)
	}
	fmt.Fprintf(text, "\n%s\n", c.Conclusion())
	_, err := io.WriteString(w, text.String())
	return err
}

// boundWord says what became of a bound.
func boundWord(b loadgen.Outcome) string {
	if b.Broken {
		return "BROKEN"
	}
	return "kept"
}

var comparePage = template.Must(template.New("compare.html").Funcs(pageFunctions).Funcs(template.FuncMap{
	"ratio": func(r Row) string { return r.ratio() },
	"p":     func(r Row) string { return r.p() },
	"word":  boundWord,
}).ParseFS(files, "page/compare.html"))

// WriteHTML writes the comparison as a page that needs no network.
func (c *Comparison) WriteHTML(w io.Writer) error { return comparePage.Execute(w, c) }

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
