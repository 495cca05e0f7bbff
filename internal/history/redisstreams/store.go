// The store and its life.

package redisstreams

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"c100k/broadcast"
	"c100k/internal/history"
	"c100k/internal/redisurl"
)

// Options say where the store is and what it keeps.
type Options struct {
	// URL is the server, as package redisurl describes it.
	URL string
	// Rules say what is kept; at least one.
	Rules *history.Rules
	// Now is the clock of the hub.
	Now func() time.Duration
	// Logger gets what operators want to know. Nil: nothing is logged.
	Logger *slog.Logger
}

// prefixDefault begins the names of keys.
const prefixDefault = "c100k"

// Store is a process's connection to the store. Make one with Open.
type Store struct {
	// Immutable after Open.
	opt  Options
	log  *slog.Logger
	url  *redisurl.URL
	tag  string // all keys begin with it
	id   uint64 // of this process, in its records
	meta string // keys
	live string
	list string // the index
	gaps string // the lives

	// Immutable after Start.
	hub   *broadcast.Hub // nil: this process only appends and reads
	loads *history.Loads

	// Any goroutine.
	queue   *history.Queue
	session atomic.Pointer[session] // nil while the server is away
	durable atomic.Pointer[string]
	trouble atomic.Pointer[string] // why messages cannot be stored; nil while they can
	epoch   atomic.Pointer[string] // of what is delivered
	reached atomic.Uint64          // number up to which the messages are in the hub
	floor   atomic.Uint64          // behind this one all messages are there, or were and have aged
	runs    sync.WaitGroup
	stop    chan struct{}
	once    sync.Once

	published time.Duration // of the last message; of the goroutine that delivers
}

var _ history.Store = (*Store)(nil)

// Open connects to the server. It fails if the server cannot be reached, or is too old.
func Open(ctx context.Context, o Options) (*Store, error) {
	u, err := redisurl.Read(o.URL)
	if err != nil {
		return nil, fmt.Errorf("the store of history: %s: %w", redisurl.Redacted(o.URL), err)
	}
	if u.Prefix == "" {
		u.Prefix = prefixDefault
	}
	configure(&u.Option)
	tag := "{" + u.Prefix + ":history}:"
	s := &Store{
		opt: o, log: o.Logger, url: u, id: rand.Uint64(), tag: tag, meta: tag + "meta", live: tag + "live",
		list: tag + "index", gaps: tag + "lives", queue: history.NewQueue(unansweredMax), stop: make(chan struct{}), published: math.MinInt64,
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	ses, err := s.connect(ctx)
	for err != nil && passing(err) && ctx.Err() == nil {
		select {
		case <-time.After(tryEvery):
		case <-ctx.Done():
		}
		ses, err = s.connect(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("the store of history: %s: %w", redisurl.Redacted(o.URL), err)
	}
	s.begin(ses.epoch, ses.tail)
	s.session.Store(ses)
	return s, nil
}

// begin says where deliveries begin.
func (s *Store) begin(epoch string, behind uint64) {
	s.reached.Store(behind)
	s.floor.Store(behind)
	s.epoch.Store(&epoch)
}

// Start implements history.Store.
func (s *Store) Start(ctx context.Context, hub *broadcast.Hub) error {
	s.hub, s.loads = hub, history.NewLoads(hub)
	if hub != nil {
		if err := s.warm(ctx); err != nil {
			return fmt.Errorf("the store of history: %w", err)
		}
	}
	s.runs.Go(s.write)
	s.runs.Go(s.run)
	s.runs.Go(s.sweep)
	return nil
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
	if s.trouble.Load() != nil && s.trouble.Swap(nil) != nil {
		s.log.Info("the store of history takes messages again")
	}
}

// keep is what is kept of a topic; ok is false if that is nothing.
func (s *Store) keep(topic string) (k broadcast.Keep, ok bool) { return s.opt.Rules.Keep(topic) }

func (s *Store) kept(topic string) bool {
	_, ok := s.keep(topic)
	return ok
}

// First implements history.Store.
func (s *Store) First(topic string) (first broadcast.Position, ok bool) {
	if !s.kept(topic) {
		return first, false
	}
	return broadcast.Position{Epoch: *s.epoch.Load(), Offset: s.reached.Load() + 1}, true
}

// Floor implements history.Store.
func (s *Store) Floor(string) uint64 { return s.floor.Load() }

// Reached implements history.Store.
func (s *Store) Reached(string) uint64 { return s.reached.Load() }

// Releasing implements history.Store: when the topic begins again, its log does not have what came
// before.
func (s *Store) Releasing(string) { s.floor.Store(s.reached.Load()) }

// Durable implements history.Store.
func (s *Store) Durable(topic string) string {
	if !s.kept(topic) {
		return ""
	}
	return *s.durable.Load()
}

// Ready implements history.Store.
func (s *Store) Ready() error {
	if why := s.trouble.Load(); why != nil {
		return errors.New(*why)
	}
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
		s.queue.Close()
		s.runs.Wait()
		if s.loads != nil {
			s.loads.Wait()
		}
		if ses := s.session.Swap(nil); ses != nil {
			ses.close()
		}
		s.queue.FailAll(history.ErrUnsure)
	})
	return nil
}

// newEpoch is an epoch that nobody has had.
func newEpoch() string { return strconv.FormatUint(rand.Uint64()>>24, 36) + "-r" }
