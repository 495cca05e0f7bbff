package main

// report.go: the JSON document of a run, and its Markdown tables.

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"c100k/bench/rig"
)

// run is one scenario on one server, once.
type run struct {
	Scenario string             `json:"scenario"`
	Server   string             `json:"server"`
	Rep      int                `json:"rep"`
	Seconds  float64            `json:"seconds"` // of the wall, from the server's start to its end
	Figures  map[string]float64 `json:"figures,omitempty"`
	Loads    []brief            `json:"loads,omitempty"`
	Void     string             `json:"void,omitempty"` // why the figures count for nothing
	Error    string             `json:"error,omitempty"`
}

// brief is what a run of the load is remembered by.
type brief struct {
	Received    uint64  `json:"received"`
	PerSecond   float64 `json:"received_a_second"`
	ServerCores float64 `json:"server_cores"`
	ServerCPU   float64 `json:"server_cpu_ms"`
	LoadBusy    float64 `json:"load_busy"`
	LoadUs      float64 `json:"load_us_a_message"`
	BoxBusy     float64 `json:"box_busy"`
	P50         float64 `json:"p50_ms,omitempty"`
	P99         float64 `json:"p99_ms,omitempty"`
}

func briefOf(l *load) brief {
	b := brief{Received: l.Messages.Received, PerSecond: l.Rate.Received, LoadBusy: l.Generator.Busy, LoadUs: microseconds(l.Generator.PerMessage),
		BoxBusy: l.Generator.BoxBusy}
	if l.Server != nil {
		b.ServerCores, b.ServerCPU = l.Server.Cores, microseconds(l.Server.CPU)/1000
	}
	if latency := l.Latency(); latency != nil {
		b.P50, b.P99 = float64(latency.P50)/float64(time.Millisecond), float64(latency.P99)/float64(time.Millisecond)
	}
	return b
}

// document is the result of a run of the bench.
type document struct {
	Format      string      `json:"format"` // "c100k-bench"
	Version     int         `json:"version"`
	Machine     rig.Machine `json:"machine"`
	Compiler    string      `json:"compiler"`
	SyscallNs   float64     `json:"null_syscall_ns"` // io_uring gains what system calls cost
	Arguments   []string    `json:"arguments"`
	Took        float64     `json:"took_seconds"`
	Servers     []target    `json:"servers"`
	Skipped     []string    `json:"skipped,omitempty"` // servers that cannot run here
	Scenarios   []described `json:"scenarios"`
	Repetitions int         `json:"repetitions"`
	Goals       []verdict   `json:"goals"`
	Runs        []run       `json:"runs"`
	Turns       []run       `json:"turns,omitempty"` // with loads that take turns: a repetition is a round

	scenarios []scenario
	goals     []goal
	starts    int // of servers that take turns
}

// described is a scenario as the document has it.
type described struct {
	Name string `json:"name"`
	What string `json:"what"`
}

func (d *document) judge() {
	d.Goals = nil
	for _, g := range d.goals {
		if v, ok := g.judge(d.Servers, d.Runs, d.Turns); ok {
			d.Goals = append(d.Goals, v)
		}
	}
}

// headline says where the figures were made.
func (d *document) headline() string {
	m := d.Machine
	return fmt.Sprintf("%s · %s, %d CPUs · null system call %.0f ns · %s · %s", m.Kernel, m.CPU, m.CPUs, d.SyscallNs, m.Commit, m.Date)
}

// markdown prints the goals, and then every figure: a server a row, a figure a column.
func (d *document) markdown(w io.Writer) {
	fmt.Fprintf(w, "%s\n\n", d.headline())
	d.goalTable(w)
	d.figureTables(w)
	d.notes(w)
}

func (d *document) goalTable(w io.Writer) {
	if len(d.Goals) == 0 {
		return
	}
	fmt.Fprint(w, "| goal | whose | ours | against | ratio | at most | | cheapest rival | ratio | cheaper than every rival |\n|---|---|---:|---|---:|---:|---|---|---:|---|\n")
	for _, v := range d.Goals {
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", v.Work, v.Of, short(v.Ours), v.Against, v.ratio(), short(v.Limit), v.word(), v.Rival, v.beside(), v.cheaper())
	}
	fmt.Fprint(w, "\nA ratio with an asterisk is of runs; the others are medians over the rounds of loads that take turns.\n\n")
}

// ratio is empty where the figure is held against a plain bound.
func (v verdict) ratio() string {
	if v.Against == "" {
		return ""
	}
	text := v.Ratio.text(decimalsOf(v.Ratio.Median))
	if !v.Turns {
		text += " \\*"
	}
	return text
}

// beside is the ratio to the cheapest rival; empty where there is none.
func (v verdict) beside() string {
	if v.Beside == nil {
		return ""
	}
	return v.Beside.text(decimalsOf(v.Beside.Median))
}

func (v verdict) cheaper() string {
	switch {
	case v.Beside == nil:
		return ""
	case v.Cheaper:
		return "yes"
	}
	return "**no**"
}

func (v verdict) word() string {
	switch {
	case v.Void:
		return "void"
	case v.Met:
		return "met"
	}
	return "**missed**"
}

// decimalsOf keeps two or three digits of a ratio.
func decimalsOf(f float64) int {
	if f < 0.1 {
		return 3
	}
	return 2
}

func short(f float64) string { return fmt.Sprintf("%.3g", f) }

// columnsMax is how many figures stand beside each other: a wider table is not read.
const columnsMax = 6

func (d *document) figureTables(w io.Writer) {
	type heading struct {
		scenario
		figure
	}
	var all []heading
	for _, sc := range d.scenarios {
		for _, f := range sc.figures {
			all = append(all, heading{sc, f})
		}
	}
	for len(all) > 0 {
		some := all[:min(len(all), columnsMax)]
		all = all[len(some):]
		fmt.Fprint(w, "| |")
		for _, h := range some {
			fmt.Fprintf(w, " %s |", h.title)
		}
		fmt.Fprintf(w, "\n|---|%s\n", strings.Repeat("---:|", len(some)))
		for _, t := range d.Servers {
			var cells []string
			measured := false
			for _, h := range some {
				cell := d.cell(h.scenario, h.figure, t.Name)
				measured = measured || cell != "–"
				cells = append(cells, cell)
			}
			if measured {
				fmt.Fprintf(w, "| %s | %s |\n", t.Name, strings.Join(cells, " | "))
			}
		}
		fmt.Fprintln(w)
	}
}

func (d *document) cell(sc scenario, f figure, server string) string {
	c := collect(d.Runs, sc.name, f.key, server)
	if len(c.values) == 0 {
		return "–"
	}
	text := spreadOf(c.list()).text(f.decimals)
	if c.void {
		text += " \\*"
	}
	return text
}

func (d *document) notes(w io.Writer) {
	fmt.Fprintf(w, "A figure is the median of %d repetitions, ± half of the way from the least to the greatest. Columns: server CPU an operation, unless they say otherwise.\n",
		d.Repetitions)
	for _, r := range d.Runs {
		if r.Void != "" {
			fmt.Fprintln(w, "\n\\* Void: in all repetitions the generator was the bottleneck. What is void in some is left out.")
			break
		}
	}
	for _, text := range d.Skipped {
		fmt.Fprintf(w, "\nLeft out: %s\n", text)
	}
	d.failures(w)
}

// failures lists the runs that failed.
func (d *document) failures(w io.Writer) {
	for _, r := range slices.Concat(d.Runs, d.Turns) {
		if r.Error != "" {
			fmt.Fprintf(w, "\nFailed: %s on %s, repetition %d: %s\n", r.Scenario, r.Server, r.Rep+1, strings.TrimSpace(r.Error))
		}
	}
}

func (d *document) writeJSON(path string) error {
	text, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}
