// Deliveries: the live stream on its way into the hub.

package redisstreams

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"c100k/broadcast"
	"c100k/internal/history"
)

// stored is a message of a stream.
type stored struct {
	seq    uint64
	at     time.Time
	epoch  string // in the live stream
	topic  string // in the live stream; empty: the epoch begins
	before uint64 // in the stream of a topic: offset of the message before
	history.Record
}

var errEntry = errors.New("not an entry of this version")

// entry reads an entry of a stream; a message that cannot be read has its number at least, and an
// error.
func entry(e *rueidis.XRangeEntry) (m stored, err error) {
	seq, ms, _ := strings.Cut(e.ID, "-")
	if m.seq, err = strconv.ParseUint(seq, 10, 64); err != nil {
		return m, errEntry
	}
	at, err := strconv.ParseInt(ms, 10, 64)
	if err != nil {
		return m, errEntry
	}
	m.at, m.epoch, m.topic = time.UnixMilli(at), e.FieldValues["e"], e.FieldValues["t"]
	if before, ok := e.FieldValues["b"]; ok {
		if m.before, err = strconv.ParseUint(before, 10, 64); err != nil {
			return m, errEntry
		}
	}
	if record, ok := e.FieldValues["r"]; ok {
		m.Record, err = history.ParseRecord([]byte(record))
	}
	return m, err
}

// warm takes the live stream up to its end.
func (s *Store) warm(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, warmTimeout)
	defer cancel()
	ses := s.session.Load()
	for s.reached.Load() < ses.last {
		n, err := s.read(ctx, ses, 0)
		if err != nil {
			return err
		}
		if n == 0 { // what was last is not there any more
			s.reached.Store(ses.last)
			s.floor.Store(ses.last)
		}
	}
	return nil
}

// follow takes what comes in the live stream until the session ends, and returns why.
func (s *Store) follow(ses *session) error {
	s.runs.Go(func() {
		select {
		case <-s.stop:
			ses.lose(context.Canceled)
		case <-ses.over.Done():
		}
	})
	for ses.over.Err() == nil {
		ctx, cancel := context.WithTimeout(ses.over, answerTimeout)
		err := s.step(ctx, ses)
		cancel()
		if err != nil {
			ses.lose(err)
		}
	}
	return context.Cause(ses.over)
}

// step waits for messages, for readBlock at most. Without a hub it only finds out whether the
// server is there.
func (s *Store) step(ctx context.Context, ses *session) error {
	if s.hub != nil {
		_, err := s.read(ctx, ses, readBlock)
		return err
	}
	select {
	case <-time.After(readBlock):
	case <-ctx.Done():
		return nil
	}
	life, err := ses.client.Do(ctx, ses.client.B().Hget().Key(s.meta).Field("life").Build()).ToString()
	if err == nil && life != ses.life || rueidis.IsRedisNil(err) {
		return errLife
	}
	return err
}

// read delivers the next messages of the live stream, and waits for them if block is not 0.
func (s *Store) read(ctx context.Context, ses *session, block time.Duration) (n int, err error) {
	from := number(s.reached.Load()) + "-" + strconv.FormatUint(1<<63, 10) // behind it, whatever its time
	b := ses.reads.B()
	command := b.Xread().Count(readMax).Streams().Key(s.live).Id(from).Build()
	if block > 0 {
		command = b.Xread().Count(readMax).Block(block.Milliseconds()).Streams().Key(s.live).Id(from).Build()
	}
	streams, err := ses.reads.Do(ctx, command).AsXRead()
	if rueidis.IsRedisNil(err) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	for i := range streams[s.live] {
		m, err := entry(&streams[s.live][i])
		if m.seq == 0 {
			return n, fmt.Errorf("%w: %s: %w", errForeign, s.live, err)
		}
		if m.seq > s.reached.Load()+1 && (m.epoch == "" || m.epoch == *s.epoch.Load()) {
			if err := s.missing(ctx, ses, m.seq-1); err != nil {
				return n, err
			}
		}
		s.deliver(&m, err)
		n++
	}
	return n, nil
}

// missing finds out why numbers up to end were left out: nobody has had them, as a rule, because
// the server process is another; or they came and are gone, since this process was away for too
// long.
func (s *Store) missing(ctx context.Context, ses *session, end uint64) error {
	text, err := ses.client.Do(ctx, ses.client.B().Hget().Key(s.meta).Field("tail").Build()).ToString()
	if err != nil {
		return err
	}
	tail, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", errForeign, s.meta, err)
	}
	if tail = min(tail, end); tail > s.reached.Load() {
		s.log.Error("messages of topics with history were not delivered here: this process was away from Redis for too long",
			"messages", tail-s.reached.Load())
		s.reached.Store(tail)
		s.floor.Store(tail)
		s.hub.Lost(s.kept, tail)
	}
	return nil
}

// deliver publishes a message to the hub. While the hub has too much to deliver it waits.
func (s *Store) deliver(m *stored, err error) {
	if epoch := *s.epoch.Load(); m.epoch != epoch && m.epoch != "" {
		s.log.Error("Redis has lost messages of topics with history: their clients begin anew", "epoch", m.epoch)
		s.begin(strings.Clone(m.epoch), m.seq-1)
		s.hub.Renumber(s.kept, broadcast.Position{Epoch: *s.epoch.Load(), Offset: m.seq})
	}
	switch {
	case m.topic == "" && err == nil: // the epoch has begun
		s.reached.Store(m.seq)
		return
	case err != nil || broadcast.ValidTopic(m.topic) != nil:
		s.log.Warn("the store of history has a message that is not ours", "number", m.seq)
		s.reached.Store(m.seq)
		return
	}
	var own *history.Waiting
	if m.Process == s.id {
		own = s.queue.Take(m.Number)
	}
	var result broadcast.Result
	switch {
	case m.Forget:
		s.loads.Forget(m.topic)
		s.hub.ForgetKept(m.topic)
	case s.kept(m.topic): // another process may have other rules
		post := broadcast.Post{Kind: m.Kind, Payload: m.Payload, From: m.Author}
		if own != nil {
			post = own.Post
		}
		post.Offset, post.Published = m.seq, s.publishedAt(m.at)
		result = s.publish(m.topic, post)
	}
	// Before the publisher hears of it: a topic that is released and begins anew then begins behind
	// this message.
	s.reached.Store(m.seq)
	if own != nil {
		result.Position = broadcast.Position{Epoch: *s.epoch.Load(), Offset: m.seq}
		own.Finish(history.Appended{Result: result})
	}
}

// publish publishes to the hub, and waits while it has too much to deliver.
func (s *Store) publish(topic string, post broadcast.Post) broadcast.Result {
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		r, err := s.hub.PublishPost(topic, post)
		if err != nil || r.Repeated || r.Position != (broadcast.Position{}) {
			// A topic that began while the epoch changed may have the old one.
			if epoch := *s.epoch.Load(); r.Position.Epoch != epoch && r.Position.Epoch != "" {
				s.hub.Renumber(func(name string) bool { return name == topic }, broadcast.Position{Epoch: epoch, Offset: post.Offset + 1})
			}
			return r
		}
		select {
		case <-time.After(pause):
		case <-s.stop:
			return r
		}
	}
}

// publishedAt is when a message was published, on the clock of the hub. Of one that was stored just
// now it is now: the clocks of two machines do not agree.
func (s *Store) publishedAt(stored time.Time) time.Duration {
	now := s.opt.Now()
	at := now
	if age := time.Since(stored); age > 2*time.Second {
		at = now - age
	}
	if s.published = max(s.published, at); s.published == 0 {
		s.published = 1 // 0 is a Post without a time
	}
	return s.published
}
