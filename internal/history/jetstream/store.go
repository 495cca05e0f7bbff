// The store: its connection, its streams, and its life.

package jetstream

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"c100k/broadcast"
	"c100k/internal/history"
	"c100k/internal/jitter"
)

// Options say where the store is and what it keeps.
type Options struct {
	// URL is the server's, as natsbus.CheckURL accepts it.
	URL string
	// Credentials is a file of credentials, or empty.
	Credentials string
	// Name is by what the server knows this process.
	Name string
	// Rules say what is kept; at least one.
	Rules *history.Rules
	// InMemory keeps the streams in the memory of the server.
	InMemory bool
	// BytesMax bounds the streams together, in bytes; 0: no bound of ours.
	BytesMax int64
	// Owner tells that the server, alone, is in this process, which looks after the files.
	Owner bool
	// Alone tells that no other process uses the server. Then nothing is stored but what this process
	// appends, and the answers say in what order: the server need not send it back.
	Alone bool
	// Replicated makes streams of three replicas where the server is one of a cluster.
	Replicated bool
	// SyncSubject is where the server is asked for a sync of what it has stored. If it is not empty,
	// messages are delivered and acknowledged when they are on the disk.
	SyncSubject string
	// Now is the clock of the hub.
	Now func() time.Duration
	// Logger gets what operators want to know. Nil: nothing is logged.
	Logger *slog.Logger
}

// Store is a process's connection to the store. Make one with Open.
type Store struct {
	// Immutable after Open.
	opt     Options
	log     *slog.Logger
	conn    *nats.Conn
	js      nats.JetStreamContext
	streams []*stream // by rule
	id      uint64    // of this process, in its records
	opened  time.Time // when Open began
	boot    string    // of the machine
	inbox   string    // subject of answers, without the number

	hub *broadcast.Hub // immutable after Start; nil: this process only appends and reads

	// Any goroutine.
	appends *history.Queue
	group   group
	trouble atomic.Pointer[string] // why messages cannot be stored; nil while they can
	sinks   sync.WaitGroup         // goroutines
	stop    chan struct{}
	over    context.Context // ends with the store
	end     context.CancelFunc
	once    sync.Once
	loads   *history.Loads
}

var _ history.Store = (*Store)(nil)

// stream is that of one rule.
type stream struct {
	// Immutable after Open.
	number  int
	name    string
	prefix  string // of its subjects
	live    string // of the subjects to which the server sends what it has stored
	keep    broadcast.Keep
	epoch   string
	durable string

	// Any goroutine.
	reached atomic.Uint64 // offset up to which the messages are in the hub
	floor   atomic.Uint64 // behind this one all messages are there, or were and have aged
	raised  atomic.Uint64 // up to this one less was kept than now
	damaged atomic.Uint64 // up to this one something is missing
	lost    atomic.Pointer[string]

	mu        sync.Mutex    // held while a message goes into the hub; guards the fields below
	published time.Duration // of the last message
	taken     []uint64      // numbers of what a starting process takes; nil: it has started

	looked uint64 // the last message at the last look; of the goroutine that looks after the streams
}

const (
	metaEpoch   = "c100k-epoch"
	metaPattern = "c100k-pattern"
	metaRaised  = "c100k-raised"
)

// Open connects to the server and makes the streams that are not there. It fails if the server
// cannot be reached, or has no JetStream.
func Open(ctx context.Context, o Options) (*Store, error) {
	s := &Store{opt: o, log: o.Logger, id: rand.Uint64(), opened: time.Now(), boot: bootOf(), stop: make(chan struct{})}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.appends = history.NewQueue(UnansweredMax)
	s.group.kick = make(chan struct{}, 1)
	s.over, s.end = context.WithCancel(context.Background())
	conn, err := nats.Connect(o.URL, s.connectOptions()...)
	if err != nil {
		return nil, fmt.Errorf("the store of history: %w", err)
	}
	s.conn = conn
	s.inbox = nats.NewInbox() + "."
	if s.js, err = conn.JetStream(nats.MaxWait(callTimeout)); err == nil {
		err = s.open(ctx)
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("the store of history: %w", err)
	}
	return s, nil
}

func (s *Store) connectOptions() []nats.Option {
	options := []nats.Option{
		nats.Name("c100k history " + s.opt.Name),
		nats.ReconnectBufSize(-1), // what is not sent is refused, not kept for later
		nats.MaxReconnects(-1),
		nats.IgnoreAuthErrorAbort(),
		nats.CustomReconnectDelay(func(attempts int) time.Duration { return jitter.Reconnect(attempts, reconnectDelayMax) }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if !s.closed() {
				s.complain("it is disconnected", err)
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) {
			s.log.Info("the store of history is connected again")
			s.trouble.Store(nil)
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			s.log.Warn("the store of history has trouble", "err", err)
		}),
	}
	if s.opt.Credentials != "" {
		options = append(options, nats.UserCredentials(s.opt.Credentials))
	}
	return options
}

// complain notes why messages cannot be stored.
func (s *Store) complain(why string, err error) {
	text := "the store of history: " + why
	if old := s.trouble.Swap(&text); old == nil {
		s.log.Error("messages of topics with history are refused", "reason", text, "err", err)
	}
}

// well ends a trouble.
func (s *Store) well() {
	if s.trouble.Load() != nil && s.conn.IsConnected() {
		s.trouble.Store(nil)
		s.log.Info("the store of history takes messages again")
	}
}

// open finds or makes the streams.
func (s *Store) open(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	for {
		// A server of a cluster that has no leader yet does not answer at all.
		try, cancel := context.WithTimeout(ctx, tryTimeout)
		_, err := s.js.AccountInfo(nats.Context(try))
		cancel()
		switch {
		case errors.Is(err, nats.ErrJetStreamNotEnabled), errors.Is(err, nats.ErrJetStreamNotEnabledForAccount):
			return errors.New("the NATS server has no JetStream, which keeps history: start it with -js, or leave --history out")
		case err == nil:
			return s.openStreams(ctx)
		}
		select {
		case <-time.After(tryEvery):
		case <-ctx.Done():
			return err
		}
	}
}

func (s *Store) openStreams(ctx context.Context) error {
	for i := range s.opt.Rules.Len() {
		st, err := s.tryStream(ctx, i)
		for err != nil && passing(err) && ctx.Err() == nil {
			time.Sleep(tryEvery)
			st, err = s.tryStream(ctx, i)
		}
		if err != nil {
			return fmt.Errorf("the stream of %s: %w", patternOf(s.opt.Rules, i), err)
		}
		s.streams = append(s.streams, st)
	}
	return nil
}

// tryStream is openStream within the time of one request: a cluster whose servers have only just
// found each other leaves requests without an answer, and some of its servers do not know yet what
// others have made.
func (s *Store) tryStream(ctx context.Context, number int) (*stream, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return s.openStream(ctx, number)
}

// passing tells whether an error may be over at the next try.
func passing(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout) || errors.Is(err, nats.ErrNoResponders) || errors.Is(err, nats.ErrStreamNotFound)
}

func patternOf(r *history.Rules, i int) string {
	pattern, _ := r.Rule(i)
	return pattern
}

// openStream finds the stream of a rule, or makes it. Processes that do so at the same time get the
// same one.
func (s *Store) openStream(ctx context.Context, number int) (*stream, error) {
	pattern, keep := s.opt.Rules.Rule(number)
	digest := sha256.Sum256([]byte(pattern))
	short := hex.EncodeToString(digest[:8])
	st := &stream{number: number, name: "C100K-" + short, prefix: "c100k.h." + short + ".", live: "c100k.r." + short + ".", keep: keep, published: math.MinInt64}
	want := s.streamConfig(st, pattern)
	info, err := s.js.StreamInfo(st.name, nats.Context(ctx))
	if errors.Is(err, nats.ErrStreamNotFound) {
		info, err = s.makeStream(ctx, want)
	}
	if err != nil {
		return nil, err
	}
	if err := st.adopt(info); err != nil {
		return nil, err
	}
	if info, err = s.updateStream(ctx, st, info, want); err != nil {
		return nil, err
	}
	if s.opt.Owner && !s.opt.InMemory {
		if err := s.examine(ctx, st, info); err != nil {
			return nil, err
		}
	}
	switch {
	case info.Config.Storage == nats.MemoryStorage:
		st.durable = history.DurableMemory
	case info.Config.Replicas > 1:
		st.durable = history.DurableReplicated
	default:
		st.durable = history.DurableFile
	}
	return st, nil
}

func (s *Store) streamConfig(st *stream, pattern string) *nats.StreamConfig {
	c := &nats.StreamConfig{
		Name: st.name, Subjects: []string{st.prefix + "*"}, Description: "history of c100k",
		MaxMsgsPerSubject: int64(st.keep.Count), MaxAge: max(st.keep.Age, keyWindow), Duplicates: keyWindow,
		MaxMsgs: -1, MaxBytes: -1, MaxConsumers: -1, MaxMsgSize: -1,
		Storage: nats.FileStorage, Replicas: 1, AllowDirect: true,
		Metadata: map[string]string{metaEpoch: newEpoch(), metaPattern: pattern},
	}
	if !s.opt.Alone {
		c.RePublish = &nats.RePublish{Source: st.prefix + "*", Destination: st.live + "{{wildcard(1)}}"}
	}
	if st.keep.Age == 0 {
		c.MaxAge = 0
	}
	if s.opt.InMemory {
		c.Storage = nats.MemoryStorage
	}
	if s.opt.BytesMax > 0 {
		c.MaxBytes = s.opt.BytesMax / int64(s.opt.Rules.Len())
	}
	return c
}

// newEpoch is an epoch that no stream has had.
func newEpoch() string { return strconv.FormatUint(rand.Uint64()>>24, 36) + "-0" }

// makeStream makes a stream, of three replicas if that is wanted and possible.
func (s *Store) makeStream(ctx context.Context, want *nats.StreamConfig) (*nats.StreamInfo, error) {
	config := *want
	if s.opt.Replicated && s.conn.ConnectedClusterName() != "" {
		config.Replicas = 3
	}
	info, err := s.js.AddStream(&config, nats.Context(ctx))
	// A cluster that has just formed may not know all of its servers yet.
	for config.Replicas > 1 && refused(err) && ctx.Err() == nil {
		if time.Since(s.opened) > replicasWait {
			s.log.Warn("history is not replicated: the NATS cluster does not make three replicas", "stream", config.Name, "err", err)
			config.Replicas = 1
		} else {
			time.Sleep(tryEvery)
		}
		info, err = s.js.AddStream(&config, nats.Context(ctx))
	}
	if errors.Is(err, nats.ErrStreamNameAlreadyInUse) {
		return s.js.StreamInfo(config.Name, nats.Context(ctx)) // another process was faster
	}
	return info, err
}

// refused tells whether the server does not make a stream that is not there.
func refused(err error) bool { return err != nil && !errors.Is(err, nats.ErrStreamNameAlreadyInUse) }

// adopt takes over what the stream says of itself.
func (st *stream) adopt(info *nats.StreamInfo) error {
	st.epoch = info.Config.Metadata[metaEpoch]
	if _, err := history.ParsePosition(st.epoch + ".0"); err != nil {
		return fmt.Errorf("the stream %s is not ours: it has no epoch", st.name)
	}
	if text := info.Config.Metadata[metaRaised]; text != "" {
		raised, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return fmt.Errorf("the stream %s: %s is %q", st.name, metaRaised, text)
		}
		st.raised.Store(raised)
	}
	st.damaged.Store(0)
	if text := info.Config.Metadata[metaDamaged]; text != "" {
		damaged, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return fmt.Errorf("the stream %s: %s is %q", st.name, metaDamaged, text)
		}
		st.damaged.Store(damaged)
	}
	return nil
}

// updateStream gives a stream the bounds of its rule, and what Options.Alone needs, if it has
// others. If it is to keep more messages of a topic, what it has dropped before is not known any
// more, and the stream notes up to where.
func (s *Store) updateStream(ctx context.Context, st *stream, info *nats.StreamInfo, want *nats.StreamConfig) (*nats.StreamInfo, error) {
	now := info.Config
	sends := (now.RePublish != nil) == (want.RePublish != nil)
	if sends && now.MaxMsgsPerSubject == want.MaxMsgsPerSubject && now.MaxAge == want.MaxAge && now.MaxBytes == want.MaxBytes {
		return info, nil
	}
	if want.MaxMsgsPerSubject > now.MaxMsgsPerSubject {
		st.raised.Store(info.State.LastSeq)
		now.Metadata[metaRaised] = strconv.FormatUint(info.State.LastSeq, 10)
	}
	now.MaxMsgsPerSubject, now.MaxAge, now.MaxBytes, now.RePublish = want.MaxMsgsPerSubject, want.MaxAge, want.MaxBytes, want.RePublish
	return s.js.UpdateStream(&now, nats.Context(ctx))
}

// of is the stream of a topic, nil without history.
func (s *Store) of(topic string) *stream {
	if i := s.opt.Rules.Of(topic); i >= 0 {
		return s.streams[i]
	}
	return nil
}

// subject is that of a topic.
func (st *stream) subject(topic string) string {
	b := make([]byte, 0, len(st.prefix)+len(topic)+16)
	return string(appendToken(append(b, st.prefix...), topic))
}

// First implements history.Store.
func (s *Store) First(topic string) (first broadcast.Position, ok bool) {
	st := s.of(topic)
	if st == nil {
		return first, false
	}
	return broadcast.Position{Epoch: st.epoch, Offset: st.reached.Load() + 1}, true
}

// Floor implements history.Store.
func (s *Store) Floor(topic string) uint64 {
	if st := s.of(topic); st != nil {
		return st.floor.Load()
	}
	return 0
}

// Reached implements history.Store.
func (s *Store) Reached(topic string) uint64 {
	if st := s.of(topic); st != nil {
		return st.reached.Load()
	}
	return 0
}

// Releasing implements history.Store: when the topic begins again, its log does not have what came
// before.
func (s *Store) Releasing(topic string) {
	if st := s.of(topic); st != nil {
		st.floor.Store(st.reached.Load())
	}
}

// Durable implements history.Store.
func (s *Store) Durable(topic string) string {
	if st := s.of(topic); st != nil {
		return st.durable
	}
	return ""
}

// Ready implements history.Store.
func (s *Store) Ready() error {
	for _, st := range s.streams {
		if why := st.lost.Load(); why != nil {
			return errors.New(*why)
		}
	}
	if why := s.trouble.Load(); why != nil {
		return errors.New(*why)
	}
	return nil
}

// Start implements history.Store.
func (s *Store) Start(ctx context.Context, hub *broadcast.Hub) error {
	s.hub, s.loads = hub, history.NewLoads(hub)
	answers, err := s.conn.Subscribe(s.inbox+"*", s.answered)
	if err == nil {
		err = answers.SetPendingLimits(2*history.AppendsMax, -1)
	}
	if err == nil && hub != nil {
		err = s.warm(ctx)
	}
	if err == nil {
		err = s.conn.FlushTimeout(callTimeout)
	}
	if err != nil {
		return fmt.Errorf("the store of history: %w", err)
	}
	s.sinks.Go(s.write)
	if s.grouped() {
		s.sinks.Go(s.syncGroups)
	}
	s.sinks.Go(s.look)
	return nil
}

func (s *Store) closed() bool {
	select {
	case <-s.stop:
		return true
	default:
		return false
	}
}

// Close implements history.Store.
func (s *Store) Close() error {
	s.once.Do(func() {
		close(s.stop)
		s.end()
		s.appends.Close()
		s.sinks.Wait()
		if s.loads != nil {
			s.loads.Wait()
		}
		if s.opt.Owner && !s.opt.InMemory && s.conn.IsConnected() {
			s.farewell()
		}
		if s.conn.IsConnected() {
			_ = s.conn.FlushTimeout(time.Second)
		}
		s.conn.Close()
		s.appends.FailAll(history.ErrUnsure)
	})
	return nil
}
