// The show in small: two workers and 2,000 connections, all steps, a few seconds each. What is lost
// is judged, times are not.

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestCrowd(t *testing.T) {
	dir := t.TempDir()
	binary := filepath.Join(dir, "c100k")
	if out, err := exec.Command("go", "build", "-o", binary, "c100k/cmd/c100k").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	o := options{binary: binary, conns: 2000, workers: "2", only: strings.Join(names(), ","), out: dir, name: "crowd", soak: time.Hour, quick: true}
	met, err := run(t.Context(), o)
	if err != nil || !met {
		t.Errorf("met: %v, %v", met, err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "crowd.json"))
	if err != nil {
		t.Fatal(err)
	}
	var doc document
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	if len(doc.Steps) != len(names()) || doc.Machine.Kernel == "" || doc.Machine.Date == "" {
		t.Errorf("%d steps, %+v", len(doc.Steps), doc.Machine)
	}
	for _, s := range doc.Steps {
		if s.Workers != 2 || s.Goals || len(s.Figures) == 0 || len(s.Runs) == 0 {
			t.Errorf("%+v", s)
		}
		for _, run := range s.Runs {
			for _, file := range []string{run, strings.TrimSuffix(run, ".json") + ".html"} {
				if info, err := os.Stat(filepath.Join(dir, file)); err != nil || info.Size() == 0 {
					t.Errorf("%s: %v", file, err)
				}
			}
		}
	}
}

// With TLS there are others beside the storm, and their figures in the table.
func TestCrowdTLS(t *testing.T) {
	dir := t.TempDir()
	binary := filepath.Join(dir, "c100k")
	if out, err := exec.Command("go", "build", "-o", binary, "c100k/cmd/c100k").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	o := options{binary: binary, conns: 500, workers: "2", only: "open,storm", out: dir, name: "crowd", quick: true, tls: true}
	met, err := run(t.Context(), o)
	if err != nil || !met {
		t.Errorf("met: %v, %v", met, err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "crowd.md"))
	for _, want := range []string{"resumed a session", "private memory of all processes of the node, idle", "time until all are open",
		"time until all are back", "longest wait of one of the others"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%v; no %q in\n%s", err, want, text)
		}
	}
}

func TestSummary(t *testing.T) {
	for _, goals := range []bool{false, true} {
		doc := document{Steps: []section{{Title: "first", Workers: 7, Goals: goals, Void: true}}}
		s := &doc.Steps[0]
		s.note("a time", 61, "s").atMost(60)
		s.note("lost", 0, "").none()
		s.note("expected", 12, "").atLeast(1)
		s.note("only told", 1.234, "ms")
		s.note("large", 12345.6, "")
		s.note("middling", 12.34, "µs")
		out := bytes.Buffer{}
		if err := doc.markdown(&out); err != nil {
			t.Fatal(err)
		}
		want := []string{"| **first**; 7 workers \\* | | |", "| lost | 0 | 0: met |", "| expected | 12 | ≥ 1: met |", "| only told | 1.23 ms |  |",
			"| large | 12346 |  |", "| middling | 12.3 µs |  |", "says that it was the bottleneck", "| a time | 61 s |  |"}
		if goals {
			want[len(want)-1] = "| a time | 61 s | ≤ 60: **missed** |"
		}
		for _, line := range want {
			if !strings.Contains(out.String(), line) {
				t.Errorf("no %q in\n%s", line, &out)
			}
		}
		if doc.met() == goals {
			t.Errorf("met is %v where times are judged: %v", doc.met(), goals)
		}
		s.note("more", 1, "").none()
		if doc.met() {
			t.Error("what was lost is judged always")
		}
	}
}

func TestChoose(t *testing.T) {
	if chosen, err := choose("kill,open"); err != nil || len(chosen) != 2 || chosen[0].name != "kill" {
		t.Errorf("%+v, %v", chosen, err)
	}
	if _, err := choose("open,dance"); err == nil || !strings.Contains(err.Error(), `no step "dance"; there are open,`+" publish") {
		t.Error(err)
	}
	if !slices.Equal(names(), []string{"open", "publish", "topics", "storm", "hook-storm", "resume", "look", "kill", "soak"}) {
		t.Error(names())
	}
}

// Crowds of any size have the same number of deliveries a second, and the node has room for the
// clients of one of its workers.
func TestSizes(t *testing.T) {
	o := options{conns: 100_000, workers: "auto"}
	if o.publishRate(o.conns) != "0.25/s" || o.publishRate(o.small()) != "2.5/s" || o.maxConns() != 115_000 {
		t.Error(o.publishRate(o.conns), o.publishRate(o.small()), o.maxConns())
	}
	o.workers = "5"
	if o.maxConns() != 125_000 {
		t.Error(o.maxConns())
	}
	now := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	if a, b := defaultName(now, demo), defaultName(now, "kill,soak"); a != "2026-05-04-crowd" || b != "2026-05-04-crowd-kill-soak" {
		t.Error(a, b)
	}
}
