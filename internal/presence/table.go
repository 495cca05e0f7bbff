// Package presence is who is in a topic: users with the number of their connections, over all
// processes of all nodes.
//
// There are only a few types. A [Change] is a connection that begins or ends to be a member of a
// topic; loops say it without a lock. A [Table] has the members of all processes. One goroutine,
// that of [Table.Run], changes it; pages are read under a lock on any goroutine.
//
// # Processes
//
// Each process owns the entries of its connections, and has a copy of those of all others. What
// has changed goes to all twice a second, entry by entry with its new state, and with it a sum over
// the whole table (exchange.go). A process with another sum asks for the whole table: so does a
// process that is new, and one that has lost a message. The entries of a process that is gone go
// with it.
//
// # Watchers
//
// A watcher is a subscriber of a topic of its own, [WatchTopic], to which each process publishes to
// its own subscribers what has changed in its table: at most once a second, whatever happened
// meanwhile. Who came and left between two messages is in none.
package presence

import (
	"hash/fnv"
	"strings"
	"sync"
	"time"

	"c100k/internal/bus"
)

// WatchPrefix is in front of the name of a topic in that of its watchers'. Clients cannot subscribe
// or publish to such topics.
const WatchPrefix = "$presence."

// WatchTopic is the topic of those who watch the members of a topic.
func WatchTopic(topic string) string { return WatchPrefix + topic }

// Hidden tells whether a topic is one of watchers.
func Hidden(topic string) bool { return strings.HasPrefix(topic, WatchPrefix) }

// Change is a connection that begins or ends to be a member of a topic.
type Change struct {
	Topic  string
	Sub    string // the user; empty for a client that was not identified, which counts and has no entry
	Info   string // JSON, what others see of the user; empty for nothing
	Joined bool
	Brief  bool // the client comes and goes: see Linger
}

// Channel is how the tables of processes reach each other: a bus.Channel.
type Channel interface {
	Publish(payload []byte) error
	Send(to uint64, payload []byte) error
	Peers() []bus.Peer
}

// Options are what a Table needs.
type Options struct {
	// Publish sends a message to the watchers of this process. It must not block. Required.
	Publish func(watchTopic string, payload []byte)

	// Watched tells whether a topic of watchers has subscribers. Required.
	Watched func(watchTopic string) bool

	// Now reads a clock that does not jump. Required.
	Now func() time.Duration
}

// Table has the members of topics.
type Table struct {
	opt    Options
	queue  queue
	asks   chan ask
	inbox  chan arrival
	opened chan Channel

	mu     sync.RWMutex // guards the fields below; Run alone writes
	peers  map[uint64]*peer
	topics map[string]*topic
	orders map[string]*order // of topics of which pages were asked for

	// Run only.
	own       *peer // peers[0]
	channel   Channel
	dirty     map[key]struct{} // entries of own that the others do not know yet
	seq       uint64           // of the last exchange
	lingering map[key]int      // connections that have ended and stay for a while
	leaving   []leave          // the same, in the order of their time
	watched   map[string]*changes
	exchanged time.Duration
	told      time.Duration
}

// key names an entry.
type key struct{ topic, sub string }

// member is an entry of one process.
type member struct {
	info  string
	conns uint32
}

// peer is what one process says of its connections.
type peer struct {
	topics  map[string]map[string]*member // by topic and subject; a map that is half empty costs less so
	members int
	sum     uint64                        // over all entries
	seq     uint64                        // of the last exchange that was heard
	whole   map[string]map[string]*member // a table that is arriving
	wholeN  int
	asked   time.Duration // when the table was asked for; 0: not
}

// topic counts over all processes.
type topic struct {
	users     int // subjects
	anonymous int // connections
}

// changes are those of a topic that its watchers have not been told.
type changes struct {
	was   map[string]seen // users whose entries have changed, as watchers know them
	count int             // that was told last
}

// seen is a user as a watcher knows it.
type seen struct {
	info  string
	there bool
}

// leave is a connection that has ended and stays until a time.
type leave struct {
	key
	at time.Duration
}

// ask is a question for a page.
type ask struct {
	topic, after string
	watch        bool
	done         func(Page)
}

// New makes an empty table.
func New(opt Options) *Table {
	own := &peer{topics: map[string]map[string]*member{}}
	return &Table{
		opt: opt, asks: make(chan ask, AsksMax), inbox: make(chan arrival, inboxMax), opened: make(chan Channel, 1),
		peers: map[uint64]*peer{0: own}, topics: map[string]*topic{}, orders: map[string]*order{}, own: own,
		dirty: map[key]struct{}{}, lingering: map[key]int{}, watched: map[string]*changes{},
	}
}

// Room tells whether somebody may join. Any goroutine; it takes no lock.
func (t *Table) Room() bool { return t.queue.len() < QueueMax }

// Say notes a change. Any goroutine; it takes no lock. The changes of one goroutine stay in order.
func (t *Table) Say(c Change) { t.queue.push(c) }

// Ask has done called with a page: see Page. With watch, changes from that page on are published to
// WatchTopic, as long as that has subscribers. False: too many wait. Any goroutine; done runs on
// another one, and must not block.
func (t *Table) Ask(topic, after string, watch bool, done func(Page)) bool {
	select {
	case t.asks <- ask{topic, after, watch, done}:
		return true
	default:
		return false
	}
}

// Connect gives the table its way to those of other processes. Once.
func (t *Table) Connect(c Channel) { t.opened <- c }

// Run keeps the table until stopped is closed.
func (t *Table) Run(stopped <-chan struct{}) {
	tick := time.NewTicker(TickEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			t.step()
		case a := <-t.asks:
			t.answer(a)
		case a := <-t.inbox:
			t.receive(a)
		case t.channel = <-t.opened:
		case <-stopped:
			return
		}
	}
}

// step does what is due.
func (t *Table) step() {
	now := t.opt.Now()
	t.takeOver(now)
	if t.channel != nil && now-t.exchanged >= ExchangeEvery {
		t.exchanged = now
		t.exchange()
	}
	if now-t.told >= WatchEvery {
		t.told = now
		t.tell()
	}
}

// answer gives pages, in which all is that was said before: to one who asks, and to those who wait
// behind. In a storm many ask for the same page, which is made once.
func (t *Table) answer(a ask) {
	t.takeOver(t.opt.Now())
	pages := map[key]Page{}
	for n := len(t.asks); ; n-- {
		if c := t.watched[a.topic]; a.watch && c == nil {
			t.watched[a.topic] = &changes{was: map[string]seen{}, count: t.count(a.topic)}
		}
		p, made := pages[key{a.topic, a.after}]
		if !made {
			p = t.Page(a.topic, a.after)
			pages[key{a.topic, a.after}] = p
		}
		a.done(p)
		if n <= 0 {
			return
		}
		a = <-t.asks
	}
}

// takeOver applies what loops have said.
func (t *Table) takeOver(now time.Duration) {
	list := t.queue.take()
	t.mu.Lock()
	defer t.mu.Unlock()
	for ; list != nil; list = list.next {
		c := &list.Change
		k := key{c.Topic, c.Sub}
		switch {
		case c.Joined && c.Brief && t.lingering[k] > 0: // it is still there
			if t.lingering[k]--; t.lingering[k] == 0 {
				delete(t.lingering, k)
			}
		case c.Joined:
			t.add(k, c.Info, 1)
		case c.Brief:
			t.lingering[k]++
			t.leaving = append(t.leaving, leave{k, now + Linger})
		default:
			t.add(k, c.Info, -1)
		}
	}
	t.forgetOrders(now)
	n := 0
	for ; n < len(t.leaving) && t.leaving[n].at <= now; n++ {
		k := t.leaving[n].key
		if t.lingering[k] == 0 {
			continue // it has come back
		}
		if t.lingering[k]--; t.lingering[k] == 0 {
			delete(t.lingering, k)
		}
		t.add(k, "", -1)
	}
	if t.leaving = t.leaving[n:]; len(t.leaving) == 0 {
		t.leaving = nil
	}
}

// add counts a connection of this process more, or less.
func (t *Table) add(k key, info string, n int) {
	m := t.own.at(k)
	if n > 0 {
		m.info = info // of the connection that came last
	}
	if m.conns += uint32(n); int32(m.conns) < 0 {
		m.conns = 0
	}
	t.set(t.own, k, m)
	if t.channel != nil {
		t.dirty[k] = struct{}{}
	}
}

// set makes m the entry of a process. The lock is held.
func (t *Table) set(p *peer, k key, m member) {
	members, old := p.topics[k.topic], p.at(k)
	had := old.conns > 0
	if old == m || !had && m.conns == 0 {
		return
	}
	if !had && p != t.own && p.members >= PeerMembersMax {
		return
	}
	p.sum ^= sumOf(k, old) ^ sumOf(k, m)
	others := t.elsewhere(p, k)
	if c := t.watched[k.topic]; c != nil && k.sub != "" {
		if _, known := c.was[k.sub]; !known {
			info, there := t.look(k)
			c.was[k.sub] = seen{info, there}
		}
	}
	top := t.topics[k.topic]
	if top == nil {
		top = &topic{}
		t.topics[k.topic] = top
	}
	switch {
	case k.sub == "":
		top.anonymous += int(m.conns) - int(old.conns)
	case !had && !others:
		top.users++
		t.orders[k.topic].changed(k.sub, true)
	case m.conns == 0 && !others:
		top.users--
		t.orders[k.topic].changed(k.sub, false)
	}
	if *top == (topic{}) {
		delete(t.topics, k.topic)
	}
	switch {
	case m.conns == 0:
		p.members--
		if delete(members, k.sub); len(members) == 0 {
			delete(p.topics, k.topic)
		}
		return
	case members == nil:
		members = map[string]*member{}
		p.topics[k.topic] = members
	}
	if had {
		*members[k.sub] = m
		return
	}
	p.members++
	members[k.sub] = &m
}

// at is an entry; one that is not there has no connections.
func (p *peer) at(k key) member {
	if m := p.topics[k.topic][k.sub]; m != nil {
		return *m
	}
	return member{}
}

// elsewhere tells whether another process has an entry of that name.
func (t *Table) elsewhere(p *peer, k key) bool {
	for _, other := range t.peers {
		if _, there := other.topics[k.topic][k.sub]; there && other != p {
			return true
		}
	}
	return false
}

// sumOf is what an entry adds to the sum of its table; nothing if there is none.
func sumOf(k key, m member) uint64 {
	if m.conns == 0 {
		return 0
	}
	h := fnv.New64a()
	for _, text := range [...]string{k.topic, "\x00", k.sub, "\x00", m.info} {
		_, _ = h.Write([]byte(text))
	}
	x := h.Sum64() ^ uint64(m.conns)*0x9e3779b97f4a7c15
	x ^= x >> 32
	return x * 0xd6e8feb86659fd93
}

// count is how many are in a topic.
func (t *Table) count(name string) int {
	if top := t.topics[name]; top != nil {
		return top.users + top.anonymous
	}
	return 0
}

// Members is how many entries the table has, those of all processes. Any goroutine.
func (t *Table) Members() (n int) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for _, p := range t.peers {
		n += p.members
	}
	return n
}
