// Reports of a result: their content, and that they can be read again.

package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"c100k/loadgen"
	"c100k/loadgen/swarm"
)

func ms(n float64) loadgen.Millis { return loadgen.Millis(n * 1e6) }

// sample is a result with data in every part, and with names that must be escaped. Latencies of its
// seconds begin at p50.
func sample(p50 float64) *loadgen.Result {
	r := &loadgen.Result{
		URL: "ws://h/<script>alert(1)</script>", Mode: swarm.Subscribe, Protocol: swarm.Raw, Publisher: "http://h/v1", Size: 64, Started: time.Unix(1700000000, 0).UTC(),
		Ramp: ms(1500), Measured: ms(8000),
		Connections: loadgen.ConnectionCounts{Wanted: 1000, Open: 998, Opened: 998, FailedCount: 3, Failed: map[string]uint64{"http 503": 2, "\x1b[2J<i>": 1}},
		Messages:    loadgen.MessageCounts{Published: 10, Received: 9980, Expected: 9981, Lost: 1, Duplicated: 2, Reordered: 3, Refused: map[string]uint64{"timeout": 1}},
		Rate:        loadgen.Rates{Target: 1.25, Achieved: 1.25, Received: 1247.5},
		Connect:     &loadgen.Latencies{Count: 998, P50: ms(1), P99: ms(9)},
		Deliver:     &loadgen.Latencies{Count: 9980, P50: ms(p50), P99: ms(7), Percentiles: []loadgen.Percentile{{Quantile: 0, Value: ms(1)}, {Quantile: 1, Value: ms(7)}}},
		Server:      &loadgen.ServerCost{PID: 1, Processes: 2, Cores: 0.5, PerMessage: loadgen.Millis(4500), PerConn: 300, BothEnds: true},
		Verdict:     loadgen.Verdict{Reasons: []string{"it was <busy>"}},
		Bounds:      []loadgen.Outcome{{Expression: "lost > 0", Shown: "1", Value: 1, Broken: true}},
	}
	for i := range 8 {
		r.Series = append(r.Series, loadgen.Second{At: ms(float64(i) * 1000), Phase: loadgen.Measure, Received: 1000, Latency: &loadgen.Brief{Count: 1, P50: ms(p50 + float64(i)/100), P90: ms(2), P99: ms(3), Max: ms(4)}})
	}
	return r
}

func TestDocumentIsTakenBack(t *testing.T) {
	d := New(sample(1), []string{"load", "ws://h/", "--header", "Authorization: Bearer abc", "--publish-header=X-Key: abc", "--conns", "5"})
	var text bytes.Buffer
	if err := d.WriteJSON(&text); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(text.String(), "abc") || !strings.Contains(text.String(), "Authorization: ***") {
		t.Errorf("the values of header lines are in it, or their names are not: %s", d.Arguments)
	}
	path := filepath.Join(t.TempDir(), "a.json")
	if err := os.WriteFile(path, text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	back, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(d, back, cmpopts.IgnoreUnexported(loadgen.Result{}), cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}

func TestOtherDocuments(t *testing.T) {
	for text, want := range map[string]string{
		"": "is no result", "[]": "is no result", `{"format":"k6"}`: "is no result", `{"format":"c100k-load","version":2}`: "version 2",
		`{"format":"c100k-load","version":1}`: "has no result", `{"format":"c100k-load","version":1,"result":{"ramp_ms":"x"}}`: "no number of milliseconds",
	} {
		if _, err := parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	if _, err := Read(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a file that is not there is read")
	}
}

// FuzzDocument: every accepted document can be compared, shown and written without a panic.
func FuzzDocument(f *testing.F) {
	whole, err := json.Marshal(New(sample(1), nil))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add([]byte(`{"format":"c100k-load","version":1,"result":{}}`))
	f.Add([]byte(`{"format":"c100k-load","version":1,"result":{"series":[{"phase":"measure","latency":{"p50_ms":-1}}],"server":{"cores":1e308}}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := parse(text)
		if err != nil {
			return
		}
		var out bytes.Buffer
		for _, err := range []error{Compare(d, d).WriteText(&out, true), WriteText(&out, d.Result), d.WriteHTML(&out)} {
			if err != nil {
				t.Error(err)
			}
		}
	})
}

func TestText(t *testing.T) {
	var out bytes.Buffer
	if err := WriteText(&out, sample(1)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"998 of 1,000 open after 1.50s", "3: http 503 2, \ufffd[2J<i> 1", "10 published", "lost 1, duplicated 2, reordered 3", "1 publishes failed: timeout 1",
		"deliver  1.00ms", "0.50 processors, 4.50µs a message received", "300 B a connection", "both ends", "lost > 0: BROKEN, it is 1", "INVALID", "- it was <busy>",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "\x1b") {
		t.Error("what a terminal would obey is in it")
	}
}

func TestPage(t *testing.T) {
	var out bytes.Buffer
	if err := New(sample(1), []string{"load", "--topic", "</script><img src=x onerror=alert(1)>"}).WriteHTML(&out); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	for _, bad := range []string{"<script>alert", "<img src=x", "<i>", "it was <busy>", "http://unpkg", "https://cdn", "ZgotmplZ"} {
		if strings.Contains(text, bad) {
			t.Errorf("%q is in the page", bad)
		}
	}
	for _, want := range []string{"uPlot", "http 503", "it was &lt;busy&gt;", `"at_ms":1000`, "Content-Security-Policy"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in the page", want)
		}
	}
	if n := strings.Count(text, "</script>"); n != 3 {
		t.Errorf("%d scripts end, want 3: data, uPlot, ours", n)
	}
}

func TestShellLine(t *testing.T) {
	if got := shellLine([]string{"load", "ws://h/?a={i}", "it's", "", "--rate=5/s"}); got != `c100k load 'ws://h/?a={i}' 'it'\''s' '' --rate=5/s` {
		t.Error(got)
	}
}

func TestCompare(t *testing.T) {
	same, slower := New(sample(1), nil), New(sample(2), nil)
	row := func(c *Comparison, name string) Row {
		i := slices.IndexFunc(c.Rows, func(r Row) bool { return r.Name == name })
		if i < 0 {
			t.Fatalf("no row %s", name)
		}
		return c.Rows[i]
	}
	c := Compare(same, slower)
	if r := row(c, "latency p50, each second"); r.Noise || r.P > 0.01 || r.Ratio < 1.9 || r.Ratio > 2.1 || r.After != "2.03ms" && r.After != "2.04ms" {
		t.Errorf("twice as slow: %+v", r)
	}
	if r := row(c, "latency p99, each second"); !r.Noise || r.Ratio != 1 {
		t.Errorf("the same: %+v", r)
	}
	if r := row(c, "lost"); r.Before != "1" || r.After != "1" || r.Ratio != 1 {
		t.Errorf("lost: %+v", r)
	}
	slower.Result.Mode, slower.Result.Series = swarm.Echo, slower.Result.Series[:3]
	c = Compare(same, slower)
	if !slices.Contains(c.Remarks, "mode differs: subscribe and echo") || !slices.Contains(c.Remarks, "the first result is invalid: "+strings.Join(same.Result.Verdict.Reasons, "; ")) {
		t.Errorf("remarks %q", c.Remarks)
	}
	var out bytes.Buffer
	if err := c.WriteText(&out, false); err != nil {
		t.Fatal(err)
	}
	if r := row(c, "latency p50, each second"); r.P == r.P || !strings.Contains(out.String(), "note: mode differs") {
		t.Errorf("three readings cannot be tested, and are: %+v", r)
	}
}

// TestCompareBounds: a comparison can gate a build, and says in words and color what is better and
// what is worse.
func TestCompareBounds(t *testing.T) {
	usable := func(p99 time.Duration, memory float64) *Document {
		r := sample(1)
		r.Verdict = loadgen.Verdict{Valid: true}
		r.Deliver = &loadgen.Latencies{Count: 1, P99: loadgen.Millis(p99)}
		r.Server = &loadgen.ServerCost{PerConn: memory}
		r.Messages.Sent, r.Rate.Achieved = 10020, 1001.665
		return New(r, nil)
	}
	before, after := usable(time.Millisecond, -3), usable(25*time.Millisecond, 419)
	bound := func(text string) loadgen.RatioBound {
		b, err := loadgen.ParseRatioBound(text, func(string, []string) string { return "" })
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	c := Compare(before, after, bound("deliver.p99 > 1.2x"), bound("rate < 0.9x"))
	if !c.Broken() || !c.Bounds[0].Broken || c.Bounds[1].Broken || c.Bounds[0].Shown != "25x: 1.00ms before and 25.0ms after" {
		t.Errorf("bounds %+v", c.Bounds)
	}
	var text, page bytes.Buffer
	if err := errors.Join(c.WriteText(&text, true), c.WriteHTML(&page)); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(text.String(), "-1") || strings.Contains(text.String(), "10030") || !strings.Contains(text.String(), "10,030") || !strings.Contains(text.String(), "1,002/s") {
		t.Errorf("ratios or numbers that are hard to read in\n%s", &text)
	}
	conclusion := c.Conclusion()
	if !strings.Contains(text.String(), "\x1b[31mdeliver.p99") || !strings.HasSuffix(text.String(), "\n"+conclusion+"\n") || !strings.HasSuffix(conclusion, "a bound is broken.") {
		t.Errorf("no color, or no conclusion %q in\n%s", conclusion, &text)
	}
	for _, want := range []string{`<tr class="worse"><th>deliver.p99</th>`, "BROKEN", "deliver.p99 &gt; 1.2x"} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("the page has no %s", want)
		}
	}
	if c := Compare(before, before, bound("deliver.p99 > 1.2x")); c.Broken() || c.Unusable || !strings.HasPrefix(c.Conclusion(), "0 figures are worse, 0 better") {
		t.Errorf("the same twice: %s", c.Conclusion())
	}
	after.Result.Verdict.Failures = []string{"nothing was published"}
	if c := Compare(before, after); !c.Unusable || !slices.Contains(c.Remarks, "the second run failed: nothing was published") {
		t.Errorf("a failed run: %+v", c.Remarks)
	}
}

// TestPhasesOfThePage: warm-up and measured part are marked, and the time between them is left out.
func TestPhasesOfThePage(t *testing.T) {
	r := sample(1)
	r.Series = []loadgen.Second{{At: ms(1), Phase: loadgen.Ramp}, {At: ms(2), Phase: loadgen.Warm}, {At: ms(3), Phase: loadgen.Between}, {At: ms(4), Phase: loadgen.Measure}}
	var page bytes.Buffer
	if err := New(r, nil).WriteHTML(&page); err != nil {
		t.Fatal(err)
	}
	text := page.String()
	if strings.Contains(text, `"phase":"between"`) || !strings.Contains(text, `"phase":"warm-up"`) || strings.Contains(text, `label: "at"`) || !strings.Contains(text, "(logarithmic axis)") {
		t.Error("the page shows the pause, or not the warm-up, or does not explain its axes")
	}
}
