// The hub: publishing, from any goroutine, to the shards that have members of the topic.

package broadcast

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Hub is all topics of a process. Its methods may be called on any goroutine and never block.
type Hub struct {
	// Immutable.
	encoders        []Encoder
	wake            func(shard int)
	done            func(shard int, m *Message)
	now             func() time.Duration
	policy          Policy
	outboxBytes     int
	pendingBytesMax int64
	topicsPerMember int
	topicNameBytes  int // of one member; 0: no bound
	runBytes        int
	positions       func(topic string) (first Position, ok bool)
	occupied        func(topic string) // nil: nobody hears of it
	watcher         Members            // nil: nobody hears of members
	encodedBytesMax func(f Form, m *Message) int
	keep            func(topic string) Keep
	keptBytesMax    int64
	older           bool
	floor           func(topic string) uint64
	reached         func(topic string) uint64
	personalForms   uint32 // bit f: form f is made for each member
	shards          []*Shard

	// Any goroutine.
	topics     sync.Map     // string to *topic; only topics with an attached shard, kept, or just over
	topicCount atomic.Int64 // in topics
	pending    atomic.Int64
	published  atomic.Uint64
	refused    atomic.Uint64
	kept       atomic.Int64 // bytes in the logs
}

// NewHub returns a hub. It panics if o is not valid (Options.Validate).
func NewHub(o Options) *Hub {
	if err := o.Validate(); err != nil {
		panic(err)
	}
	h := &Hub{
		encoders:        slices.Clone(o.Encoders),
		wake:            o.Wake,
		done:            o.Done,
		now:             o.Now,
		policy:          o.Policy,
		outboxBytes:     orDefault(o.OutboxBytesMax, OutboxBytesDefault),
		pendingBytesMax: int64(orDefault(o.PendingBytesMax, PendingBytesDefault)),
		topicsPerMember: orDefault(o.TopicsPerMemberMax, TopicsPerMemberDefault),
		topicNameBytes:  o.TopicNameBytesPerMemberMax,
		positions:       o.Positions,
		occupied:        o.Occupied,
		watcher:         o.Members,
		encodedBytesMax: o.EncodedBytesMax,
		keep:            o.Keep,
		personalForms:   o.PersonalForms,
		keptBytesMax:    int64(orDefault(o.KeptBytesMax, KeptBytesDefault)),
		older:           o.Older,
		floor:           o.Floor,
		reached:         o.Reached,
	}
	h.runBytes = min(RunBytesMax, h.outboxBytes/runsPerOutboxMin)
	if h.now == nil {
		start := time.Now()
		h.now = func() time.Duration { return time.Since(start) }
	}
	if h.wake == nil {
		h.wake = func(int) {}
	}
	for i := range o.Shards {
		h.shards = append(h.shards, newShard(h, i))
	}
	return h
}

// Shard returns shard i. Its methods belong to loop i.
func (h *Hub) Shard(i int) *Shard { return h.shards[i] }

// Result says what became of one publish.
type Result struct {
	Matched int // members of the topic over all shards at that moment
	Queued  int // members that the message is on its way to: Matched, or 0 if it was dropped
	Dropped int // members that do not get it because Options.PendingBytesMax was reached: Matched, or 0

	// Position is that of the message; zero in a topic without positions, and for one that was
	// dropped.
	Position Position

	// Repeated says that the message was not published, because its Post.Offset was there already.
	Repeated bool
}

// Publish sends payload to everybody who is subscribed to topic. Everyone whose Subscribe has
// returned before gets it, and all of them get the messages of a topic in one order. The payload is
// kept: nobody may change it any more. The error is one of ValidTopic. Any goroutine.
func (h *Hub) Publish(topic string, kind Kind, payload []byte) (Result, error) {
	return h.PublishPost(topic, Post{Kind: kind, Payload: payload})
}

// Post is a message to be published, with what few messages have.
type Post struct {
	Kind    Kind
	Payload []byte

	// From names who has published it, for the hub's encoders: Message.From. Empty as a rule; a post
	// with one has no Extra.
	From string

	// Extra is for the hub's encoders: Message.Extra.
	Extra any

	// Offset, if not 0, is the one that the message gets in a topic with positions: that of an engine
	// which numbers them for several nodes. It must be greater than that of the message before;
	// otherwise the message was published already, and Result.Repeated says so.
	Offset uint64

	// Trace, if not nil, is the id of the trace that the publish belongs to: Message.Trace.
	Trace *[16]byte

	// Relayed says that another node, or an engine, has published and counted the message:
	// Counters.Published and Refused leave it out.
	Relayed bool

	// Published, if not 0, is when the message was published, on Options.Now: of one that an engine
	// has kept. It must not be before that of the message before.
	Published time.Duration

	// Skip, if not nil, is asked for each member that the message has come to whether it is to be left
	// out: on the loop of the shard, within Deliver, once for each member. It must not block, nor call
	// the shard but for Subscribed. A member that is left out has not missed anything.
	Skip func(shard int, member uint32) bool
}

// PublishPost is Publish for a message with more than a payload. Members that Post.Skip will leave
// out count in the result.
func (h *Hub) PublishPost(topic string, p Post) (Result, error) {
	if err := ValidTopic(topic); err != nil {
		return Result{}, err
	}
	if !p.Relayed {
		h.published.Add(1)
	}
	for {
		t := h.lookup(topic)
		if t == nil && h.positions != nil {
			t = h.beginKept(topic)
		}
		if t == nil {
			return Result{}, nil
		}
		r, over := h.publishTo(t, &p)
		if !over || t.numbers.Load() == nil {
			return r, nil
		}
		// The topic was released meanwhile. This message belongs to the next one of its name.
		h.forget(t)
	}
}

// publishTo publishes to t; over says that the topic had ended.
func (h *Hub) publishTo(t *topic, p *Post) (_ Result, over bool) {
	matched := t.members.sum(len(h.encoders))
	if matched == 0 && t.numbers.Load() == nil {
		return Result{}, false
	}
	// The first look spares a hub in trouble the encoding; the second, with the true cost, is the
	// bound.
	if h.pending.Load() >= h.pendingBytesMax {
		return h.refuse(p, matched), false
	}
	m := &Message{
		Topic: t.name, Payload: p.Payload, Kind: p.Kind, Extra: p.Extra, Published: p.Published, Trace: p.Trace,
		hub: h, skip: p.Skip,
	}
	if p.From != "" {
		m.Extra = from(p.From)
	}
	if m.Published == 0 {
		m.Published = h.now()
	}
	if t.numbers.Load() == nil {
		m.encodeNeeded(&t.members)
	} else {
		m.entry = &entry{message: m}
		m.reserveNeeded(&t.members)
		m.entry.cost = m.cost
	}
	if h.pending.Add(m.cost) > h.pendingBytesMax {
		h.pending.Add(-m.cost)
		return h.refuse(p, matched), false
	}
	counted, ok := t.append(m, p.Offset)
	if ok && m.entry != nil && p.Offset != 0 && m.entry.position.Offset != p.Offset {
		h.pending.Add(-m.cost)
		return Result{Repeated: true}, false
	}
	if counted == 0 {
		h.pending.Add(-m.cost) // nobody holds the message, and the members have left meanwhile
		matched = 0
	}
	if !ok {
		return Result{}, true
	}
	if t.log != nil {
		t.log.record(m.Published)
	}
	for i := range t.rosters {
		if r := t.rosters[i].Load(); r != nil {
			h.shards[i].mark(r)
		}
	}
	r := Result{Matched: matched, Queued: matched}
	if m.entry != nil {
		r.Position = m.entry.position
	}
	return r, false
}

// refuse drops a message for want of room.
func (h *Hub) refuse(p *Post, matched int) Result {
	if !p.Relayed {
		h.refused.Add(1)
	}
	return Result{Matched: matched, Dropped: matched}
}

// settle is called by a shard that has ended its pass over n's message.
func (h *Hub) settle(shard int, n *node) {
	m := n.message
	if m.left.Add(-1) > 0 {
		return
	}
	n.message = nil
	h.pending.Add(-m.cost - m.late.Load())
	if h.done != nil {
		h.done(shard, m)
	}
}

// lookup returns the topic of that name, which may be over, or nil.
func (h *Hub) lookup(name string) *topic {
	if t, ok := h.topics.Load(name); ok {
		return t.(*topic)
	}
	return nil
}

// enter attaches a new roster of the shard to the topic of that name, which is made if it is not
// there. Loop of the shard.
func (h *Hub) enter(shard int, name string) *roster {
	t := h.lookup(name)
	for {
		r := &roster{shard: shard}
		if t == nil {
			fresh := h.newTopic(name, h.numberingOf(name))
			fresh.begin(r)
			found, loaded := h.topics.LoadOrStore(fresh.name, fresh)
			if !loaded {
				h.topicCount.Add(1)
				h.occupancy(name)
				return r
			}
			t = found.(*topic)
		}
		if ok, first := t.attach(r); ok {
			if first {
				h.occupancy(name)
			}
			return r
		}
		h.forget(t)
		t = nil
	}
}

// leave detaches r, if its shard has passed over all messages of the topic. Loop of the shard.
func (h *Hub) leave(r *roster) bool {
	done, last, over := r.topic.detach(r)
	if over {
		h.forget(r.topic)
	}
	if last {
		h.occupancy(r.topic.name)
	}
	return done
}

// Occupied tells whether a topic has members, or had some until the last pass over its messages.
// Any goroutine.
func (h *Hub) Occupied(name string) bool {
	t := h.lookup(name)
	return t != nil && t.tail.Load().attached > 0
}

// occupancy says that a topic has got its first members, or lost its last ones.
func (h *Hub) occupancy(name string) {
	if h.occupied != nil {
		h.occupied(name)
	}
}

// forget removes t, which is over, from the registry, unless somebody has, and perhaps put a new
// topic of that name in its place (topic, 6).
func (h *Hub) forget(t *topic) {
	if h.topics.CompareAndDelete(t.name, t) {
		h.topicCount.Add(-1)
	}
}
