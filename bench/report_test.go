package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParsePrivate(t *testing.T) {
	const rollup = "00400000-7fff ---p 00000000 00:00 0    [rollup]\nRss:  900 kB\nPrivate_Clean:  12 kB\nPrivate_Dirty:  345 kB\nPrivate_Hugetlb:  7 kB\n"
	if n, err := parsePrivate(rollup); n != 357<<10 || err != nil {
		t.Error(n, err)
	}
	for _, bad := range []string{"", "Private_Clean: 12 kB\n", "Private_Clean: x kB\nPrivate_Dirty: 1 kB\n"} {
		if _, err := parsePrivate(bad); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}

func TestGoroutines(t *testing.T) {
	if n, err := parseGoroutines("goroutine profile: total 37\n1 @ 0x43\n"); n != 37 || err != nil {
		t.Error(n, err)
	}
	if _, err := parseGoroutines("<html>"); err == nil {
		t.Error("no error")
	}
	var stats any
	if err := json.Unmarshal([]byte(`{"loops":[{"turns":1}],"process":{"goroutines":9}}`), &stats); err != nil {
		t.Fatal(err)
	}
	if n, ok := findNumber(stats, "goroutines"); n != 9 || !ok {
		t.Error(n, ok)
	}
	if _, ok := findNumber(stats, "threads"); ok {
		t.Error("found what is not there")
	}
}

func TestSpread(t *testing.T) {
	tests := []struct {
		values           []float64
		median, min, max float64
	}{
		{[]float64{3}, 3, 3, 3},
		{[]float64{3, 1}, 2, 1, 3},
		{[]float64{5, 1, 2}, 2, 1, 5},
	}
	for _, test := range tests {
		if s := spreadOf(test.values); s.Median != test.median || s.Min != test.min || s.Max != test.max {
			t.Errorf("%v: %+v", test.values, s)
		}
	}
}

// Three servers, two repetitions between which the machine became twice as slow: the ratios are taken inside each.
func TestTable(t *testing.T) {
	targets := []target{{Name: "c100k uring", Ours: true, IO: "uring"}, {Name: "c100k syscall", Ours: true, IO: "syscall"}, {Name: plainFloor}}
	sc := scenario{name: "fanout", figures: []figure{
		{key: "us", title: "CPU µs", decimals: 2, ratios: true, goals: []goal{atMost(4.5).needsUring(), timesPlain(0.75)}}}}
	us := func(v float64) map[string]float64 { return map[string]float64{"us": v} }
	runs := []run{
		{Scenario: "fanout", Server: "c100k uring", Rep: 0, Figures: us(3)},
		{Scenario: "fanout", Server: "c100k syscall", Rep: 0, Figures: us(5), Clients: []*clientResult{{ClientBusy: 0.99, ServerBusy: 0.5}}},
		{Scenario: "fanout", Server: plainFloor, Rep: 0, Figures: us(5)},
		{Scenario: "fanout", Server: "c100k uring", Rep: 1, Figures: us(8)},
		{Scenario: "fanout", Server: "c100k syscall", Rep: 1, Error: "it ended"},
		{Scenario: "fanout", Server: plainFloor, Rep: 1, Figures: us(10)},
	}
	d := document{Environment: environment{Kernel: "Linux 1", CPU: "a CPU", CPUs: 2, SyscallNs: 100, Commit: "abc", Date: "today"}, Runs: runs}
	for _, target := range targets {
		d.Servers = append(d.Servers, target.Name)
	}
	d.Rows = rowsOf(sc, targets, runs)
	var b strings.Builder
	d.markdown(&b)
	want := `Linux 1 · a CPU, 2 CPUs · null system call 100 ns · abc · today

| | c100k uring | c100k syscall | floor-send | goal |
|---|---:|---:|---:|---|
| CPU µs | **5.50** (3.00..8.00) | 5.00 \* | **7.50** (5.00..10.00) | ≤ 4.5 (io_uring): missed |
| … ÷ floor-send | **0.70** (0.60..0.80) | 1.00 \* | **1.00** (1.00..1.00) | ≤ 0.75: met |

\* In at least one repetition the load client was the bottleneck: the figure is void.

fanout on c100k syscall, repetition 2, failed: it ended
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
	path := filepath.Join(t.TempDir(), "results.json")
	if err := d.writeJSON(path); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	var back document
	if err != nil || json.Unmarshal(text, &back) != nil || len(back.Runs) != len(runs) || len(back.Rows) != 2 {
		t.Errorf("%s, %v", text, err)
	}
}

func TestChoose(t *testing.T) {
	chosen, err := choose(scenarios(quickSize), "echo,memory")
	if got := strings.Join(names(chosen), ","); got != "memory,echo" || err != nil {
		t.Error(got, err)
	}
	if _, err := choose(scenarios(quickSize), "ecko"); err == nil || !strings.Contains(err.Error(), "handshake") {
		t.Error("an unknown scenario must be answered with the list:", err)
	}
}
