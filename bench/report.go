package main

// report.go: the Markdown table and the JSON document of a run.

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
)

// run is one scenario on one server, once.
type run struct {
	Scenario string             `json:"scenario"`
	Server   string             `json:"server"`
	Rep      int                `json:"rep"`
	Figures  map[string]float64 `json:"figures,omitempty"`
	Clients  []*clientResult    `json:"clients,omitempty"`
	Error    string             `json:"error,omitempty"`
}

// generatorBound says that the client had no time left while the server had: what was measured is how the server waits.
func (r run) generatorBound() bool {
	for _, c := range r.Clients {
		if c.ClientBusy > 0.95 && c.ServerBusy < 0.85 {
			return true
		}
	}
	return false
}

// row is one line of the table. Invariant: Cells follow Document.Servers; a nil cell is empty.
type row struct {
	Scenario string    `json:"scenario"`
	Title    string    `json:"title"`
	Cells    []*spread `json:"cells"`
	Marked   []bool    `json:"generator_bound"`
	Goal     string    `json:"goal,omitempty"`
	decimals int
}

type document struct {
	Environment environment `json:"environment"`
	Servers     []string    `json:"servers"`
	Rows        []row       `json:"rows"`
	Runs        []run       `json:"runs"`
}

// rowsOf makes the rows of one scenario: each figure, and under it, where asked for, what multiple of each floor it is.
func rowsOf(sc scenario, targets []target, runs []run) []row {
	var rows []row
	for _, f := range sc.figures {
		value := func(t target) (spread, bool, bool) { return collect(sc.name, f.key, t.Name, "", runs) }
		absolute := newRow(sc.name, f.title, f.decimals, targets, value)
		absolute.Goal = verdicts(f.goals, false, targets, value)
		rows = append(rows, absolute)
		if !f.ratios {
			continue
		}
		for _, floor := range []string{plainFloor, uringFloor} {
			value := func(t target) (spread, bool, bool) { return collect(sc.name, f.key, t.Name, floor, runs) }
			r := newRow(sc.name, "… ÷ "+floor, 2, targets, value)
			if r.empty() {
				continue
			}
			if floor == plainFloor {
				r.Goal = verdicts(f.goals, true, targets, value)
			}
			rows = append(rows, r)
		}
	}
	return rows
}

func newRow(scenario, title string, decimals int, targets []target, value func(target) (spread, bool, bool)) row {
	r := row{Scenario: scenario, Title: title, decimals: decimals}
	for _, t := range targets {
		s, marked, ok := value(t)
		var cell *spread
		if ok {
			cell = &s
		}
		r.Cells = append(r.Cells, cell)
		r.Marked = append(r.Marked, marked)
	}
	return r
}

func (r row) empty() bool {
	for _, c := range r.Cells {
		if c != nil {
			return false
		}
	}
	return true
}

func verdicts(goals []goal, ratio bool, targets []target, value func(target) (spread, bool, bool)) string {
	var texts []string
	for _, g := range goals {
		if g.ratio == ratio {
			texts = append(texts, g.verdict(targets, func(t target) (float64, bool) {
				s, _, ok := value(t)
				return s.Median, ok
			}))
		}
	}
	return strings.Join(texts, "; ")
}

// collect gathers one figure of one server over the repetitions, divided by the floor's of the same repetition if one is named: what the machine does in
// those seconds happens to both.
func collect(scenario, key, server, floor string, runs []run) (s spread, marked, ok bool) {
	base := make(map[int]float64)
	for _, r := range runs {
		if v, has := r.Figures[key]; has && r.Scenario == scenario && r.Server == floor {
			base[r.Rep] = v
		}
	}
	var values []float64
	for _, r := range runs {
		v, has := r.Figures[key]
		if !has || r.Scenario != scenario || r.Server != server {
			continue
		}
		marked = marked || r.generatorBound()
		if floor == "" {
			values = append(values, v)
		} else if b := base[r.Rep]; b > 0 {
			values = append(values, v/b)
		}
	}
	if len(values) == 0 {
		return spread{}, false, false
	}
	return spreadOf(values), marked, true
}

// markdown prints the table. A cell is the median, and the least and greatest where there were several repetitions.
func (d *document) markdown(w io.Writer) {
	e := d.Environment
	fmt.Fprintf(w, "%s · %s, %d CPUs · null system call %.0f ns · %s · %s\n\n", e.Kernel, e.CPU, e.CPUs, e.SyscallNs, e.Commit, e.Date)
	fmt.Fprintf(w, "| | %s | goal |\n|---|%s---|\n", strings.Join(d.Servers, " | "), strings.Repeat("---:|", len(d.Servers)))
	bound := false
	for _, r := range d.Rows {
		fmt.Fprintf(w, "| %s |", r.Title)
		for i, c := range r.Cells {
			fmt.Fprintf(w, " %s", c.text(r.decimals))
			if r.Marked[i] {
				bound = true
				fmt.Fprint(w, " \\*")
			}
			fmt.Fprint(w, " |")
		}
		fmt.Fprintf(w, " %s |\n", r.Goal)
	}
	if bound {
		fmt.Fprintln(w, "\n\\* In at least one repetition the load client was the bottleneck: the figure is void.")
	}
	for _, r := range d.Runs {
		if r.Error != "" {
			fmt.Fprintf(w, "\n%s on %s, repetition %d, failed: %s\n", r.Scenario, r.Server, r.Rep+1, r.Error)
		}
	}
}

func (s *spread) text(decimals int) string {
	switch {
	case s == nil:
		return "–"
	case len(s.Values) == 1:
		return fmt.Sprintf("%.*f", decimals, s.Median)
	default:
		return fmt.Sprintf("**%.*f** (%.*f..%.*f)", decimals, s.Median, decimals, s.Min, decimals, s.Max)
	}
}

func (d *document) writeJSON(path string) error {
	text, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}
