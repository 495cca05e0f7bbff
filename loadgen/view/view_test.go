// The text of the view, and its keys.

package view

import (
	"math"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"

	"c100k/loadgen"
	"c100k/loadgen/swarm"
)

func ms(n float64) loadgen.Millis { return loadgen.Millis(n * 1e6) }

func measuring() loadgen.Progress {
	l := &loadgen.Latencies{P50: ms(1.2), P90: ms(12), P99: ms(123), Max: ms(1234)}
	return loadgen.Progress{URL: "ws://127.0.0.1:8080/\x1b[2Jecho", Mode: swarm.Echo, Protocol: swarm.Raw, Phase: loadgen.Measure, Elapsed: 8 * time.Second, Left: 12 * time.Second,
		Wanted: 100000, Failed: map[string]uint64{"refused": 7, "http 503": 70, "timeout": 1, "a": 1, "b": 1, "c": 1}, Lost: map[string]uint64{"reset": 3},
		Second: loadgen.Second{Open: 99000, Target: 2000, Sent: 1990, Received: 1980, Busy: 0.95, Cores: 0.5, Latency: &loadgen.Brief{P50: ms(1), P90: ms(10), P99: ms(100), Max: ms(1000)}},
		Sent:   123456, Received: 123450, Latency: l, Connect: l, Late: l, Server: &loadgen.ServerReading{Processes: 3}, Processes: 6, Remarks: []string{strings.Repeat("a long remark ", 20)}}
}

func TestLine(t *testing.T) {
	got := Line(measuring())
	want := "    8s measure  99000/100000 open, 81 failed, 3 dropped | sent 1990 of 2000/s, received 1980/s | p50 1.00ms p99 100ms max 1.00s | generator 95 %, server 0.50 CPU"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	churn := loadgen.Progress{Mode: swarm.Churn, Phase: loadgen.Measure, Wanted: 10, Second: loadgen.Second{Opened: 99, Sent: 98, Target: 100}}
	if got := Line(churn); got != "    0s measure  0/10 open | opened 99 of 100/s | generator 0 %" {
		t.Error(got)
	}
	ramp := loadgen.Progress{Phase: loadgen.Ramp, Wanted: 10, Second: loadgen.Second{Open: 3, Opened: 3}}
	if got := Line(ramp); got != "    0s connect  3/10 open, 3/s" {
		t.Error(got)
	}
}

func TestRenderFits(t *testing.T) {
	for _, width := range []int{60, 80, 200} {
		m := &model{width: 80}
		m.Update(tea.WindowSizeMsg{Width: width, Height: 24})
		for range 300 {
			m.Update(measuring())
		}
		text := m.render()
		for line := range strings.SplitSeq(text, "\n") {
			if n := lipgloss.Width(line); n > width {
				t.Errorf("%d columns at %d: %s", n, width, line)
			}
		}
		for _, want := range []string{"99000 of 100000 open", "http 503", "and 1 more reason", "1990 of 2000/s", "12s left", "p99 123ms", "95 % busy"} {
			if !strings.Contains(text, want) {
				t.Errorf("no %q at %d columns:\n%s", want, width, text)
			}
		}
		if strings.Contains(text, "[2Jecho") && strings.Contains(text, "\x1b[2J") {
			t.Error("what a terminal would obey came through")
		}
	}
	if text := (&model{width: 80}).render(); !strings.Contains(text, "looking for the target") {
		t.Error(text)
	}
}

// recorder records the orders of keys.
type recorder struct {
	scale    float64
	finished bool
}

func (r *recorder) Scale(f float64) { r.scale *= f }
func (r *recorder) Finish()         { r.finished = true }

func TestKeys(t *testing.T) {
	interrupted := false
	r := &recorder{scale: 1}
	m := &model{run: r, interrupt: func() { interrupted = true }}
	press := func(code rune, mod tea.KeyMod) {
		m.Update(tea.KeyPressMsg{Code: code, Text: map[bool]string{true: string(code)}[mod == 0], Mod: mod})
	}
	press('+', 0)
	if r.scale != rateStep {
		t.Errorf("+ gives %v", r.scale)
	}
	press('-', 0)
	press('-', 0)
	if math.Abs(r.scale-1/rateStep) > 1e-9 {
		t.Errorf("- gives %v", r.scale)
	}
	if press('x', 0); r.finished || interrupted {
		t.Error("another key ends it")
	}
	if press('e', 0); !r.finished {
		t.Error("e does not end it")
	}
	if press('c', tea.ModCtrl); !interrupted {
		t.Error("ctrl+c does not interrupt")
	}
}

func TestSparkline(t *testing.T) {
	for _, test := range []struct {
		values []float64
		width  int
		want   string
	}{{nil, 5, ""}, {[]float64{0, 0}, 5, "  "}, {[]float64{1, 2, 4, math.NaN(), 8}, 4, "▃▅ █"}, {[]float64{8, 0.1}, 2, "█▁"}} {
		if got := sparkline(test.values, test.width); got != test.want {
			t.Errorf("%v: %q, want %q", test.values, got, test.want)
		}
	}
	if got := bar(0.5, 4); got != "██░░" {
		t.Error(got)
	}
	if got := bar(7, 3); got != "███" {
		t.Error(got)
	}
}
