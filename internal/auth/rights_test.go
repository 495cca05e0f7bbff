package auth

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestRights(t *testing.T) {
	lists := Lists{
		Subscribe: []string{"chat.>", "user.{sub}.>"}, Publish: []string{"chat.*"}, History: []string{"chat.>"}, Presence: []string{"chat.a"},
		Deny: []string{"chat.staff.>", "*.secret"}, Join: []string{"user.{sub}.inbox", "news"},
	}
	r, err := NewRights(&lists)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		topic                                 string
		subscribe, publish, history, presence bool
		list, pattern                         string // that decide about subscribe
	}{
		{"chat.a", true, true, true, true, "subscribe", "chat.>"},
		{"chat.a.b", true, false, true, false, "subscribe", "chat.>"},
		{"chat.staff.1", false, false, false, false, "deny", "chat.staff.>"},
		{"chat.staff", true, true, true, false, "subscribe", "chat.>"},
		{"chat.secret", false, false, false, false, "deny", "*.secret"},
		{"user.u1.x", true, false, false, false, "subscribe", "user.{sub}.>"},
		{"user.u2.x", false, false, false, false, "", ""},
		{"news", false, false, false, false, "", ""},
	} {
		for right, want := range []bool{row.subscribe, row.publish, row.history, row.presence} {
			if got := r.Allows(Right(right), row.topic, "u1"); got != want {
				t.Errorf("%v %s: %v, want %v", Right(right), row.topic, got, want)
			}
		}
		if d := r.Explain(Subscribe, row.topic, "u1"); d != (Decision{row.subscribe, row.list, row.pattern}) {
			t.Errorf("%s: %+v", row.topic, d)
		}
		if r.Allows(Subscribe, row.topic, "") {
			t.Errorf("%s: allowed without the subject that the lists name", row.topic)
		}
	}
	if got := r.AppendJoin(nil, "u1"); !slices.Equal(got, []string{"user.u1.inbox", "news"}) {
		t.Errorf("joins %v", got)
	}
}

func TestRightsRefuse(t *testing.T) {
	many := make([]string, PatternsMax+1)
	for i := range many {
		many[i] = fmt.Sprint("a", i)
	}
	for want, lists := range map[string]*Lists{
		"subscribe: not a pattern":  {Subscribe: []string{"a", ">.a"}},
		"deny: not a pattern":       {Deny: []string{"a..b"}},
		"more than 256 patterns":    {Publish: many[:200], Deny: many[:57]},
		"join: 101 topics":          {Join: many[:JoinMax+1]},
		`join: "a.*" has a wildcar`: {Join: []string{"a.*"}},
		`join: "a.>" has a wildcar`: {Join: []string{"a.>"}},
	} {
		if _, err := NewRights(lists); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// Clients with the same lists share their rights, and lists are told apart by more than their text.
func TestRegistry(t *testing.T) {
	var g Registry
	get := func(lists Lists) *Rights {
		r, err := g.Rights(&lists)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	a := get(Lists{Subscribe: []string{"a", "b"}})
	if get(Lists{Subscribe: []string{"a", "b"}}) != a {
		t.Error("not shared")
	}
	for _, other := range []Lists{{Publish: []string{"a", "b"}}, {Subscribe: []string{"a"}, Publish: []string{"b"}}, {Subscribe: []string{"ab"}}, {Subscribe: []string{"b", "a"}}} {
		if get(other) == a {
			t.Errorf("%+v are others", other)
		}
	}
	if _, err := g.Rights(&Lists{Deny: []string{""}}); err == nil {
		t.Error("a bad pattern was taken")
	}
	for i := range registryMax + 10 {
		get(Lists{Subscribe: []string{fmt.Sprint("t", i)}})
	}
	if len(g.known) > registryMax {
		t.Errorf("%d sets are kept", len(g.known))
	}
}

func tenPatterns(t testing.TB) *Principal {
	return principal(t, &Identity{Subject: "u17", Lists: Lists{
		Subscribe: []string{"news", "sports.*", "chat.rooms.*.messages", "user.{sub}.>", "team.{sub}.*.events", "a.b.c", "market.*.quotes.>", "chat.lobby"},
		Deny:      []string{"chat.staff.>", "*.internal"},
	}})
}

func TestLookUpAllocatesNothing(t *testing.T) {
	p := tenPatterns(t)
	if n := testing.AllocsPerRun(100, func() { p.May(Subscribe, "market.eurex.quotes.fdax.bid", 0) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkLookUp(b *testing.B) {
	p := tenPatterns(b)
	for name, topic := range map[string]string{"match": "chat.rooms.17.messages", "last": "chat.lobby", "none": "other.rooms.17.messages", "nearly": "chat.rooms.17.message"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p.May(Subscribe, topic, 0)
			}
		})
	}
}

// BenchmarkHeld is what 100,000 connections hold for their clients: B/conn is memory. They have
// 1,000 different sets of rights: with a token for each set, and with a token for each connection.
func BenchmarkHeld(b *testing.B) {
	const conns, sets = 100_000, 1_000
	for name, tokens := range map[string]int{"1000-tokens": sets, "100000-tokens": conns} {
		b.Run(name, func(b *testing.B) {
			for range b.N {
				g := &Registry{}
				before := heap()
				all := make([]*Principal, tokens)
				for i := range all {
					p, err := NewPrincipal(&Identity{
						Subject: fmt.Sprint("user-", i), ID: fmt.Sprint("token-", i), Expires: time.Now().Add(time.Hour),
						Lists: Lists{Subscribe: []string{fmt.Sprint("room.", i%sets, ".>"), "user.{sub}.>"}, Publish: []string{fmt.Sprint("room.", i%sets)}},
					}, g, time.Now(), 0, 0)
					if err != nil {
						b.Fatal(err)
					}
					all[i] = p
				}
				s := &Principals{}
				for i := range conns {
					s.Add(all[i%tokens])
				}
				clear(all)
				all = nil
				held := heap() - before
				if s.Len() != conns || len(g.known) != sets {
					b.Fatal(s.Len(), len(g.known))
				}
				b.ReportMetric(float64(held)/conns, "B/conn")
				runtime.KeepAlive(s)
				runtime.KeepAlive(g)
			}
		})
	}
}

// heap is what is in use after a collection, in bytes.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
