// Tests of what is read of the kernel and of a node's log.

package rig

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func TestParseKernel(t *testing.T) {
	const (
		meminfo  = "MemTotal: 100 kB\nSlab:             2048 kB\nSReclaimable: 1 kB\n"
		sockstat = "sockets: used 200\nTCP: inuse 8 orphan 0 tw 3 alloc 9 mem 5\nUDP: inuse 1 mem 7\n"
		netstat  = "TcpExt: SyncookiesSent ListenOverflows ListenDrops\nTcpExt: 1 22 333\nIpExt: InNoRoutes\nIpExt: 0\n"
	)
	got, err := parseKernel(meminfo, sockstat, netstat, 4096)
	if want := (Kernel{Slab: 2 << 20, TCP: 5 * 4096, Overflows: 22}); err != nil || got != want {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	for name, texts := range map[string][3]string{
		"no slab":          {"MemTotal: 1 kB\n", sockstat, netstat},
		"nothing behind":   {"Slab:", sockstat, netstat},
		"no TCP":           {meminfo, "UDP: inuse 1 mem 7\n", "" + netstat},
		"no overflows":     {meminfo, sockstat, "TcpExt: A B\nTcpExt: 1 2\n"},
		"names only":       {meminfo, sockstat, "TcpExt: A ListenOverflows\n"},
		"fewer than names": {meminfo, sockstat, "TcpExt: A ListenOverflows\nTcpExt: 1\n"},
	} {
		if got, err := parseKernel(texts[0], texts[1], texts[2], 4096); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if _, err := ReadKernel(); err != nil {
		t.Error(err)
	}
}

func TestChildren(t *testing.T) {
	child := exec.Command("sleep", "60")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if got := Children(os.Getpid()); !slices.Contains(got, child.Process.Pid) {
		t.Errorf("children %v, want %d among them", got, child.Process.Pid)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // it was killed
}

func TestNote(t *testing.T) {
	n := &Node{}
	for i := range 2 * lastWordsKept {
		n.note(fmt.Appendf(nil, `{"level":"INFO","msg":"%d"}`, i))
	}
	n.note([]byte(`{"level":"WARN","msg":"low"}`))
	if got := n.Errors(); got != nil {
		t.Errorf("%q", got)
	}
	n.note([]byte(`{"level":"ERROR","msg":"broken"}`))
	n.note([]byte("panic: broken"))
	if got := n.Errors(); !slices.Equal(got, []string{`{"level":"ERROR","msg":"broken"}`, "panic: broken"}) {
		t.Errorf("%q", got)
	}
	if got := n.lastWords(); len(got) != lastWordsKept || got[lastWordsKept-1] != "panic: broken" {
		t.Errorf("%q", got)
	}
}

func TestStartFails(t *testing.T) {
	if _, err := Start(filepath.Join(t.TempDir(), "none"), Environment{}); err == nil {
		t.Error("a program that is not there was started")
	}
	if _, err := Start("false", Environment{}); err == nil || errors.Is(err, os.ErrNotExist) {
		t.Errorf("a node that ends at once: %v", err)
	}
}

// A watch that has many readings thins them out, and goes on more slowly.
func TestWatchIsBounded(t *testing.T) {
	w := &Watch{pause: watchPause}
	begin := time.Now()
	for i := range 2 * watchKept {
		w.keep(Reading{At: begin.Add(time.Duration(i)), Connections: i})
	}
	kept := w.Readings()
	if len(kept) > watchKept || w.pause <= watchPause || kept[0].Connections != 0 || kept[len(kept)-1].Connections != 2*watchKept-1 {
		t.Errorf("%d readings, pause %v, from %d to %d", len(kept), w.pause, kept[0].Connections, kept[len(kept)-1].Connections)
	}
}

func TestAwait(t *testing.T) {
	begin := time.Now()
	w := &Watch{}
	for i, conns := range []int{0, 10, 4, 10} {
		w.keep(Reading{At: begin.Add(time.Duration(i) * time.Second), Connections: conns})
	}
	back, err := w.Await(t.Context(), begin.Add(time.Second), 10)
	if err != nil || !back.Equal(begin.Add(3*time.Second)) {
		t.Errorf("back after %v, %v", back.Sub(begin), err)
	}
}

func TestSettings(t *testing.T) {
	dir := t.TempDir()
	choice, number := filepath.Join(dir, "choice"), filepath.Join(dir, "number")
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	read := func(path string) string {
		t.Helper()
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	write(choice, "always [madvise] never\n")
	write(number, "4096\n")
	restore, err := Change([]Setting{{choice, "always"}, {number, "128"}})
	if err != nil || read(choice) != "always" || read(number) != "128" {
		t.Fatalf("%q, %q, %v", read(choice), read(number), err)
	}
	if err := restore(); err != nil || read(choice) != "madvise" || read(number) != "4096" {
		t.Errorf("%q, %q, %v", read(choice), read(number), err)
	}
	if _, err := Change([]Setting{{number, "128"}, {filepath.Join(dir, "none"), "1"}}); err == nil || read(number) != "4096" {
		t.Errorf("the first was not put back when the second failed: %q, %v", read(number), err)
	}
	if got := (Setting{Path: "net.ipv4.tcp_mem"}).file(); got != "/proc/sys/net/ipv4/tcp_mem" {
		t.Error(got)
	}
}
