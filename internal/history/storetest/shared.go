// Stores that several processes share, or that outlive them.

package storetest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"c100k/broadcast"
)

// All processes number alike and have the same order.
func testProcesses(t *testing.T, b *Backing) {
	one, two := start(t, b), start(t, b)
	var all sync.WaitGroup
	for _, p := range []*process{one, two} {
		all.Go(func() {
			for i := range 50 {
				p.append("a.p", fmt.Sprint(i), "")
			}
		})
	}
	all.Wait()
	list, page := one.page("a.p", broadcast.Position{}, 1000, false)
	if len(list) != 100 {
		t.Fatalf("%d messages", len(list))
	}
	for _, p := range []*process{one, two} {
		eventually(t, "all are in the log", func() bool { return len(p.kept("a.p")) == 100 })
		same(t, "log", p.kept("a.p"), list)
	}
	// A client that moves is ahead of the process that it comes to.
	last := one.must("a.p", "last")
	if r, _ := two.resume("a.p", broadcast.After(last)); r.Reset != broadcast.ResetNone || r.Messages != 0 {
		t.Errorf("with the newest position to another process: %+v", r)
	}
	if r, got := two.resume("a.p", broadcast.After(page.Messages[90].Position)); r.Reset != broadcast.ResetNone || len(got) != 10 {
		t.Errorf("to another process: %+v %q", r, got)
	}
}

func testRestart(t *testing.T, b *Backing) {
	p := start(t, b)
	var at []broadcast.Position
	for i := range 10 {
		at = append(at, p.must("a.r", fmt.Sprint("m", i)))
	}
	empty, _ := p.resume("a.silent", broadcast.From{})
	p.close()
	p = start(t, b)
	if next := p.must("a.r", "m10"); next.Epoch != at[0].Epoch || next.Offset <= at[9].Offset {
		t.Fatalf("%v behind %v", next, at[9])
	}
	r, got := p.resume("a.r", broadcast.After(at[3]))
	if r.Reset != broadcast.ResetNone {
		t.Fatalf("%+v", r)
	}
	same(t, "after the restart", got, names(4, 10))
	if r, _ := p.resume("a.silent", broadcast.After(empty.Position)); r.Reset != broadcast.ResetNone || r.Messages != 0 {
		t.Errorf("a topic without messages: %+v", r)
	}
}

// What the log has not, because it was trimmed or the process is new, comes from the store.
func testOlder(t *testing.T, b *Backing) {
	p := start(t, b)
	var at []broadcast.Position
	trim := func(topic string) {
		p.store.Releasing(topic)
		p.hub.Release(topic)
		same(t, "the log is empty", p.kept(topic), nil)
	}
	for i := range 30 {
		if at = append(at, p.must("a.o", fmt.Sprint("m", i))); i == 24 {
			trim("a.o")
		}
	}
	same(t, "the log", p.kept("a.o"), names(25, 29))
	r, got := p.resume("a.o", broadcast.After(at[9]))
	if r.Reset != broadcast.ResetNone || r.Messages != 20 {
		t.Fatalf("%+v", r)
	}
	same(t, "after", got, names(10, 29))
	same(t, "the log", p.kept("a.o"), names(0, 29))
	trim("a.o")
	_, got = p.resume("a.o", broadcast.Last(12))
	same(t, "last", got, names(18, 29))
	trim("a.o")
	_, got = p.resume("a.o", broadcast.Since(now()-time.Hour))
	same(t, "since", got, names(0, 29))
	trim("a.o")
	var all sync.WaitGroup
	for i := range 20 { // many at once, of which one reads
		all.Go(func() {
			if err := p.store.Prepare(ctx(t), "a.o", broadcast.After(at[i])); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	_, got = p.resumeNow("a.o", broadcast.After(at[0]))
	same(t, "after many", got, names(1, 29))
	for i := range 5 {
		at = append(at, p.must("few.o", fmt.Sprint("m", i)))
	}
	trim("few.o")
	if r, _ := p.resume("few.o", broadcast.After(at[30])); r.Reset != broadcast.ResetExpired {
		t.Errorf("a message that was dropped by count: %+v", r)
	}
	if r, got := p.resume("few.o", broadcast.After(at[31])); r.Reset != broadcast.ResetNone || len(got) != 3 {
		t.Errorf("just before what is kept: %+v %q", r, got)
	}
}

func testKeys(t *testing.T, b *Backing) {
	one, two := start(t, b), start(t, b)
	first := one.append("a.k", "hello", "key 1")
	if first.Err != nil || first.Repeated {
		t.Fatalf("%+v", first)
	}
	for _, p := range []*process{one, two} {
		for _, text := range []string{"hello", "good-bye"} {
			if again := p.append("a.k", text, "key 1"); again.Err != nil || !again.Repeated || again.Position != first.Position {
				t.Errorf("again, %s: %+v, want position %v", text, again, first.Position)
			}
		}
	}
	if a := two.append("a.k2", "hello", "key 1"); a.Err != nil || a.Repeated {
		t.Errorf("a key of another topic: %+v", a)
	}
	one.close()
	three := start(t, b)
	if again := three.append("a.k", "hello", "key 1"); again.Err != nil || !again.Repeated || again.Position != first.Position {
		t.Errorf("after a restart: %+v", again)
	}
	list, _ := three.page("a.k", broadcast.Position{}, 10, false)
	same(t, "published once", list, []string{"hello"})
}

// A rule that keeps more than before: what was dropped comes back whole, or the client is told.
func testRaised(t *testing.T, b *Backing) {
	p := start(t, b, "few.>=3,1h")
	var at []broadcast.Position
	for i := range 10 {
		at = append(at, p.must("few.x", fmt.Sprint("m", i)))
	}
	p.close()
	p = start(t, b, "few.>=100,1h")
	p.must("few.x", "m10")
	r, got := p.resume("few.x", broadcast.After(at[2]))
	if r.Reset == broadcast.ResetNone {
		same(t, "behind a dropped message", got, names(3, 10))
	} else if r.Reset != broadcast.ResetExpired {
		t.Errorf("behind a dropped message: %+v", r)
	}
	r, got = p.resume("few.x", broadcast.After(at[7]))
	if r.Reset != broadcast.ResetNone {
		t.Fatalf("%+v", r)
	}
	same(t, "behind a kept one", got, names(8, 10))
}

func testMarks(t *testing.T, b *Backing) {
	p := start(t, b)
	var at []broadcast.Position
	for i := range 5 {
		at = append(at, p.must("a.f", fmt.Sprint("m", i)))
	}
	if err := p.store.Forget(ctx(t), "a.f"); err != nil {
		t.Fatal(err)
	}
	p.close()
	p = start(t, b)
	if r, _ := p.resume("a.f", broadcast.After(at[1])); r.Reset != broadcast.ResetExpired {
		t.Errorf("behind a forgotten message: %+v", r)
	}
	p.must("a.f", "m5")
	_, got := p.resume("a.f", broadcast.Last(10))
	same(t, "last", got, []string{"m5"})
}
