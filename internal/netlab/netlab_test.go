// Machines hear each other, and one that is cut off hears nobody; nothing is left afterwards.

package netlab

import (
	"os/exec"
	"strings"
	"testing"
	"time"
)

const patience = 30 * time.Second

func TestPlug(t *testing.T) {
	if err := Check(); err != nil {
		t.Skip(err)
	}
	l, err := New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	a, err := l.Add("a")
	if err != nil {
		t.Fatal(err)
	}
	b, err := l.Add("b")
	if err != nil {
		t.Fatal(err)
	}
	// A connection is refused by a machine that is there and has no server; one that is cut off does
	// not answer.
	refused := func() bool {
		c, err := a.Dial(t.Context(), "tcp", b.Address+":7")
		if err == nil {
			c.Close()
			t.Fatal("there is a server")
		}
		return strings.Contains(err.Error(), "refused")
	}
	for _, in := range []bool{true, false, true} {
		if err := b.Plug(in); err != nil {
			t.Fatal(err)
		}
		for giveUp := time.Now().Add(patience); refused() != in; {
			if time.Now().After(giveUp) {
				t.Fatalf("plugged in: %v; it answers: %v", in, !in)
			}
		}
	}
	p, err := a.Start("", "sleep", "1h")
	if err != nil {
		t.Fatal(err)
	}
	p.Kill()
	if _, err := b.Start("", "sleep", "1h"); err != nil {
		t.Fatal(err)
	}
	prefix := l.prefix
	l.Close()
	if out, err := exec.Command("ip", "netns", "list").Output(); err != nil || strings.Contains(string(out), prefix) {
		t.Errorf("namespaces are left: %s %v", out, err)
	}
}
