// The cost of a tree of processes.

package loadgen

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestParseStat(t *testing.T) {
	tail := " 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 9876 1 2"
	for line, want := range map[string]struct {
		parent  int
		started string
		ok      bool
	}{
		"12 (sh) S 7" + tail:           {7, "9876", true},
		"12 (a) b (c)) R 8" + tail:     {8, "9876", true},
		"12 (gone) Z 7" + tail:         {0, "", false},
		"12 (short) S 7 1 2":           {0, "", false},
		"":                             {0, "", false},
		"12 (no parent) S what" + tail: {0, "9876", false},
	} {
		parent, started, ok := parseStat([]byte(line))
		if parent != want.parent || started != want.started || ok != want.ok {
			t.Errorf("%q: %d %q %v, want %+v", line, parent, started, ok, want)
		}
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("12 (sh) S 7 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 9876"))
	f.Add([]byte(") "))
	f.Fuzz(func(t *testing.T, line []byte) {
		if _, started, ok := parseStat(line); ok && started == "" {
			t.Errorf("%q has no start and is taken", line)
		}
	})
}

func TestProcFiles(t *testing.T) {
	if got := slabBytes("MemTotal: 1 kB\nSlab:   12 kB\n"); got != 12<<10 {
		t.Errorf("slab %d", got)
	}
	if got := socketBytes("sockets: used 3\nTCP: inuse 5 orphan 0 tw 0 alloc 7 mem 2\nUDP: inuse 1 mem 9\n"); got != int64(2*os.Getpagesize()) {
		t.Errorf("sockets %d", got)
	}
	before, after := parseBoxTime("cpu  10 0 10 80 0 0 0 0 0 0\n"), parseBoxTime("cpu  20 0 30 150 10 0 0 0 0 0\n")
	if got := after.busyShare(before); got < 0.27 || got > 0.28 {
		t.Errorf("busy %v, want 30 of 110", got)
	}
	if got := parseBoxTime("intr 5"); got != (boxTime{}) || got.busyShare(got) != 0 {
		t.Errorf("no line of processors gives %+v", got)
	}
}

// TestTree follows a shell whose child works and ends: its usage stays counted.
func TestTree(t *testing.T) {
	shell := exec.Command("sh", "-c", `sh -c 'i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo worked; read end'; echo ended; read end`)
	in, err := shell.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := shell.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := shell.Start(); err != nil {
		t.Fatal(err)
	}
	tree, lines := newTree(shell.Process.Pid), bufio.NewScanner(out)
	await := func(word string) {
		t.Helper()
		if !lines.Scan() || lines.Text() != word {
			t.Fatalf("the shell said %q, want %s", lines.Text(), word)
		}
	}
	await("worked")
	both, err := tree.memory()
	if err != nil || both.Processes != 2 || both.CPU <= 0 || both.Memory <= 0 {
		t.Fatalf("%+v, %v: want two processes that used something", both, err)
	}
	if _, err := in.Write([]byte("x\n")); err != nil {
		t.Fatal(err)
	}
	await("ended")
	one, err := tree.memory()
	if err != nil || one.Processes != 1 || one.CPU < both.CPU {
		t.Errorf("%+v, %v: want one process, and what both used (%v)", one, err, both.CPU)
	}
	in.Close()
	if err := shell.Wait(); err != nil && !strings.Contains(err.Error(), "exit status") {
		t.Fatal(err)
	}
	if _, err := tree.cpu(); err == nil {
		t.Error("a tree without its root is read without an error")
	}
}
