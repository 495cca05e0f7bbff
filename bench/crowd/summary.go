// The table, and the document that is kept of it.

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"

	"c100k/bench/rig"
)

// figure is one line of the table. Invariant: a figure with a goal says whether it was met.
type figure struct {
	Title string  `json:"title"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit,omitempty"`
	Goal  string  `json:"goal,omitempty"`
	Met   bool    `json:"met"`
}

// section is what one step found.
type section struct {
	Step    string    `json:"step"`
	Title   string    `json:"title"`
	Workers int       `json:"workers"`
	Figures []*figure `json:"figures"`
	Runs    []string  `json:"runs"`  // documents of the generator, in the same directory
	Goals   bool      `json:"goals"` // times and costs are judged
	Void    bool      `json:"void"`  // the generator says that it was the bottleneck: times are too long, what was lost is right all the same

	about string // begins the title of what is noted
}

type document struct {
	Machine   rig.Machine `json:"machine"`
	Arguments []string    `json:"arguments"`
	Steps     []section   `json:"steps"`
}

// note adds a figure.
func (s *section) note(title string, value float64, unit string) *judged {
	f := &figure{Title: s.about + title, Value: value, Unit: unit, Met: true}
	s.Figures = append(s.Figures, f)
	return &judged{f, s.Goals}
}

// judged is a figure that waits for its goal.
type judged struct {
	*figure
	goals bool
}

// none is the goal of what must not happen.
func (f *judged) none() { f.judge("0", f.Value == 0) }

// bound is the goal of what was promised, however short the run.
func (f *judged) bound(most float64) { f.judge("≤ "+number(most), f.Value <= most) }

// atLeast is a goal without which the other figures mean nothing.
func (f *judged) atLeast(least float64) { f.judge("≥ "+number(least), f.Value >= least) }

// atMost is the goal of a time or a cost.
func (f *judged) atMost(most float64) {
	if f.goals {
		f.judge("≤ "+number(most), f.Value <= most)
	}
}

func (f *judged) judge(goal string, met bool) { f.Goal, f.Met = goal, met }

// met tells whether every goal of every step was met.
func (d *document) met() bool {
	for _, s := range d.Steps {
		for _, f := range s.Figures {
			if !f.Met {
				return false
			}
		}
	}
	return true
}

func (d *document) markdown(w io.Writer) error {
	out := &bytes.Buffer{}
	m := d.Machine
	fmt.Fprintf(out, "%s · %s, %d CPUs · %s · %s\n\n| | | goal |\n|---|---:|---|\n", m.Kernel, m.CPU, m.CPUs, m.Commit, m.Date)
	for _, s := range d.Steps {
		void := ""
		if s.Void {
			void = " \\*"
		}
		fmt.Fprintf(out, "| **%s**; %d workers%s | | |\n", s.Title, s.Workers, void)
		for _, f := range s.Figures {
			fmt.Fprintf(out, "| %s | %s | %s |\n", f.Title, f.text(), f.verdict())
		}
	}
	for _, s := range d.Steps {
		if s.Void {
			fmt.Fprintln(out, "\n\\* The load generator says that it was the bottleneck in at least one run: times are longer than they would be otherwise. What was lost is right all the same.")
			break
		}
	}
	_, err := w.Write(out.Bytes())
	return err
}

func (f *figure) text() string {
	if f.Unit == "" {
		return number(f.Value)
	}
	return number(f.Value) + " " + f.Unit
}

func (f *figure) verdict() string {
	switch {
	case f.Goal == "":
		return ""
	case f.Met:
		return f.Goal + ": met"
	}
	return f.Goal + ": **missed**"
}

// number writes whole numbers whole, and others with three digits or so.
func number(v float64) string {
	switch {
	case v == float64(int64(v)):
		return strconv.FormatInt(int64(v), 10)
	case v >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

// write keeps the document as base.json, and the table as base.md.
func (d *document) write(base string) error {
	text, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(base+".json", append(text, '\n'), 0o644); err != nil {
		return err
	}
	table := &bytes.Buffer{}
	if err := d.markdown(table); err != nil {
		return err
	}
	return os.WriteFile(base+".md", table.Bytes(), 0o644)
}
