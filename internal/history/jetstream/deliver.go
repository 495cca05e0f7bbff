// Deliveries: the streams on their way into the hub.

package jetstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"c100k/broadcast"
	"c100k/internal/history"
)

// warm begins to take the streams, and returns when the hub has the newest messages of them.
func (s *Store) warm(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, warmTimeout)
	defer cancel()
	infos := make([]*nats.StreamInfo, len(s.streams))
	var total uint64
	for i, st := range s.streams {
		st.mu.Lock() // what comes meanwhile waits
		defer st.mu.Unlock()
		err := s.follow(st)
		if err == nil {
			infos[i], err = s.js.StreamInfo(st.name, nats.Context(ctx))
		}
		if err != nil {
			return err
		}
		total += infos[i].State.Bytes
	}
	if !s.synced() {
		return errors.New("the server does not sync its files")
	}
	for i, st := range s.streams {
		begin, end := warmFrom(&infos[i].State, total), infos[i].State.LastSeq
		st.reached.Store(begin - 1)
		st.floor.Store(begin - 1)
		st.taken = make([]uint64, 0, min(infos[i].State.Msgs, warmMessagesMax))
		if _, err := s.take(ctx, st, end); err != nil {
			return err
		}
		st.reached.Store(max(st.reached.Load(), end)) // what was last is not kept any more
		err := s.verify(ctx, st, infos[i], st.taken, begin, end)
		st.taken = nil
		if err != nil {
			return err
		}
	}
	return nil
}

// follow has the server send what a stream stores from now on.
func (s *Store) follow(st *stream) error {
	if s.opt.Alone {
		return nil // its answers say enough
	}
	sub, err := s.conn.Subscribe(st.live+"*", func(m *nats.Msg) { s.arrivedLive(st, m) })
	if err == nil {
		err = sub.SetPendingLimits(livePendingMax, livePendingBytesMax)
	}
	if err == nil {
		err = s.conn.FlushTimeout(callTimeout)
	}
	return err
}

// warmFrom is the sequence from which a starting process takes the stream: its part of the bounds,
// by what the messages are long on average.
func warmFrom(state *nats.StreamState, total uint64) uint64 {
	if state.Msgs == 0 {
		return state.LastSeq + 1
	}
	messages := uint64(warmMessagesMax)
	if total > warmBytesMax {
		messages = min(messages, max(warmBytesMax*state.Msgs/total, 1))
	}
	if state.LastSeq < messages {
		return max(state.FirstSeq, 1)
	}
	return max(state.FirstSeq, state.LastSeq-messages+1)
}

// take takes messages from the stream that have not been reached, up to a sequence, and returns how
// many it took. The caller has st.mu.
func (s *Store) take(ctx context.Context, st *stream, end uint64) (taken uint64, err error) {
	for st.reached.Load() < end {
		batch, err := s.get(ctx, st, &getRequest{Seq: st.reached.Load() + 1, Batch: pageMessages, MaxBytes: pageBytes})
		if err != nil || len(batch) == 0 {
			return taken, err
		}
		for i := range batch {
			if batch[i].seq > end {
				return taken, nil
			}
			taken++
			if st.taken != nil {
				st.taken = append(st.taken, batch[i].seq)
			}
			s.deliver(st, &batch[i])
		}
	}
	return taken, nil
}

// arrived gets a message that the server has just stored. It is called for one after the other, in
// the order of the stream.
func (s *Store) arrived(st *stream, m *nats.Msg) {
	one, err := storedOf(m)
	if one.seq == 0 {
		return // nobody but the server sends here
	}
	if one.topic, err = st.topicOf(m.Subject, st.live, err); err != nil {
		one.foreign = true
	}
	s.come(st, &one)
}

// come takes a message that was stored just now, behind those before it.
func (s *Store) come(st *stream, one *stored) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if one.seq > st.reached.Load()+1 {
		s.mend(st, one.seq-1)
	}
	if one.seq > st.reached.Load() {
		s.deliver(st, one)
	}
}

// comeAnswered is come, with Options.Alone, for a message of this process: all of it is here but
// the number, which the answer has.
func (s *Store) comeAnswered(p *history.Waiting, offset uint64) {
	one := &stored{seq: offset, at: time.Now(), topic: p.Topic, Record: history.Record{
		Forget: p.Forget, Kind: p.Post.Kind, Process: s.id, Number: p.Number(), Author: p.Post.From, Payload: p.Post.Payload,
	}}
	st := s.of(p.Topic)
	if s.grouped() {
		s.group.addDelivery(len(p.Post.Payload)+history.AppendOverheadBytes, func() { s.come(st, one) })
		return
	}
	s.come(st, one)
}

// comeLate is comeAnswered for a message that nobody waits for any more: it is read from its
// stream, which the answer names.
func (s *Store) comeLate(answer []byte, offset uint64) {
	for _, st := range s.streams {
		if !bytes.Contains(answer, []byte(`"`+st.name+`"`)) {
			continue
		}
		late := func() {
			st.mu.Lock()
			defer st.mu.Unlock()
			if offset > st.reached.Load() {
				s.mend(st, offset)
			}
		}
		if s.grouped() {
			s.group.add(late)
		} else {
			late()
		}
	}
}

// mend takes from the stream what did not arrive: the connection was lost, or this process too
// slow. The caller has st.mu.
func (s *Store) mend(st *stream, end uint64) {
	missing := end - st.reached.Load()
	for !s.closed() {
		ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
		taken, err := s.take(ctx, st, end)
		cancel()
		missing -= taken
		if err == nil {
			break
		}
		s.log.Warn("messages of the store of history are late", "stream", st.name, "missing", missing, "err", err)
		select {
		case <-time.After(time.Second):
		case <-s.stop:
			return
		}
	}
	if st.reached.Store(max(st.reached.Load(), end)); missing == 0 {
		return
	}
	// They are not kept any more: nobody knows of which topics they were.
	s.log.Error("messages of topics with history were not delivered here", "stream", st.name, "messages", missing)
	st.floor.Store(end)
	s.hub.Lost(func(topic string) bool { return s.of(topic) == st }, end)
}

// topicOf reads the topic of a subject.
func (st *stream) topicOf(subject, prefix string, err error) (string, error) {
	topic, ok := parseToken(strings.TrimPrefix(subject, prefix))
	if err == nil && (!ok || broadcast.ValidTopic(topic) != nil) {
		err = history.ErrRecord
	}
	return topic, err
}

// deliver publishes a message of the stream to the hub. While the hub has too much to deliver it
// waits, and others wait with it. The caller has st.mu.
func (s *Store) deliver(st *stream, m *stored) {
	if m.foreign {
		s.log.Warn("the store of history has a message that is not ours", "stream", st.name, "sequence", m.seq)
		st.reached.Store(m.seq)
		return
	}
	var own *history.Waiting
	if m.Process == s.id {
		own = s.appends.Take(m.Number)
	}
	var result broadcast.Result
	if m.Forget {
		s.loads.Forget(m.topic)
		s.hub.ForgetKept(m.topic)
	} else {
		post := broadcast.Post{Kind: m.Kind, Payload: m.Payload, From: m.Author}
		if own != nil {
			post = own.Post
		}
		post.Offset, post.Published, post.Relayed = m.seq, s.publishedAt(st, m.at), true
		result = s.publish(m.topic, post)
	}
	st.reached.Store(m.seq)
	if own != nil {
		s.done(own, m.seq, result)
	}
}

// publish publishes to the hub, and waits while it has too much to deliver.
func (s *Store) publish(topic string, post broadcast.Post) broadcast.Result {
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		r, err := s.hub.PublishPost(topic, post)
		if err != nil || r.Repeated || r.Position != (broadcast.Position{}) {
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
func (s *Store) publishedAt(st *stream, stored time.Time) time.Duration {
	now := s.opt.Now()
	at := now
	if age := time.Since(stored); age > 2*time.Second {
		at = now - age
	}
	if st.published = max(st.published, at); st.published == 0 {
		st.published = 1 // 0 is a Post without a time
	}
	return st.published
}

// look looks after the appends and the streams until the store is closed.
func (s *Store) look() {
	tick := time.NewTicker(tickInterval)
	defer tick.Stop()
	var last time.Duration
	for {
		select {
		case <-s.stop:
			return
		case <-tick.C:
		}
		s.sweep()
		if now := s.opt.Now(); now-last >= lookEvery && s.conn.IsConnected() {
			last = now
			for _, st := range s.streams {
				s.lookAt(st)
			}
		}
	}
}

// lookAt finds out whether a stream is still the same, and whether it still comes.
func (s *Store) lookAt(st *stream) {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	info, err := s.js.StreamInfo(st.name, nats.Context(ctx))
	switch {
	case err == nil && info.Config.Metadata[metaEpoch] == st.epoch:
	case err == nil || strings.Contains(err.Error(), nats.ErrStreamNotFound.Error()):
		why := fmt.Sprintf("the stream %s of the store of history was deleted: restart the node, and its topics begin anew", st.name)
		if st.lost.Swap(&why) == nil {
			s.log.Error(why)
		}
		return
	default:
		return // the server is away, which others have noticed
	}
	s.takeDamage(st, info.Config.Metadata)
	if s.opt.Owner && !s.opt.InMemory {
		s.noteGiven(ctx, st, info)
	}
	// What was the last message a moment ago, and has not come by now, will not.
	if last := st.looked; s.hub != nil && st.reached.Load() < last && st.mu.TryLock() {
		if st.reached.Load() < last && s.synced() {
			s.mend(st, last)
		}
		st.mu.Unlock()
	}
	st.looked = info.State.LastSeq
}

// Forget implements history.Store. A mark in the stream tells all processes, in its order, and
// those that read it later.
func (s *Store) Forget(ctx context.Context, topic string) error {
	st := s.of(topic)
	if st == nil {
		return history.ErrNoHistory
	}
	done := make(chan history.Appended, 1)
	p := &history.Waiting{Append: history.Append{Done: func(a history.Appended) { done <- a }}, Topic: topic, Forget: true}
	if err := s.put(st, p); err != nil {
		return err
	}
	select {
	case a := <-done:
		if a.Err != nil {
			return a.Err
		}
		// What is before the mark is not shown any more, whether this succeeds or not.
		return s.js.PurgeStream(st.name, &nats.StreamPurgeRequest{Subject: st.subject(topic), Sequence: a.Position.Offset}, nats.Context(ctx))
	case <-ctx.Done():
		return ctx.Err()
	}
}
