package main

// report_test.go: medians, goals and tables, from runs that are made up.

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"c100k/bench/rig"
	"c100k/loadgen"
)

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

// made is a document of two repetitions, between which the machine became twice as slow: ratios are
// taken inside each.
func made() *document {
	d := &document{goals: goals(), Machine: rig.Machine{Machine: loadgen.Machine{Kernel: "Linux 1", CPU: "a CPU", CPUs: 2}, Commit: "abc", Date: "today"}, SyscallNs: 100, Repetitions: 2}
	d.Servers = []target{{Name: nodeAuto, Kind: ours}, {Name: nodeSyscall, Kind: ours}, {Name: plainFloor, Kind: floor}, {Name: uringFloor, Kind: floor},
		{Name: "quick", Kind: rival}, {Name: "slow", Kind: rival, events: true}}
	d.scenarios = []scenario{{name: "fan", figures: us("fan-out")}}
	for server, values := range map[string][2]float64{nodeAuto: {3, 8}, plainFloor: {5, 10}, uringFloor: {3, 6}, "quick": {10, 20}, "slow": {30, 60}} {
		for rep, v := range values {
			d.Runs = append(d.Runs, run{Scenario: "fan", Server: server, Rep: rep, Figures: map[string]float64{usKey: v}})
		}
	}
	d.Runs = append(d.Runs, run{Scenario: "fan", Server: nodeSyscall, Rep: 0, Figures: map[string]float64{usKey: 5}, Void: "the load was busy"},
		run{Scenario: "fan", Server: nodeSyscall, Rep: 1, Error: "it ended"},
		run{Scenario: "fan", Server: nodeAuto, Rep: 2, Figures: map[string]float64{usKey: 100}, Void: "the load was busy"})
	d.judge()
	return d
}

func TestTable(t *testing.T) {
	var b strings.Builder
	made().markdown(&b)
	want := `Linux 1 · a CPU, 2 CPUs · null system call 100 ns · abc · today

| goal | whose | ours | against | ratio | at most | | cheapest rival | ratio | cheaper than every rival |
|---|---|---:|---|---:|---:|---|---|---:|---|
| fan-out 64 B to 10,000 | c100k | 5.5 | floor-uring | 1.17 ±14 % \* | 1.05 | **missed** | quick | 0.35 ±14 % | yes |
| fan-out 64 B to 10,000 | c100k syscall | 5 | floor-send | 1.00 \* | 1.05 | void |  |  |  |

A ratio with an asterisk is of runs; the others are medians over the rounds of loads that take turns.

| | fan-out, µs |
|---|---:|
| c100k | 5.50 ±45 % |
| c100k syscall | 5.00 \* |
| floor-send | 7.50 ±33 % |
| floor-uring | 4.50 ±33 % |
| quick | 15.00 ±33 % |
| slow | 45.00 ±33 % |

A figure is the median of 2 repetitions, ± half of the way from the least to the greatest. Columns: server CPU an operation, unless they say otherwise.

\* Void: in all repetitions the generator was the bottleneck. What is void in some is left out.

Failed: fan on c100k syscall, repetition 2: it ended
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
}

func TestDocuments(t *testing.T) {
	d := made()
	path := filepath.Join(t.TempDir(), "results.json")
	if err := d.writeJSON(path); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	var back document
	if err != nil || json.Unmarshal(text, &back) != nil || len(back.Runs) != len(d.Runs) || len(back.Goals) != len(d.Goals) {
		t.Errorf("%s, %v", text, err)
	}
	var page bytes.Buffer
	d.Servers[4].Version = "</script><b>"
	if err := d.writeHTML(&page); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`id="plot-fan-us"`, `"server":"floor-send","kind":"floor","median":7.5`, "uPlot=", "&lt;/script&gt;"} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("the page has no %s", want)
		}
	}
}

// TestGoalsByTurns: where servers took turns with each other, their rounds count and not the runs.
func TestGoalsByTurns(t *testing.T) {
	d := made()
	for server, values := range map[string][2]float64{nodeAuto: {1, 4}, uringFloor: {1, 4}, "quick": {0.5, 2}} {
		for rep, v := range values {
			d.Turns = append(d.Turns, run{Scenario: "fan", Server: server, Rep: rep, Figures: map[string]float64{usKey: v}})
		}
	}
	d.judge()
	v := d.Goals[0]
	if !v.Turns || v.Ratio.Median != 1 || !v.Met || v.word() != "met" || v.Rival != "quick" || v.Beside.Median != 2 || v.Cheaper || v.cheaper() != "**no**" {
		t.Errorf("%+v, want the ratios of the rounds: 1 to the floor and 2 to the rival", v)
	}
}

func TestGoalsOfOtherFigures(t *testing.T) {
	runs := []run{
		{Scenario: "fan", Server: nodeAuto, Figures: map[string]float64{usKey: 4}}, {Scenario: "fan1k", Server: nodeAuto, Figures: map[string]float64{usKey: 5}},
		{Scenario: "memory", Server: nodeAuto, Figures: map[string]float64{"bytes": 150}}, {Scenario: "memory", Server: "goroutines", Figures: map[string]float64{"bytes": 100}},
		{Scenario: "memory", Server: "events", Figures: map[string]float64{"bytes": 300}},
	}
	targets := []target{{Name: nodeAuto, Kind: ours}, {Name: "goroutines", Kind: rival}, {Name: "events", Kind: rival, events: true}}
	got := map[string]string{}
	for _, g := range goals() {
		if v, ok := g.judge(targets, runs, nil); ok {
			got[v.Work+"/"+v.Against] = strings.TrimSpace(short(v.Ratio.Median) + " " + v.word() + " " + v.Rival + " " + v.cheaper())
		}
	}
	want := map[string]string{"cost a delivery, 10,000 to 1,000 connections/fan1k": "0.8 met", "idle memory a connection, bytes/": "150 met goroutines **no**"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestCertainty(t *testing.T) {
	worse, better := slices.Repeat([]float64{1.02}, 10), slices.Repeat([]float64{0.98}, 10)
	for _, test := range []struct {
		starts [][]float64
		want   string
	}{{[][]float64{worse, worse}, "p=0.000"}, {[][]float64{worse, better}, "~ (p=1.000, 1 of 2 starts above 1)"},
		{[][]float64{worse, worse, better}, "~ (p=0.099, 2 of 3 starts above 1)"}, {[][]float64{better[:3]}, "~ (p=0.250, 0 of 1 starts above 1)"}} {
		if got := certainty(test.starts); got != test.want {
			t.Errorf("%v: %s, want %s", test.starts, got, test.want)
		}
	}
}

func TestStarts(t *testing.T) {
	base, work := column{values: map[int]float64{}}, column{values: map[int]float64{}}
	for n := range 3 {
		for round := range 5 {
			base.values[n*roundsMax+round], work.values[n*roundsMax+round] = 2, 2*float64(n+1)
		}
	}
	starts := startsOf(base, work)
	if len(starts) != 3 || len(starts[2]) != 5 || starts[2][0] != 3 {
		t.Errorf("%v", starts)
	}
}

func TestRounds(t *testing.T) {
	turns := &turning{pace: echoPace}
	for within, want := range map[time.Duration]int{0: roundsMin, 20 * time.Second: 10, time.Hour: roundsMax} {
		if got := turns.rounds(within, 2); got != want {
			t.Errorf("%v: %d rounds, want %d", within, got, want)
		}
	}
}

func TestFaults(t *testing.T) {
	good := func() *loadgen.Result {
		return &loadgen.Result{Connections: loadgen.ConnectionCounts{Wanted: 9, Open: 9}, Messages: loadgen.MessageCounts{Received: 100}}
	}
	for name, change := range map[string]func(*loadgen.Result){
		"lost": func(r *loadgen.Result) { r.Messages.Lost = 1 }, "doubled": func(r *loadgen.Result) { r.Messages.Duplicated = 1 },
		"out of order": func(r *loadgen.Result) { r.Messages.Reordered = 1 }, "changed": func(r *loadgen.Result) { r.Messages.Corrupted = 1 },
		"refused": func(r *loadgen.Result) { r.Messages.Refused = map[string]uint64{"http 503": 1} }, "missing": func(r *loadgen.Result) { r.Connections.Open = 8 },
		"dropped": func(r *loadgen.Result) { r.Connections.LostCount = 2 },
	} {
		r := good()
		change(r)
		if faultOf(r, 1) == "" {
			t.Errorf("%s: nothing is found", name)
		}
	}
	r := good()
	r.Connections.LostCount = 1
	if fault := faultOf(r, 1); fault != "" {
		t.Errorf("a reader that stood still may be dropped: %s", fault)
	}
}

func TestVoid(t *testing.T) {
	loop := &loadgen.Result{Rate: loadgen.Rates{InFlight: 1}, Server: &loadgen.ServerCost{Cores: 0.9}, Generator: loadgen.Generator{Busy: 0.99}}
	if reason := voidReason(&rig.Load{Result: loop, Void: true}); reason != "" {
		t.Errorf("both sides are busy in a closed loop: %s", reason)
	}
	loop.Server.Cores = 0.3
	if voidReason(&rig.Load{Result: loop, Void: true}) == "" {
		t.Error("a server that waits for the generator is not found")
	}
	paced := &loadgen.Result{Verdict: loadgen.Verdict{Reasons: []string{"late"}}}
	if reason := voidReason(&rig.Load{Result: paced, Void: true}); reason != "late" {
		t.Errorf("%q", reason)
	}
}

func TestSignificance(t *testing.T) {
	alike, apart := []float64{1, 2, 3, 4, 5}, []float64{11, 12, 13, 14, 15}
	if got := significance(alike, alike); !strings.HasPrefix(got, "~") {
		t.Errorf("the same twice: %s", got)
	}
	if got := significance(alike, apart); !strings.HasPrefix(got, "p=0.0") {
		t.Errorf("far apart: %s", got)
	}
	if got := significance(alike[:2], apart[:2]); got != "too few" {
		t.Errorf("two each: %s", got)
	}
}

func TestChooseScenarios(t *testing.T) {
	chosen, err := chooseScenarios(scenarios(smokeSize), "echo,memory")
	if got := strings.Join(scenarioNames(chosen), ","); got != "memory,echo" || err != nil {
		t.Error(got, err)
	}
	if _, err := chooseScenarios(scenarios(smokeSize), "ecko"); err == nil || !strings.Contains(err.Error(), "handshake") {
		t.Error("an unknown scenario must be answered with the list:", err)
	}
}

// What an ablation switches off must be what the node knows.
func TestTechniques(t *testing.T) {
	known := scenarioNames(scenarios(fullSize))
	var switches strings.Builder
	for _, name := range []string{"netpoll", "broadcast", "internal/echo"} {
		text, err := os.ReadFile(filepath.Join("..", name, "ablation_on.go"))
		if err != nil {
			t.Fatal(err)
		}
		switches.Write(text)
	}
	for _, technique := range techniques {
		for _, name := range technique.scenarios {
			if !slices.Contains(known, name) {
				t.Errorf("%s: no scenario %q", technique.name, name)
			}
		}
		if technique.env != "" && !strings.Contains(switches.String(), `switchedOff("`+technique.env+`")`) {
			t.Errorf("%s: no package knows %q", technique.name, technique.env)
		}
	}
}
