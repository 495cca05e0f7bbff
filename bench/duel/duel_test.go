package main

import (
	"slices"
	"strings"
	"testing"

	"c100k/bench/rig"
)

func TestTable(t *testing.T) {
	got := table([]rig.Side{
		{Name: "a", Microseconds: []float64{4, 8, 5}},
		{Name: "b", Microseconds: []float64{2, 4, 10}},
	})
	for _, row := range []string{"| a | 5.000 | 4.000, 8.000 | 1.000 | 1.000, 1.000 |", "| b | 4.000 | 2.000, 10.000 | 0.500 | 0.500, 1.250 |"} {
		if !strings.Contains(got, row) {
			t.Errorf("no %q in\n%s", row, got)
		}
	}
}

func TestWords(t *testing.T) {
	got := words("{ws}/echo -p {port} {http}")("127.0.0.1:5")
	if want := []string{"ws://127.0.0.1:5/echo", "-p", "5", "http://127.0.0.1:5"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestBadArguments(t *testing.T) {
	good := rig.Turns{Rounds: 1, Window: 1, Segments: 1}
	for _, servers := range [][]string{nil, {"no command"}, {"x="}, {"x=/no/such/program"}} {
		if err := run(t.Context(), good, "", servers); err == nil {
			t.Errorf("%q is taken", servers)
		}
	}
}
