// History: what is kept of topics, for clients that come back and for the API.

package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"c100k/broadcast"
	"c100k/internal/admin"
	"c100k/internal/auth"
	"c100k/internal/bus"
	"c100k/internal/edge"
	"c100k/internal/history"
	"c100k/internal/history/jetstream"
	"c100k/internal/history/redisstreams"
	"c100k/internal/natsd"
	"c100k/internal/redisurl"
	"c100k/netpoll"
)

// trimEvery is how often old messages are forgotten in topics to which nothing is published.
const trimEvery = time.Second

// keptIdle is how long a topic without members, of which nothing is kept any more, keeps its
// positions: a client that missed nothing resumes within this time.
const keptIdle = time.Hour

// pageTimeout bounds how long a request of the API waits for the store.
const pageTimeout = 10 * time.Second

// historyHeadBytes is what a message has in the store beside its payload, at most.
const historyHeadBytes = 4 << 10

// historyPendingMin bounds what waits in the embedded server for one process, in bytes; one that
// lags further behind is cut off, and reads what it missed.
const historyPendingMin = 64 << 20

// ErrHistory wraps the error of a store of history that could not be opened.
var ErrHistory = errors.New("cannot keep history")

// KindCount is the kind of a message on the bus that asks for the members of its topic: after a
// message that the others get from the store of history. It is beyond those of payloads, and below
// those of channels.
const KindCount = 100

// past is the history of the node's topics.
type past struct {
	rules  *history.Rules
	store  history.Store
	engine bool // the store numbers messages for other processes, or those of earlier lives, too
	hub    *broadcast.Hub
	broker *natsd.Server // that the store is in; nil: in another process, or there is none
}

// newPast reads the configuration, which has been validated.
func newPast(c *Config, seed uint64) (*past, error) {
	rules, err := history.ParseRules(c.History)
	if err != nil {
		return nil, err
	}
	return &past{rules: rules, store: history.NewMemory(rules, history.NewEpochs(seed), netpoll.Monotonic)}, nil
}

// openPast opens the store that other processes use too, or that outlives this one, if the
// configuration has one.
func (s *Server) openPast() error {
	c, o := &s.cfg, jetstream.Options{URL: s.cfg.Bus, Credentials: s.cfg.BusCreds, Replicated: true}
	switch w := c.Worker; {
	case !s.past.rules.Any() || c.Bus == BusMemory && c.HistoryDir == "":
		return nil
	case w != nil && w.Durable != "":
		o.Replicated, o.InMemory, o.SyncSubject = false, w.Durable == history.DurableMemory, w.syncSubject(c)
	case c.Bus == BusMemory:
		broker, err := StartHistory(c, natsd.Options{Name: "c100k", Label: "store of history", Logger: s.log})
		if err != nil {
			return err
		}
		s.past.broker = broker
		o.URL, o.Replicated, o.Owner, o.Alone, o.SyncSubject = broker.URL(), false, true, true, c.SyncSubject()
	}
	o.Name, o.Rules, o.Now, o.Logger = bus.NodeName(os.Getpid()), s.past.rules, netpoll.Monotonic, s.log
	if o.InMemory {
		o.BytesMax = int64(c.HistoryBytes)
	}
	store, err := OpenHistory(context.Background(), o)
	if err != nil {
		s.past.close()
		return fmt.Errorf("%w: %w", ErrBus, err)
	}
	s.past.store, s.past.engine = store, true
	return nil
}

// OpenHistory opens the store that is behind a bus: that of NATS, or of Redis, where only URL,
// Rules, Now and Logger of the options count.
func OpenHistory(ctx context.Context, o jetstream.Options) (history.Store, error) {
	if redisurl.Is(o.URL) {
		return redisstreams.Open(ctx, redisstreams.Options{URL: o.URL, Rules: o.Rules, Now: o.Now, Logger: o.Logger})
	}
	return jetstream.Open(ctx, o)
}

// StartHistory starts a NATS server that keeps the history of a configuration, which has its
// defaults: in its directory, or in memory if it has none.
func StartHistory(c *Config, o natsd.Options) (*natsd.Server, error) {
	every, always, err := c.historySync()
	if err != nil {
		return nil, err
	}
	o.PayloadBytesMax = max(o.PayloadBytesMax, c.MaxMessage+historyHeadBytes)
	o.PendingBytesMax = max(o.PendingBytesMax, historyPendingMin, 4*int64(o.PayloadBytesMax))
	o.Store = &natsd.Store{Dir: c.HistoryDir, MemoryMax: int64(c.HistoryBytes), SyncAlways: always, SyncInterval: every}
	if c.syncsGroups() {
		o.Store.SyncAlways, o.Store.SyncGroups, o.Store.SyncInterval = false, true, historySyncOff
	}
	broker, err := natsd.Start(o)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrHistory, err)
	}
	return broker, nil
}

// syncsGroups tells whether the embedded server syncs messages in groups. In a cluster it cannot:
// its servers agree about each message before they store it, and sync that too.
func (c *Config) syncsGroups() bool {
	_, always, _ := c.historySync()
	return always && c.HistoryDir != "" && c.Cluster == ""
}

// SyncSubject is jetstream.Options.SyncSubject for the embedded server of a configuration.
func (c *Config) SyncSubject() string {
	if c.syncsGroups() {
		return natsd.SyncSubject
	}
	return ""
}

// syncSubject is SyncSubject for a worker, whose parent has the server.
func (w *Worker) syncSubject(c *Config) string {
	if _, always, _ := c.historySync(); always && w.Durable == history.DurableFile {
		return natsd.SyncSubject
	}
	return ""
}

// close ends the store.
func (p *past) close() {
	_ = p.store.Close() // it has nothing to say
	if p.broker != nil {
		p.broker.Close()
	}
}

// ready is nil while messages of topics with history can be stored.
func (p *past) ready() error { return p.store.Ready() }

// shared tells whether messages of a topic go through the store to the members of this process too.
func (p *past) shared(topic string) bool { return p.engine && p.kept(topic) }

// publishStored stores a message, from where it comes to all nodes, and asks those for their
// counts.
func (s *Server) publishStored(p admin.Publication, done func(admin.Outcome)) error {
	return s.append(p.Topic, history.Append{
		Post: broadcast.Post{Kind: p.Kind, Payload: p.Payload, From: p.From, Trace: p.TraceID()}, Key: p.Key,
		Done: func(a history.Appended) {
			if a.Err != nil {
				done(admin.Outcome{Err: a.Err})
				return
			}
			here := admin.Outcome{Result: a.Result, Durable: s.past.store.Durable(p.Topic)}
			s.askOthers(bus.Message{Topic: p.Topic, Kind: KindCount}, here, done)
		},
	})
}

// stored counts what the store was given.
type stored struct{ accepted, failed atomic.Uint64 }

// append gives a message to the store, from where it comes to all nodes, and counts what becomes of
// it.
func (s *Server) append(topic string, a history.Append) error {
	done := a.Done
	a.Done = func(r history.Appended) {
		switch {
		case r.Err != nil:
			s.stored.failed.Add(1)
		case !r.Repeated: // it was counted the first time
			s.stored.accepted.Add(1)
		}
		if done != nil {
			done(r)
		}
	}
	err := s.past.store.Append(topic, a)
	if err != nil {
		s.stored.failed.Add(1)
	}
	return err
}

// keep is broadcast.Options.Keep.
func (p *past) keep(topic string) broadcast.Keep {
	k, _ := p.rules.Keep(topic)
	return k
}

// kept tells whether messages of a topic are kept.
func (p *past) kept(topic string) bool {
	_, ok := p.rules.Keep(topic)
	return ok
}

// run forgets what is old until stopped is closed.
func (p *past) run(hub *broadcast.Hub, stopped <-chan struct{}) {
	tick := time.NewTicker(trimEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			hub.TrimKept(keptIdle, p.store.Releasing)
		case <-stopped:
			return
		}
	}
}

// mayResume tells whether a client may have kept messages of a topic. Any goroutine.
func (s *Server) mayResume(who *auth.Principal, topic string) bool {
	return s.may(who, auth.History, topic)
}

// Refusals of requests that want kept messages.
var (
	refuseFrom = &edge.Refusal{Status: 400, Label: "bad_position",
		Reason: "one of after=EPOCH.OFFSET (with one topic), last=1 to 1000, rewind=DURATION such as 30s; or from=, for each topic one of EPOCH.OFFSET, last=N, rewind=DURATION or nothing"}
	refuseHistory = &edge.Refusal{Status: 403, Label: "forbidden", Reason: "kept messages of a topic of the query are not open to this client"}
)

// readFrom reads where the topics of a request begin: the query's after, last or rewind, and for a
// stream of events the id that its client has heard last, which wins. Nil is now for all.
func (b *beginning) readFrom(r *arrival, events bool) ([]history.From, *edge.Refusal) {
	if events {
		id, _ := r.head.Get("last-event-id")
		text := string(id)
		if text == "" {
			var refusal *edge.Refusal
			if text, refusal = queryValue(r.head.Query(), "last_event_id"); refusal != nil {
				return nil, refusal
			}
		}
		if text != "" {
			from := history.ParseEventID(text, b.topicN)
			for i, topic := range b.topicN {
				if !b.mayResume(r.who, topic) {
					from[i] = history.Unknown() // a refusal would be final to an EventSource
				}
			}
			return from, nil
		}
	}
	if from, refusal := b.readEach(r); from != nil || refusal != nil {
		return from, refusal
	}
	var texts [3]string
	for i, name := range [...]string{"after", "last", "rewind"} {
		var refusal *edge.Refusal
		if texts[i], refusal = queryValue(r.head.Query(), name); refusal != nil {
			return nil, refusal
		}
	}
	from, err := history.ParseFrom(texts[0], texts[1], texts[2])
	switch {
	case err != nil || texts[0] != "" && len(b.topicN) != 1:
		return nil, refuseFrom
	case from.IsNow():
		return nil, nil
	}
	all := make([]history.From, len(b.topicN))
	for i, topic := range b.topicN {
		if !b.mayResume(r.who, topic) {
			return nil, refuseHistory
		}
		all[i] = from
	}
	return all, nil
}

// readEach reads the query's parameters from, one for each topic in their order: a position,
// last=N, rewind=DURATION, or nothing for now. Nil: there is none.
func (b *beginning) readEach(r *arrival) ([]history.From, *edge.Refusal) {
	texts, refusal := edge.QueryValues(nil, r.head.Query(), "from")
	switch {
	case refusal != nil:
		return nil, refusal
	case len(texts) == 0:
		return nil, nil
	case len(texts) > len(b.topicN):
		return nil, refuseFrom
	}
	all := make([]history.From, len(b.topicN))
	for i, text := range texts {
		last, isLast := strings.CutPrefix(text, "last=")
		rewind, isRewind := strings.CutPrefix(text, "rewind=")
		var err error
		switch {
		case isLast && last != "":
			all[i], err = history.ParseFrom("", last, "")
		case isRewind && rewind != "":
			all[i], err = history.ParseFrom("", "", rewind)
		case text != "":
			all[i], err = history.ParseFrom(text, "", "")
		}
		if err != nil {
			return nil, refuseFrom
		}
		if !all[i].IsNow() && !b.mayResume(r.who, b.topicN[i]) {
			return nil, refuseHistory
		}
	}
	return all, nil
}

// queryValue is the value of a parameter that is there once at most.
func queryValue(query []byte, name string) (string, *edge.Refusal) {
	values, refusal := edge.QueryValues(nil, query, name)
	switch {
	case refusal != nil:
		return "", refusal
	case len(values) > 1:
		return "", refuseFrom
	case len(values) == 1 && values[0] == "":
		return "", refuseFrom
	case len(values) == 1:
		return values[0], nil
	}
	return "", nil
}

// History returns kept messages of a topic for the API.
func (n adminNode) History(topic string, after broadcast.Position, most int, reverse bool) (history.Page, error) {
	ctx, cancel := context.WithTimeout(context.Background(), pageTimeout)
	defer cancel()
	return n.past.store.Page(ctx, topic, after, most, reverse)
}

// ForgetHistory forgets what is kept of a topic.
func (n adminNode) ForgetHistory(topic string) error {
	ctx, cancel := context.WithTimeout(context.Background(), pageTimeout)
	defer cancel()
	return n.past.store.Forget(ctx, topic)
}
