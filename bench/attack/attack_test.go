// The attack in small: all that strangers do, for a few seconds. What is lost is judged, times are
// not.

package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	if spec := os.Getenv(strangerVariable); spec != "" {
		ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT)
		err := beStranger(ctx, spec, os.Stdout)
		cancel()
		if err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestAttack(t *testing.T) {
	dir := t.TempDir()
	binary := filepath.Join(dir, "c100k")
	if out, err := exec.Command("go", "build", "-o", binary, "c100k/cmd/c100k").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	o := options{binary: binary, conns: 1500, rate: 500, honest: 40, workers: "2", memory: "96MiB", span: 8 * time.Second, quiet: 2 * time.Second,
		only: allAttacks(), out: dir, quick: true}
	table, err := run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := table.print(&out); err != nil {
		t.Fatal(err)
	}
	if !table.met() {
		t.Error("a goal was missed")
	}
	t.Log(out.String())
}

func TestChoice(t *testing.T) {
	if _, err := attackOf("dance"); err == nil || !strings.Contains(err.Error(), `no attack "dance"; there are polls,`) {
		t.Error(err)
	}
	if err := beStranger(context.Background(), "{", nil); err == nil {
		t.Error("half a specification is taken")
	}
}

func TestVerdict(t *testing.T) {
	table := &table{}
	table.note("one", "%d", 1)
	table.judge("0", false)
	table.note("two", "%d", 0)
	table.judge("0", true)
	var out bytes.Buffer
	if err := table.print(&out); err != nil || table.met() {
		t.Errorf("%v, met %v", err, table.met())
	}
	for _, line := range []string{"| one | 1 | 0: **missed** |", "| two | 0 | 0: met |", "Missed: one."} {
		if !strings.Contains(out.String(), line) {
			t.Errorf("no %q in %s", line, &out)
		}
	}
	if got := counts(map[string]uint64{"b": 2, "a": 1, "none": 0}); got != "a 1, b 2" {
		t.Error(got)
	}
}
