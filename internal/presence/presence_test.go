package presence

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"c100k/internal/bus"
)

// town is several tables that reach each other, on one clock.
type town struct {
	t     *testing.T
	now   time.Duration
	nodes []*node
	lose  func(payload []byte) bool // nil: nothing is lost
}

type node struct {
	*Table
	town     *town
	id       uint64
	gone     bool
	watching map[string]bool
	got      []string // what its watchers got
}

func newTown(t *testing.T, n int) *town {
	w := &town{t: t, now: time.Hour}
	for range n {
		w.join()
	}
	return w
}

func (w *town) join() *node {
	n := &node{town: w, id: uint64(len(w.nodes) + 1), watching: map[string]bool{}}
	n.Table = New(Options{
		Publish: func(topic string, payload []byte) { n.got = append(n.got, string(payload)) },
		Watched: func(topic string) bool { return n.watching[topic] },
		Now:     func() time.Duration { return w.now },
	})
	n.channel = n
	w.nodes = append(w.nodes, n)
	return n
}

// Publish, Send and Peers are a Channel.
func (n *node) Publish(payload []byte) error {
	for _, other := range n.town.nodes {
		if other != n {
			_ = n.Send(other.id, payload)
		}
	}
	return nil
}

func (n *node) Send(to uint64, payload []byte) error {
	if n.town.lose == nil || !n.town.lose(payload) {
		n.town.nodes[to-1].Receive(n.id, payload, nil)
	}
	return nil
}

func (n *node) Peers() (list []bus.Peer) {
	for _, other := range n.town.nodes {
		if other != n && !other.gone {
			list = append(list, bus.Peer{ID: other.id})
		}
	}
	return list
}

// pass lets time pass.
func (w *town) pass(d time.Duration) {
	for end := w.now + d; w.now < end; w.now += TickEvery {
		for _, n := range w.nodes {
			if n.gone {
				continue
			}
			for len(n.inbox) > 0 {
				n.receive(<-n.inbox)
			}
			n.step()
		}
	}
}

func (n *node) say(topic, sub string, joined bool) {
	n.Say(Change{Topic: topic, Sub: sub, Joined: joined, Info: info(sub)})
}

func info(sub string) string {
	if sub == "" {
		return ""
	}
	return fmt.Sprintf(`{"name":%q}`, strings.ToUpper(sub))
}

func (n *node) want(topic, want string) {
	n.town.t.Helper()
	p := n.Page(topic, "")
	if got := string(p.AppendMembers(nil)); got != want {
		n.town.t.Errorf("node %d: got %s, want %s", n.id, got, want)
	}
}

func (n *node) wantTold(want ...string) {
	n.town.t.Helper()
	if !slices.Equal(n.got, want) {
		n.town.t.Errorf("node %d: told %s, want %s", n.id, n.got, want)
	}
	n.got = nil
}

const ann1 = `"count":1,"members":[{"sub":"ann","info":{"name":"ANN"},"conns":1}]`

func TestMembersOfAllProcesses(t *testing.T) {
	w := newTown(t, 3)
	a, b, c := w.nodes[0], w.nodes[1], w.nodes[2]
	a.say("t", "ann", true)
	w.pass(time.Second)
	for _, n := range w.nodes {
		n.want("t", ann1)
	}
	b.say("t", "ann", true)
	b.say("t", "bob", true)
	c.say("t", "", true)
	c.say("u", "ann", true)
	w.pass(time.Second)
	for _, n := range w.nodes {
		n.want("t", `"count":3,"members":[{"sub":"ann","info":{"name":"ANN"},"conns":2},{"sub":"bob","info":{"name":"BOB"},"conns":1}]`)
		n.want("u", ann1)
		n.want("v", `"count":0,"members":[]`)
	}
	// Who has two connections leaves with the second.
	a.say("t", "ann", false)
	w.pass(time.Second)
	for _, n := range w.nodes {
		n.want("t", `"count":3,"members":[{"sub":"ann","info":{"name":"ANN"},"conns":1},{"sub":"bob","info":{"name":"BOB"},"conns":1}]`)
	}
	// The members of a process that is gone go with it.
	b.gone = true
	w.pass(time.Second)
	a.want("t", `"count":1,"members":[]`)
	c.want("t", `"count":1,"members":[]`)
	// One that is new learns of all.
	d := w.join()
	w.pass(2 * time.Second)
	d.want("t", `"count":1,"members":[]`)
	d.want("u", ann1)
	c.say("t", "", false)
	c.say("u", "ann", false)
	w.pass(time.Second)
	for _, n := range []*node{a, c, d} {
		if len(n.topics) > 0 || n.Members() > 0 || n.own.sum != 0 {
			t.Errorf("node %d has %d topics, %d members", n.id, len(n.topics), n.Members())
		}
	}
}

// TestLostMessages: whatever is lost on the way, tables agree soon after.
func TestLostMessages(t *testing.T) {
	w := newTown(t, 3)
	i := 0
	w.lose = func([]byte) bool { i++; return i%3 == 0 }
	for round := range 40 {
		for j := range 50 {
			w.nodes[j%3].say(fmt.Sprint("t", j%4), fmt.Sprint("u", (round*7+j)%60), (round+j)%3 > 0)
		}
		w.pass(200 * time.Millisecond)
	}
	w.lose = nil
	w.pass(8 * time.Second)
	for topic := range 4 {
		name := fmt.Sprint("t", topic)
		first := w.nodes[0].Page(name, "")
		for _, n := range w.nodes[1:] {
			n.want(name, string(first.AppendMembers(nil)))
		}
	}
}

func TestWatchers(t *testing.T) {
	w := newTown(t, 2)
	a, b := w.nodes[0], w.nodes[1]
	a.say("t", "ann", true)
	a.watching[WatchTopic("t")] = true
	var first Page
	a.answer(ask{topic: "t", watch: true, done: func(p Page) { first = p }})
	if got := string(first.AppendMembers(nil)); got != ann1 {
		t.Errorf("the first page is %s", got)
	}
	w.pass(time.Second)
	a.wantTold()
	for i := range 10_000 {
		b.say("t", fmt.Sprintf("u%05d", i), true)
	}
	a.say("t", "bob", true) // has left before anybody is told
	a.say("t", "bob", false)
	a.say("t", "ann", false) // and this one is back
	a.say("t", "ann", true)
	for range 10 {
		w.pass(WatchEvery)
		if len(a.got) > 1 {
			t.Fatalf("%d messages in one second", len(a.got))
		}
		for _, text := range a.got {
			var m struct {
				Type, Topic  string
				Joined, Left []struct{ Sub string }
				Count        int
			}
			if err := json.Unmarshal([]byte(text), &m); err != nil || m.Type != "presence" || m.Topic != "t" || len(m.Left) > 0 ||
				len(m.Joined) != 10_000 || m.Joined[9999].Sub != "u09999" || m.Count != 10_001 {
				t.Fatalf("%v: %.300s, %d joined, count %d", err, text, len(m.Joined), m.Count)
			}
		}
		if len(a.got) > 0 {
			break
		}
	}
	a.got = nil
	b.say("t", "u00001", false)
	a.say("t", "", true)
	w.pass(2 * time.Second)
	if got := strings.Join(a.got, ""); !strings.Contains(got, `"left":[{"sub":"u00001"}]`) || !strings.HasSuffix(got, `"count":10001}`) {
		t.Errorf("told %s", got)
	}
	b.wantTold()
	// Another name of a user that is there is told as if it had joined.
	a.got = nil
	a.Say(Change{Topic: "t", Sub: "ann", Info: `"Ann B."`, Joined: true})
	a.say("t", "ann", false)
	w.pass(time.Second)
	a.wantTold(`{"type":"presence","topic":"t","joined":[{"sub":"ann","info":"Ann B."}],"left":[],"count":10001}`)
	// When nobody watches, nothing is kept for watchers.
	a.watching = map[string]bool{}
	w.pass(time.Second)
	if len(a.watched) > 0 {
		t.Error("changes are kept for nobody")
	}
}

// TestManyNamesAtOnce: what does not fit in a message comes with the next one.
func TestManyNamesAtOnce(t *testing.T) {
	w := newTown(t, 1)
	a := w.nodes[0]
	a.watching[WatchTopic("t")] = true
	a.answer(ask{topic: "t", watch: true, done: func(Page) {}})
	const users = 600
	for i := range users {
		a.Say(Change{Topic: "t", Sub: fmt.Sprintf("u%04d", i), Info: `"` + strings.Repeat("x", 2000) + `"`, Joined: true})
	}
	w.pass(5 * time.Second)
	if got := strings.Count(strings.Join(a.got, ""), `"sub"`); got != users || len(a.got) != 3 {
		t.Errorf("%d names in %d messages", got, len(a.got))
	}
}

func TestPages(t *testing.T) {
	w := newTown(t, 2)
	a, b := w.nodes[0], w.nodes[1]
	for i := range 2500 {
		w.nodes[i%2].say("t", fmt.Sprintf("u%04d", i), true)
	}
	b.say("t", "u0000", true)
	w.pass(2 * time.Second)
	after, n := "", 0
	for _, want := range []int{1000, 1000, 500} {
		p := a.Page("t", after)
		if len(p.Members) != want || p.Count != 2500 || (p.Next == "") != (want == 500) {
			t.Fatalf("%d of %d, next %q", len(p.Members), p.Count, p.Next)
		}
		for _, m := range p.Members {
			if want := fmt.Sprintf("u%04d", n); m.Sub != want || m.Conns != 1+max(0, 1-n) {
				t.Fatalf("%s with %d, want %s", m.Sub, m.Conns, want)
			}
			n++
		}
		after = p.Next
	}
}

// TestPagesOfCrowd: the pages list every member once, in order, also when members join and leave
// between two pages.
func TestPagesOfCrowd(t *testing.T) {
	w := newTown(t, 2)
	random := rand.New(rand.NewPCG(1, 2))
	conns := [2]map[string]int{{}, {}}
	for round := range 60 {
		for range 1 + random.IntN(400) {
			i, sub := random.IntN(2), fmt.Sprintf("u%04d", random.IntN(6000))
			switch {
			case conns[i][sub] > 0 && random.IntN(3) == 0:
				conns[i][sub]--
				w.nodes[i].say("t", sub, false)
			default:
				conns[i][sub]++
				w.nodes[i].say("t", sub, true)
			}
		}
		w.pass(time.Second)
		var want []Member
		for n := range 6000 {
			sub := fmt.Sprintf("u%04d", n)
			if all := conns[0][sub] + conns[1][sub]; all > 0 {
				want = append(want, Member{sub, info(sub), all})
			}
		}
		for _, n := range w.nodes {
			var got []Member
			for after, more := "", true; more; {
				p := n.Page("t", after)
				if p.Count != len(want) || p.Next != "" && (len(p.Members) != PageMembers || p.Next != p.Members[PageMembers-1].Sub) {
					t.Fatalf("round %d: count %d of %d, %d members, next %q", round, p.Count, len(want), len(p.Members), p.Next)
				}
				got = append(got, p.Members...)
				after, more = p.Next, p.Next != ""
			}
			if !slices.Equal(got, want) {
				t.Fatalf("round %d: %d members, want %d", round, len(got), len(want))
			}
		}
	}
	if len(w.nodes[0].orders) != 1 {
		t.Error("the order is not kept")
	}
	w.pass(2 * orderIdle)
	if len(w.nodes[0].orders) != 0 {
		t.Error("the order is kept for nobody")
	}
}

// TestAsksTogether: of those who ask at one time for the same page, all get it.
func TestAsksTogether(t *testing.T) {
	a := newTown(t, 1).nodes[0]
	a.say("t", "ann", true)
	got := map[int]Page{}
	for i := range 100 {
		a.Ask([]string{"t", "u"}[i%2], "", i%4 == 0, func(p Page) { got[i] = p })
	}
	a.answer(<-a.asks)
	for i := range 100 {
		if p, ok := got[i]; !ok || p.Count != 1-i%2 {
			t.Errorf("%d: %v", i, p)
		}
	}
	if a.watched["t"] == nil || a.watched["u"] != nil || len(a.asks) != 0 {
		t.Error("not all was done")
	}
}

// TestLinger: a client of long polling stays between two polls.
func TestLinger(t *testing.T) {
	w := newTown(t, 1)
	a := w.nodes[0]
	poll := func(joined bool) {
		a.Say(Change{Topic: "t", Sub: "ann", Info: info("ann"), Joined: joined, Brief: true})
	}
	for range 5 {
		poll(true)
		w.pass(10 * time.Second)
		a.want("t", ann1)
		poll(false)
		w.pass(3 * time.Second)
		a.want("t", ann1)
	}
	w.pass(2 * time.Second)
	a.want("t", `"count":0,"members":[]`)
	if len(a.lingering) > 0 || len(a.leaving) > 0 {
		t.Error("something is kept")
	}
}

func TestRun(t *testing.T) {
	a := New(Options{
		Publish: func(string, []byte) {}, Watched: func(string) bool { return true }, Now: func() time.Duration { return 0 },
	})
	stopped, ended := make(chan struct{}), make(chan struct{})
	go func() {
		a.Run(stopped)
		close(ended)
	}()
	a.Connect((&town{}).join())
	a.Say(Change{Topic: "t", Sub: "ann", Joined: true})
	page := make(chan Page)
	a.Ask("t", "", false, func(p Page) { page <- p })
	if p := <-page; p.Count != 1 {
		t.Errorf("%d members", p.Count)
	}
	close(stopped)
	<-ended
}

// TestUserIsSmall: what a user of a topic costs a process, whatever the state of its maps.
func TestUserIsSmall(t *testing.T) {
	for _, users := range []int{100_000, 120_000, 140_000, 160_000} {
		a := newTown(t, 1).nodes[0]
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		for i := range users {
			sub := fmt.Sprintf("user-%06d", i)
			a.Say(Change{Topic: "t", Sub: sub, Info: strings.Clone(`{"name":"Ann"}`), Joined: true})
			if i%1000 == 0 {
				a.takeOver(0)
			}
		}
		a.takeOver(0)
		clear(a.dirty)
		a.dirty = map[key]struct{}{}
		runtime.GC()
		runtime.ReadMemStats(&after)
		each := (after.HeapAlloc - before.HeapAlloc) / uint64(users)
		t.Logf("%d users: %d bytes each", users, each)
		if each > 120 {
			t.Errorf("%d users: %d bytes each", users, each)
		}
		runtime.KeepAlive(a)
	}
}

// FuzzReceive: what comes from other processes can be anything. What is taken for an entry can be
// written again.
func FuzzReceive(f *testing.F) {
	head := append([]byte{kindChanges, flagLast}, make([]byte, 15)...)
	f.Add(appendEntry(append(head, 1), key{"t", "ann"}, member{`{"a":1}`, 2}))
	f.Add(appendEntry(append([]byte{kindWhole, flagFirst | flagLast}, make([]byte, 16)...), key{"t", ""}, member{"", 1}))
	f.Add([]byte{kindAsk})
	f.Add(append(head, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01))
	f.Fuzz(func(t *testing.T, payload []byte) {
		w := newTown(t, 2)
		a := w.nodes[0]
		a.Receive(2, payload, nil)
		w.pass(2 * time.Second)
		p := &peer{topics: map[string]map[string]*member{}}
		a.peers[2] = p
		if len(payload) < headBytes {
			return
		}
		readEntries(payload[headBytes:], func(k key, m member) {
			n := 0
			readEntries(appendEntry(nil, k, m), func(k2 key, m2 member) {
				if n++; k2 != k || m2 != m {
					t.Fatalf("%v %v became %v %v", k, m, k2, m2)
				}
			})
			if n != 1 {
				t.Fatalf("%v %v became %d entries", k, m, n)
			}
			a.set(p, k, m)
			page := a.Page(k.topic, "")
			if !json.Valid(append(page.AppendMembers([]byte{'{'}), '}')) {
				t.Fatalf("%q", page.AppendMembers(nil))
			}
		})
		a.drop(2, p)
		if len(a.topics) > 0 || p.sum != 0 {
			t.Fatal("something is left")
		}
	})
}

// BenchmarkPage is a first page of a topic with 100,000 users.
func BenchmarkPage(b *testing.B) {
	a := newTown(nil, 1).nodes[0]
	for i := range 100_000 {
		a.Say(Change{Topic: "t", Sub: fmt.Sprintf("user-%06d", (i*7919)%100_000), Info: `{"name":"Ann"}`, Joined: true})
	}
	a.takeOver(0)
	for b.Loop() {
		if p := a.Page("t", ""); len(p.Members) != PageMembers {
			b.Fatal(len(p.Members))
		}
	}
}
