// The whole package under load from all sides, held against what the subscription windows say.

package broadcast

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// The model: everything gets a stamp from one clock before and after it happens. On each shard a
// witness is subscribed to each topic from the start; what it gets is the topic's order. Every
// other subscription must get one piece of it without holes, which starts where the stamps say and,
// if it lasts to the end, ends at the end. With positions, each message carries its offset: the
// messages of an epoch in the topic's order have offsets without holes, and every member gets a
// message under the same one.
type model struct {
	t         *testing.T
	positions bool
	hub       *Hub
	clock     atomic.Int64
	topics    []string

	mu   sync.Mutex // guards the field below
	sent map[string]stamps
	told map[string]Position // what publishers were told

	done   sync.Map // id of each message that Done was called for
	queued sync.Map // id of each message that was queued
}

type stamps struct{ before, after int64 }

// window is one subscription of one member to one topic.
type window struct {
	topic string
	open  stamps
	ended bool
	got   []string
	at    []Position // of got
}

const witness = 1 << 20 // member number of the witness of topic 0, and so on

// modelShard is a shard's loop with its members. It is the Sink.
type modelShard struct {
	m       *model
	s       *Shard
	rnd     *rand.Rand
	open    map[uint32]map[string]*window
	windows []*window
	owed    map[uint32]int
}

func (l *modelShard) Pending(member uint32) int { return l.owed[member] }
func (l *modelShard) Send(member uint32, p []byte, _ uint32, n uint32) {
	count := uint32(0)
	for len(p) > 0 {
		topic, id := l.m.topics[p[0]], string(p[1:9])
		at := Position{Epoch: string(p[9:17]), Offset: binary.BigEndian.Uint64(p[17:])}
		p = p[modelBytes:]
		count++
		w := l.open[member][topic]
		if w == nil {
			l.m.t.Errorf("member %d got %q of %q without a subscription", member, id, topic)
			return
		}
		w.got, w.at = append(w.got, id), append(w.at, at)
	}
	if count != n {
		l.m.t.Errorf("%d messages said to be %d", count, n)
	}
	if l.rnd.IntN(4) == 0 {
		return // read at once
	}
	l.owed[member] += int(n)
}
func (l *modelShard) DropOldest(uint32, int, func(uint32, uint32)) int { panic("no policy") }
func (l *modelShard) Gap(uint32, Form, string, uint32, uint32, bool)   { panic("no policy") }
func (*modelShard) Encode(dst []byte, _ uint32, m *Message) []byte     { return append(dst, m.Payload...) }
func (l *modelShard) Slow(uint32)                                      { panic("no policy") }
func (l *modelShard) note(member uint32, topic string, before int64) {
	w := &window{topic: topic, open: stamps{before, l.m.clock.Add(1)}}
	l.windows = append(l.windows, w)
	if l.open[member] == nil {
		l.open[member] = make(map[string]*window)
	}
	l.open[member][topic] = w
}

func (l *modelShard) subscribe(member uint32, topic string) {
	before := l.m.clock.Add(1)
	added, err := l.s.Subscribe(member, Form(member%2), topic)
	if err != nil || added != (l.open[member][topic] == nil) {
		l.m.t.Errorf("Subscribe(%d, %q) = %v, %v", member, topic, added, err)
	}
	if added {
		l.note(member, topic, before)
	}
}

func (l *modelShard) close(member uint32, topic string) {
	if w := l.open[member][topic]; w != nil {
		w.ended = true
		delete(l.open[member], topic)
	}
}

func (l *modelShard) step() {
	member := uint32(l.rnd.IntN(40))
	topic := l.m.topics[l.rnd.IntN(len(l.m.topics))]
	switch l.rnd.IntN(8) {
	case 0, 1, 2:
		l.subscribe(member, topic)
	case 3:
		if l.s.Unsubscribe(member, topic) != (l.open[member][topic] != nil) {
			l.m.t.Errorf("Unsubscribe(%d, %q)", member, topic)
		}
		l.close(member, topic)
	case 4:
		l.s.Leave(member)
		for topic := range l.open[member] {
			l.close(member, topic)
		}
	default:
		l.s.Deliver(l, 1+l.rnd.IntN(20))
		clear(l.owed)
	}
}

func (m *model) noteDone(_ int, msg *Message) {
	if _, twice := m.done.LoadOrStore(string(msg.Payload[1:]), true); twice {
		m.t.Errorf("%s is done twice", msg.Payload[1:])
	}
}

func (m *model) publisher(seed uint64, count int) {
	rnd := rand.New(rand.NewPCG(seed, 1))
	for i := range count {
		k := rnd.IntN(len(m.topics))
		id := fmt.Sprintf("%02d%06d", seed, i)
		before := m.clock.Add(1)
		r, err := m.hub.Publish(m.topics[k], Text, append([]byte{byte(k)}, id...))
		after := m.clock.Add(1)
		if err != nil || r.Dropped > 0 || r.Queued != r.Matched {
			m.t.Errorf("Publish: %+v, %v", r, err)
		}
		if r.Queued > 0 {
			m.queued.Store(id, true)
		}
		m.mu.Lock()
		m.sent[id] = stamps{before, after}
		if r.Position.Offset != 0 {
			m.told[id] = r.Position
		}
		m.mu.Unlock()
	}
}

// modelBytes is what a message of the model takes in either form: topic, id, epoch, offset.
const modelBytes = 1 + 8 + 8 + 8

func encodeModel(dst []byte, msg *Message) []byte {
	p, ok := msg.Position()
	if !ok {
		p.Epoch = "--------"
	}
	return binary.BigEndian.AppendUint64(append(append(dst, msg.Payload...), p.Epoch...), p.Offset)
}

func TestModel(t *testing.T) {
	for _, withWitness := range []bool{true, false} {
		for _, positions := range []bool{false, true} {
			t.Run(fmt.Sprintf("witness=%t,positions=%t", withWitness, positions), func(t *testing.T) { testModel(t, withWitness, positions) })
		}
	}
}

// Without witnesses topics end and begin all the time, and the order is not known: then only Done,
// the counters and what is left in the end are checked, and the race detector and the debug build
// look on.
func testModel(t *testing.T, withWitness, positions bool) {
	const shards, publishers, steps = 3, 3, 6000
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	m := &model{t: t, positions: positions, sent: make(map[string]stamps), told: make(map[string]Position)}
	o := Options{Shards: shards, Encoders: []Encoder{encodeModel, encodeModel}, Done: m.noteDone}
	if positions {
		var epochs atomic.Uint64
		o.Positions = func(string) (Position, bool) { return Position{fmt.Sprintf("e%07d", epochs.Add(1)), 1}, true }
		o.EncodedBytesMax = func(Form, *Message) int { return modelBytes }
	}
	m.hub = NewHub(o)
	for i := range 5 {
		m.topics = append(m.topics, fmt.Sprintf("topic.%d", i))
	}
	loops := make([]*modelShard, shards)
	for i := range loops {
		l := &modelShard{m: m, s: m.hub.Shard(i), rnd: rand.New(rand.NewPCG(seed, uint64(i))),
			open: make(map[uint32]map[string]*window), owed: make(map[uint32]int)}
		loops[i] = l
		for k, topic := range m.topics {
			if withWitness {
				l.subscribe(witness+uint32(k), topic)
			}
		}
	}
	var wg sync.WaitGroup
	for _, l := range loops {
		wg.Go(func() {
			for range steps {
				l.step()
			}
		})
	}
	for p := range publishers {
		wg.Go(func() { m.publisher(uint64(p), steps/4) })
	}
	if positions {
		wg.Go(func() { // an owner that releases its topics
			for range steps / 10 {
				m.hub.Release(m.topics[0])
				runtime.Gosched()
			}
		})
	}
	wg.Wait()
	for _, l := range loops {
		for l.s.Deliver(l, 100) {
		}
	}
	if withWitness {
		m.check(loops)
	}
	m.checkPositions(loops)
	m.checkEnd(loops)
}

// check compares every window with the witnesses.
func (m *model) check(loops []*modelShard) {
	order := make(map[string][]string)
	place := make(map[string]int)
	for i, l := range loops {
		for k, topic := range m.topics {
			got := l.open[witness+uint32(k)][topic].got
			if i == 0 {
				order[topic] = got
				for at, id := range got {
					place[id] = at
				}
			} else if fmt.Sprint(got) != fmt.Sprint(order[topic]) {
				m.t.Fatalf("shards 0 and %d have different orders of %q", i, topic)
			}
		}
	}
	if len(place) != len(m.sent) {
		m.t.Errorf("%d messages sent, %d arrived", len(m.sent), len(place))
	}
	for _, l := range loops {
		for _, w := range l.windows {
			if err := m.checkWindow(w, order[w.topic], place); err != nil {
				m.t.Error(err)
			}
		}
	}
}

// checkPositions: what a member got has the position that its publisher was told, and offsets
// without holes.
func (m *model) checkPositions(loops []*modelShard) {
	if !m.positions {
		return
	}
	if len(m.told) != len(m.sent) {
		m.t.Errorf("%d messages sent, %d have a position", len(m.sent), len(m.told))
	}
	count, last := map[string]uint64{}, map[string]uint64{}
	for _, p := range m.told {
		count[p.Epoch]++ // an epoch is of one topic
		last[p.Epoch] = max(last[p.Epoch], p.Offset)
	}
	for epoch, n := range count {
		if n != last[epoch] {
			m.t.Errorf("epoch %s: %d messages, the last at %d", epoch, n, last[epoch])
		}
	}
	for _, l := range loops {
		for _, w := range l.windows {
			for i, id := range w.got {
				if w.at[i] != m.told[id] {
					m.t.Fatalf("a member got %s at %v, its publisher was told %v", id, w.at[i], m.told[id])
				}
				if i > 0 && w.at[i].Epoch == w.at[i-1].Epoch && w.at[i].Offset != w.at[i-1].Offset+1 {
					m.t.Fatalf("topic %q: %v behind %v", w.topic, w.at[i], w.at[i-1])
				}
			}
		}
	}
}

func (m *model) checkWindow(w *window, order []string, place map[string]int) error {
	start := len(order) // the first message that the window has, or would have
	if len(w.got) > 0 {
		start = place[w.got[0]]
	} else if w.ended {
		return nil
	}
	for i, id := range w.got {
		if start+i >= len(order) || order[start+i] != id {
			return fmt.Errorf("topic %q: got %q as number %d of a window that starts at %d", w.topic, id, i, start)
		}
	}
	if end := start + len(w.got); !w.ended && end != len(order) {
		return fmt.Errorf("topic %q: an open window ends at %d of %d", w.topic, end, len(order))
	}
	if len(w.got) > 0 && m.sent[w.got[0]].after < w.open.before {
		return fmt.Errorf("topic %q: got %q, published before Subscribe", w.topic, w.got[0])
	}
	if start > 0 && m.sent[order[start-1]].before > w.open.after {
		return fmt.Errorf("topic %q: missed %q, published after Subscribe", w.topic, order[start-1])
	}
	return nil
}

func (m *model) checkEnd(loops []*modelShard) {
	for _, l := range loops {
		for member := range l.open {
			l.s.Leave(member)
		}
		for l.s.Deliver(l, 100) {
		}
		if n := l.s.marks.live; n != 0 {
			m.t.Errorf("%d rosters left", n)
		}
	}
	for _, topic := range m.topics {
		m.hub.Release(topic)
	}
	if n := topicCount(m.hub); n != 0 {
		m.t.Errorf("%d topics left", n)
	}
	if c := m.hub.Counters(); c.PendingBytes != 0 {
		m.t.Errorf("%d bytes pending", c.PendingBytes)
	}
	m.queued.Range(func(id, _ any) bool {
		if _, done := m.done.Load(id); !done {
			m.t.Errorf("%v was queued and is not done", id)
		}
		return true
	})
	m.done.Range(func(id, _ any) bool {
		// With positions a message may come to a shard whose members have left.
		if _, queued := m.queued.Load(id); !queued && !m.positions {
			m.t.Errorf("%v is done and was not queued", id)
		}
		return true
	})
}

// One topic whose only members come and go on all shards at once, so that it ends and begins all
// the time: each of them must hear itself.
func TestTopicEndsAndBegins(t *testing.T) {
	const shards = 4
	h := NewHub(Options{Shards: shards, Encoders: []Encoder{plain}})
	var wg sync.WaitGroup
	for i := range shards {
		wg.Go(func() {
			s, sink := h.Shard(i), newFakeSink()
			for round := range 3000 {
				if added, err := s.Subscribe(1, 0, "t"); !added || err != nil {
					t.Errorf("Subscribe: %v, %v", added, err)
				}
				mine := fmt.Sprintf("%d.%d", i, round)
				if r, err := h.Publish("t", Text, []byte(mine)); r.Matched < 1 || err != nil {
					t.Errorf("Publish: %+v, %v", r, err)
				}
				for heard := false; !heard; {
					s.Deliver(sink, 10)
					sink.flush()
					heard = strings.Contains(sink.got(1), "["+mine+"]")
				}
				s.Leave(1)
			}
			for s.Deliver(sink, 10) {
			}
		})
	}
	wg.Wait()
	for i := range shards {
		for h.Shard(i).Deliver(newFakeSink(), 10) {
		}
	}
	if n := topicCount(h); n != 0 || h.Counters().PendingBytes != 0 {
		t.Errorf("%d topics left, %+v", n, h.Counters())
	}
}
