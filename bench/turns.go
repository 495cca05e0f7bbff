package main

// turns.go: scenarios whose figure is a ratio are measured a second time with loads that take
// turns, see rig.Turns.

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"time"

	"c100k/bench/rig"
)

// turning is how a scenario is measured by turns.
type turning struct {
	args   func(*bench, *server) []string // of the load
	frames []float64                      // bytes of each frame that a message is, in both directions
	pace   pace

	// shakes are the TLS handshakes of a window, in place of a load: see shakeTurns. 0: there is a
	// load.
	shakes int
}

// bytes is the payload that the kernel counts for a message of a target.
func (t *turning) bytes(of target) (sum float64) {
	for _, n := range t.frames {
		if sum += n; of.secure {
			sum += recordBytes * math.Ceil(n/recordMax)
		}
	}
	return sum
}

// What a record of TLS 1.3 adds, with AES-GCM: header, type and tag; and the most bytes that it
// has (RFC 8446, 5.1 and 5.2).
const (
	recordBytes = 5 + 1 + 16
	recordMax   = 1 << 14
)

// pace is how long a window is, and how long its load runs before it.
type pace struct{ window, lead time.Duration }

// round is how long one round of so many servers takes.
func (p pace) round(servers int) time.Duration {
	return time.Duration(servers) * (p.window + p.lead)
}

// The paces: echoes are many in a window; fan-outs are few and long; a schedule has to catch up
// with what was due while it stood.
var (
	echoPace  = pace{400 * time.Millisecond, 100 * time.Millisecond}
	fanPace   = pace{800 * time.Millisecond, 200 * time.Millisecond}
	lightPace = pace{800 * time.Millisecond, 300 * time.Millisecond}
	smokePace = pace{100 * time.Millisecond, 50 * time.Millisecond}
)

// turnStart is about how long a server and its load take to start and to end.
const turnStart = 5 * time.Second

// Rounds of a start: fewer than the least tell nothing apart, more than the most are not needed.
const roundsMin, roundsMax = 4, 20

// rounds is how many fit into a time, after the start of so many servers.
func (t *turning) rounds(within time.Duration, servers int) int {
	left := within - time.Duration(servers)*turnStart
	return int(min(max(left/t.pace.round(servers), roundsMin), roundsMax))
}

// frameBytes is the size of a WebSocket message in one frame (RFC 6455, 5.2).
func frameBytes(payload int, masked bool) float64 {
	n := payload + 2
	switch {
	case payload > 65535:
		n += 8
	case payload > 125:
		n += 2
	}
	if masked {
		n += 4
	}
	return float64(n)
}

// takesTurns tells whether a target is one process and speaks in frames whose size is known.
func (t target) takesTurns() bool {
	return t.protocol == "" && t.hello == "" && t.publish == "" && !t.several
}

// takeTurns measures a scenario on all targets, in turns. The repetitions of its runs are the
// rounds, numbered from first on.
func (b *bench) takeTurns(ctx context.Context, sc scenario, targets []target, rounds, first int) ([]run, error) {
	if sc.turns.shakes > 0 {
		return b.shakeTurns(ctx, sc, targets, rounds, first)
	}
	t := rig.Turns{Binary: b.generator.binary, Rounds: rounds, Window: sc.turns.pace.window, Lead: sc.turns.pace.lead,
		ServerCore: b.serverCore, LoadCore: b.generator.core}
	var contestants []rig.Contestant
	for _, one := range targets {
		contestants = append(contestants, rig.Contestant{Name: one.Name, Env: one.env, Bytes: sc.turns.bytes(one),
			Command: func(addr string) []string { return one.argv(addr, 1) },
			Load:    func(addr string) []string { return one.loadArgs(sc.turns.args(b, &server{target: one, addr: addr})) }})
	}
	begin := time.Now()
	sides, err := t.Run(ctx, contestants)
	if ctx.Err() != nil {
		return nil, errors.New("interrupted")
	}
	if err != nil {
		return nil, err
	}
	var runs []run
	for _, s := range sides {
		for round, us := range s.Microseconds {
			runs = append(runs, run{Scenario: sc.name, Server: s.Name, Rep: first + round, Figures: map[string]float64{usKey: us}})
		}
	}
	fmt.Fprintf(os.Stderr, "%6s turns %-12s %v\n", time.Since(begin).Round(time.Second), sc.name, namesOf(targets))
	return runs, nil
}

// turnGoals measures by turns each scenario that a goal with a ratio is about: our node, the floors
// of its goals, and the rival that was the cheapest in the runs before.
func (b *bench) turnGoals(ctx context.Context, doc *document) (failed int, err error) {
	for _, sc := range doc.scenarios {
		among := doc.inTurns(sc)
		if len(among) < 2 {
			continue
		}
		runs, err := b.takeTurns(ctx, sc, among, b.rounds, 0)
		if ctx.Err() != nil {
			return failed, err
		}
		if err != nil {
			failed++
			runs = []run{{Scenario: sc.name, Server: "turns", Error: err.Error()}}
		}
		doc.Turns = append(doc.Turns, runs...)
	}
	return failed, nil
}

// inTurns are the targets that a scenario is measured on by turns; none where no goal is about it.
func (d *document) inTurns(sc scenario) (among []target) {
	if sc.turns == nil {
		return nil
	}
	var names []string
	for _, g := range d.goals {
		if g.scenario != sc.name || g.of == nodeSIO {
			continue
		}
		names = append(names, g.of)
		if g.against == theServer {
			names = append(names, g.name)
		}
		if g.rivals || g.against == bestRival {
			name, _ := best(slices.DeleteFunc(slices.Clone(d.Servers), func(t target) bool { return !t.takesTurns() }), d.Runs, g)
			names = append(names, name)
		}
	}
	for _, t := range d.Servers {
		if slices.Contains(names, t.Name) {
			among = append(among, t)
		}
	}
	return among
}

// turnTime is about how long turnGoals takes.
func (b *bench) turnTime(chosen []scenario) (sum time.Duration) {
	const servers = 4
	for _, sc := range chosen {
		if sc.turns != nil {
			sum += servers*turnStart + time.Duration(b.rounds)*sc.turns.pace.round(servers)
		}
	}
	return sum
}
