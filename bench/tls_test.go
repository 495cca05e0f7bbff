package main

// The table of TLS: its goals are about what is measured, and every scenario runs on the node with
// TLS.

import (
	"slices"
	"testing"
)

func TestTLSGoals(t *testing.T) {
	all := tlsScenarios(fullSize)
	targets, _, err := tlsTargets(t.Context(), "..", t.TempDir(), options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range tlsGoals() {
		measured := func(name, key string) bool {
			return slices.ContainsFunc(all, func(sc scenario) bool {
				return sc.name == name && slices.ContainsFunc(sc.figures, func(f figure) bool { return f.key == key })
			})
		}
		if !measured(g.scenario, g.key) || g.against == otherFigure && !measured(g.other[0], g.other[1]) {
			t.Errorf("%s: nothing measures it", g.work)
		}
		for _, name := range []string{g.of, g.name} {
			if name != "" && !slices.Contains(namesOf(targets), name) {
				t.Errorf("%s: no server %q", g.work, name)
			}
		}
	}
}

func TestBestRival(t *testing.T) {
	targets := []target{{Name: nodeTLS, Kind: ours}, {Name: "dear", Kind: rival}, {Name: "cheap", Kind: rival}}
	var runs []run
	for server, us := range map[string]float64{nodeTLS: 6, "dear": 20, "cheap": 10} {
		runs = append(runs, run{Scenario: "echo", Server: server, Figures: map[string]float64{usKey: us}})
	}
	g := goal{scenario: "echo", key: usKey, of: nodeTLS, limit: 0.7, against: bestRival}
	if v, ok := g.judge(targets, runs, nil); !ok || v.Against != "cheap" || v.Ratio.Median != 0.6 || !v.Met {
		t.Errorf("%+v, %v", v, ok)
	}
	if _, ok := g.judge(targets[:1], runs, nil); ok {
		t.Error("a goal against no rival at all is judged")
	}
}

// A message of TLS is its frames and what each of their records adds.
func TestSealedBytes(t *testing.T) {
	for _, test := range []struct {
		payload     int
		plain, seal float64
	}{{64, 66 + 70, 66 + 70 + 2*22}, {16 << 10, 16388 + 16392, 16388 + 16392 + 4*22}} {
		turns := &turning{frames: []float64{frameBytes(test.payload, false), frameBytes(test.payload, true)}}
		if got := turns.bytes(target{}); got != test.plain {
			t.Errorf("%d: %v bytes, want %v", test.payload, got, test.plain)
		}
		if got := turns.bytes(target{secure: true}); got != test.seal {
			t.Errorf("%d: %v sealed bytes, want %v", test.payload, got, test.seal)
		}
	}
}

func TestTLSScenarios(t *testing.T) {
	b := smoke(t)
	targets, _, err := tlsTargets(t.Context(), "..", b.generator.dir, options{c100k: b.generator.binary})
	if err != nil {
		t.Fatal(err)
	}
	secured := targets[slices.IndexFunc(targets, func(t target) bool { return t.Name == nodeTLS })]
	for _, sc := range tlsScenarios(smokeSize) {
		if r := b.runOne(t.Context(), sc, secured, 0); r.Error != "" {
			t.Errorf("%s: %+v", sc.name, r)
		}
	}
}
