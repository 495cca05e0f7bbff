package rig

import (
	"math"
	"slices"
	"testing"
	"time"
)

func TestCounter(t *testing.T) {
	text := "TcpExt: A TCPOrigDataSent B\nTcpExt: 1 23 4\nIpExt: TCPOrigDataSent\nIpExt: 5\n"
	if n, err := counter(text, "TcpExt", "TCPOrigDataSent"); n != 23 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if n, err := counter(text, "TcpExt", "C"); err == nil {
		t.Errorf("%d for a counter that is not there", n)
	}
}

func TestTraffic(t *testing.T) {
	before, after := traffic{100, 200, 30_000}, traffic{110, 220, 30_000 + 20*headerBytes + 1360}
	if n := after.messages(before, Turns{Segments: 2}); n != 5 {
		t.Errorf("%v messages of two segments, want 5", n)
	}
	if n := after.messages(before, Turns{Bytes: 136}); n != 10 {
		t.Errorf("%v messages of 136 bytes, want 10", n)
	}
}

func TestSignTest(t *testing.T) {
	above := slices.Repeat([]float64{1.01}, 10)
	for _, test := range []struct {
		ratios []float64
		p      float64
	}{{nil, 1}, {[]float64{1, 1}, 1}, {above, 2.0 / 1024}, {append(above[:5:5], .99, .99, .99, .99, .99), 1}, {[]float64{.9, .9, .9, 1.1}, .625}} {
		if p := SignTest(test.ratios); math.Abs(p-test.p) > 1e-9 {
			t.Errorf("%v: %v, want %v", test.ratios, p, test.p)
		}
	}
}

func TestTurnsRefuse(t *testing.T) {
	command := func(words ...string) func(string) []string { return func(string) []string { return words } }
	good := Turns{Rounds: 1, Window: time.Millisecond, Segments: 1, ServerCore: Anywhere, LoadCore: Anywhere}
	for name, contestants := range map[string][]Contestant{
		"nobody":       nil,
		"no command":   {{Name: "a", Command: command()}},
		"no program":   {{Name: "a", Command: command("/no/such/program")}},
		"ends at once": {{Name: "a", Command: command("true")}},
	} {
		if _, err := good.Run(t.Context(), contestants); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestChoose(t *testing.T) {
	all, name := []string{"a", "b", "c"}, func(s string) string { return s }
	if got, err := Choose("letter", all, name, "c, a"); err != nil || !slices.Equal(got, []string{"c", "a"}) {
		t.Errorf("%v, %v; want c and a", got, err)
	}
	for _, list := range []string{"", "a,d"} {
		if _, err := Choose("letter", all, name, list); err == nil {
			t.Errorf("%q is taken", list)
		}
	}
}
