// Thresholds: which are accepted, which are refused, and which results break them.

package loadgen

import (
	"strings"
	"testing"
)

func none(string, []string) string { return "" }

func TestThresholds(t *testing.T) {
	r := &Result{Deliver: &Latencies{P99: Millis(200e6), Max: Millis(3e9)}, Messages: MessageCounts{Lost: 2},
		Rate: Rates{Achieved: 990}, Server: &ServerCost{PerMessage: Millis(4500), PerConn: 300}, Generator: Generator{Busy: 0.5}}
	for _, test := range []struct {
		text   string
		broken bool
		shown  string
	}{
		{"deliver.p99 > 250ms", false, "200ms"}, {"deliver.p99>150ms", true, "200ms"}, {"deliver.p99 >= 200 ms", true, "200ms"},
		{"deliver.max > 3s", false, "3.00s"}, {"lost > 0", true, "2"}, {"lost != 2", false, "2"}, {"lost == 2", true, "2"}, {"duplicated > 0", false, "0"},
		{"rate < 1000/s", true, "990/s"}, {"rate <= 989", false, "990/s"}, {"server.cpu_per_message > 4us", true, "4.50µs"},
		{"server.bytes_per_conn > 1KiB", false, "300 B"}, {"generator.busy > 40%", true, "50%"}, {"generator.busy > 0.6", false, "50%"},
		{"echo.p99 > 1s", true, "not measured"}, {"back.max > 1s", true, "not measured"},
	} {
		threshold, err := ParseThreshold(test.text, none)
		if err != nil {
			t.Errorf("%q: %v", test.text, err)
			continue
		}
		if got := threshold.Check(r); got.Broken != test.broken || got.Shown != test.shown {
			t.Errorf("%q: %+v, want broken %v, %s", test.text, got, test.broken, test.shown)
		}
	}
}

func TestThresholdsThatAreNone(t *testing.T) {
	nearest := func(word string, _ []string) string { return "near " + word }
	for text, want := range map[string]string{
		"": "is no threshold", "lost": "is no threshold", "lost ! 3": "no comparison", "lots > 3": "did you mean near lots?", "lost > 3ms": "not a number",
		"deliver.p99 > 250": "is not a duration", "rate < fast": "is not a rate", "server.memory > 3 elephants": "is not a size", "generator.busy > x%": "is not a share",
		"lost > -1": "not a number", "deliver.p99 > ": "is not a duration", strings.Repeat("x", 300): "too long", "> 3": "no figure",
	} {
		if _, err := ParseThreshold(text, nearest); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestMetricsAreTold(t *testing.T) {
	help := MetricsHelp()
	for _, name := range MetricNames() {
		group, _, _ := strings.Cut(name, ".")
		if !strings.Contains(help, " "+name) && !strings.Contains(help, " "+group+".P") {
			t.Errorf("%s is not in the help", name)
		}
	}
}

// FuzzParseThreshold: no input panics, and an accepted threshold can be parsed again from its text.
func FuzzParseThreshold(f *testing.F) {
	for _, seed := range []string{"deliver.p99 > 250ms", "lost>0", "rate<=1e3/s", "server.memory == 1.5GiB", "generator.busy != 90%", "a=b", "ack.p99.9 < -1ns", "lost > 1..2"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		threshold, err := ParseThreshold(text, none)
		if err != nil {
			return
		}
		threshold.Check(&Result{})
		again, err := ParseThreshold(threshold.Expression, none)
		if err != nil || again.bound != threshold.bound || again.compare != threshold.compare {
			t.Errorf("%q became %q, and that %+v, %v", text, threshold.Expression, again, err)
		}
	})
}

func TestRatioBound(t *testing.T) {
	nearest := func(string, []string) string { return "" }
	for _, text := range []string{"echo.p99", "echo.p99 > 1.2", "echo.p99 > 250ms", "ecko > 1x", "echo.p99 > -1x", "echo.p99 > x"} {
		if _, err := ParseRatioBound(text, nearest); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
	none, some := &Result{}, &Result{Messages: MessageCounts{Lost: 3}}
	for _, test := range []struct {
		text          string
		before, after *Result
		broken        bool
	}{
		{"lost > 1x", none, none, false}, {"lost > 1000x", none, some, true}, {"lost > 1x", some, some, false}, {"lost < 1x", some, none, true},
		{"echo.p99 > 1x", none, none, true},
	} {
		b, err := ParseRatioBound(test.text, nearest)
		if err != nil {
			t.Fatal(err)
		}
		if got := b.Check(test.before, test.after); got.Broken != test.broken {
			t.Errorf("%s: %+v, want broken %v", test.text, got, test.broken)
		}
	}
}
