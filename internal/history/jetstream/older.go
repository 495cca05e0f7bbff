// Older messages: read from a stream, for pages of the API and for logs that do not reach back far
// enough.

package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"c100k/broadcast"
	"c100k/internal/history"
)

// getRequest is a request of JetStream's direct get.
type getRequest struct {
	Seq      uint64 `json:"seq,omitempty"`
	LastFor  string `json:"last_by_subj,omitempty"`
	NextFor  string `json:"next_by_subj,omitempty"`
	Batch    int    `json:"batch,omitempty"`
	MaxBytes int    `json:"max_bytes,omitempty"`
}

// stored is a message of a stream.
type stored struct {
	seq     uint64
	at      time.Time
	pending uint64 // how many of the request come behind it
	topic   string
	foreign bool // it is none of ours
	history.Record
}

var errAnswer = errors.New("the answer of the store cannot be read")

// get asks for messages of a stream. Messages that are not there are none, and no error.
func (s *Store) get(ctx context.Context, st *stream, r *getRequest) ([]stored, error) {
	body, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	inbox := nats.NewInbox()
	answers, err := s.conn.SubscribeSync(inbox)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", history.ErrAway, err)
	}
	defer func() { _ = answers.Unsubscribe() }()
	if err := s.conn.PublishRequest("$JS.API.DIRECT.GET."+st.name, inbox, body); err != nil {
		return nil, fmt.Errorf("%w: %w", history.ErrAway, err)
	}
	var list []stored
	for {
		m, err := answers.NextMsgWithContext(ctx)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", history.ErrAway, err)
		}
		switch status := m.Header.Get("Status"); status {
		case "":
		case "204", "404": // the end of a batch; nothing there
			return list, nil
		default:
			return nil, fmt.Errorf("%w: status %s %s", history.ErrAway, status, m.Header.Get("Description"))
		}
		one, err := storedOf(m)
		if one.seq == 0 {
			return nil, err
		}
		if one.topic, err = st.topicOf(m.Header.Get(nats.JSSubject), st.prefix, err); err != nil {
			one.foreign = true
		}
		list = append(list, one)
		if r.Batch == 0 {
			return list, nil
		}
	}
}

// storedOf reads a message with the head that JetStream has put on it. Its sequence is 0 if it has
// none.
func storedOf(m *nats.Msg) (one stored, err error) {
	if one.seq, err = strconv.ParseUint(m.Header.Get(nats.JSSequence), 10, 64); err != nil {
		return one, errAnswer
	}
	if one.at, err = time.Parse(time.RFC3339Nano, m.Header.Get(nats.JSTimeStamp)); err != nil {
		return one, errAnswer
	}
	if text := m.Header.Get("Nats-Num-Pending"); text != "" {
		if one.pending, err = strconv.ParseUint(text, 10, 64); err != nil {
			return one, errAnswer
		}
	}
	one.Record, err = history.ParseRecord(m.Data)
	return one, err
}

// past is what a stream has of a topic, up to a sequence.
type past struct {
	list  []stored // the newest, without marks and without what is too old
	whole bool     // there is nothing older to be shown
	mark  uint64   // sequence of the mark behind which list begins; 0: none
	aged  uint64   // sequence of the newest message that is too old; 0: none
	total uint64   // messages of the topic in the stream
}

// newest reads the newest messages of a topic before a sequence, at most that many messages and
// bytes.
func (s *Store) newest(ctx context.Context, st *stream, topic string, below uint64, most int, bytes int64) (p past, err error) {
	subject := st.subject(topic)
	first, err := s.get(ctx, st, &getRequest{Seq: 1, NextFor: subject, Batch: 1})
	if err != nil || len(first) == 0 {
		return past{whole: true}, err
	}
	last, err := s.get(ctx, st, &getRequest{LastFor: subject})
	if err != nil || len(last) == 0 {
		return past{whole: true}, err
	}
	total := first[0].pending + 1
	begin, end := first[0].seq, min(last[0].seq, below-1)
	width := end - min(begin, end)
	if total > 2*uint64(most) { // not all of it: about as many as are wanted, and half as many again
		width = (last[0].seq - begin) / total * uint64(most) * 3 / 2
	}
	for {
		from := max(begin, end-min(width, end))
		if p, err = s.walk(ctx, st, subject, from, end, most, bytes); err != nil {
			return p, err
		}
		p.total = total
		p.whole = p.whole && (from == begin || p.mark > 0)
		if from == begin || p.mark > 0 || len(p.list) >= most || !p.whole && len(p.list) > 0 && sum(p.list) >= bytes {
			return p, nil
		}
		width = max(2*width, pageMessages)
	}
}

// walk reads a part of a topic from its beginning and keeps the newest; whole is false if it has
// left out older ones.
func (s *Store) walk(ctx context.Context, st *stream, subject string, from, end uint64, most int, bytes int64) (p past, err error) {
	p.whole = true
	var size int64
	limit := st.oldestShown()
	for from <= end {
		batch, err := s.get(ctx, st, &getRequest{Seq: from, NextFor: subject, Batch: pageMessages, MaxBytes: pageBytes})
		if err != nil {
			return p, err
		}
		if len(batch) == 0 {
			break
		}
		for i := range batch {
			one := &batch[i]
			from = one.seq + 1
			switch {
			case one.seq > end:
				return p, nil
			case one.Forget:
				p = past{whole: true, mark: one.seq}
				size = 0
				continue
			case one.at.Before(limit):
				p.aged = one.seq
				continue
			case one.foreign:
				continue
			}
			p.list = append(p.list, *one)
			for size += cost(one); len(p.list) > most || size > bytes && len(p.list) > 1; {
				size -= cost(&p.list[0])
				p.list = p.list[1:]
				p.whole = false
			}
		}
		if batch[len(batch)-1].pending == 0 {
			break
		}
	}
	return p, nil
}

func cost(one *stored) int64 { return int64(len(one.Payload)) + history.AppendOverheadBytes }

func sum(list []stored) (bytes int64) {
	for i := range list {
		bytes += cost(&list[i])
	}
	return bytes
}

// oldestShown is when a message must have been published to be shown: a stream keeps messages for
// the window of the keys at least, a rule may say less.
func (st *stream) oldestShown() (limit time.Time) {
	if st.keep.Age > 0 {
		limit = time.Now().Add(-st.keep.Age)
	}
	return limit
}

// Page implements history.Store.
func (s *Store) Page(ctx context.Context, topic string, after broadcast.Position, most int, reverse bool) (page history.Page, err error) {
	st := s.of(topic)
	if st == nil {
		return page, history.ErrNoHistory
	}
	page.Newest = broadcast.Position{Epoch: st.epoch}
	last, err := s.get(ctx, st, &getRequest{LastFor: st.subject(topic)})
	if err != nil {
		return page, err
	}
	if len(last) > 0 {
		page.Newest.Offset = last[0].seq
	}
	if after.Epoch != "" && after.Epoch != st.epoch {
		return page, nil
	}
	list, more, err := []stored(nil), false, error(nil)
	if reverse {
		list, more, err = s.backward(ctx, st, topic, after.Offset, most)
	} else {
		list, more, err = s.forward(ctx, st, topic, after.Offset, most)
	}
	if err != nil {
		return page, err
	}
	page.More = more
	for i := range list {
		page.Messages = append(page.Messages, history.Stored{
			Position: broadcast.Position{Epoch: st.epoch, Offset: list[i].seq}, Kind: list[i].Kind,
			Payload: list[i].Payload, Published: list[i].at,
		})
	}
	return page, nil
}

// forward reads messages behind an offset.
func (s *Store) forward(ctx context.Context, st *stream, topic string, after uint64, most int) (list []stored, more bool, err error) {
	limit, subject := st.oldestShown(), st.subject(topic)
	for after < ^uint64(0) {
		batch, err := s.get(ctx, st, &getRequest{Seq: after + 1, NextFor: subject, Batch: pageMessages, MaxBytes: pageBytes})
		if err != nil || len(batch) == 0 {
			return list, false, err
		}
		for i := range batch {
			one := &batch[i]
			after = one.seq
			switch {
			case one.Forget:
				list = list[:0]
			case one.at.Before(limit), one.foreign:
			case len(list) == most:
				return list, true, nil
			default:
				list = append(list, *one)
			}
		}
		if batch[len(batch)-1].pending == 0 {
			break
		}
	}
	return list, false, nil
}

// backward reads messages before an offset, newest first; 0 is the end.
func (s *Store) backward(ctx context.Context, st *stream, topic string, before uint64, most int) ([]stored, bool, error) {
	if before == 0 {
		before = ^uint64(0)
	}
	p, err := s.newest(ctx, st, topic, before, most, int64(most)*(s.conn.MaxPayload()+history.AppendOverheadBytes))
	slices.Reverse(p.list)
	return p.list, !p.whole, err
}

// Prepare implements history.Store.
func (s *Store) Prepare(ctx context.Context, topic string, from broadcast.From) error {
	st := s.of(topic)
	if st == nil {
		return nil
	}
	for range prepareTries {
		var err error
		switch covered, floor := s.hub.Covers(topic, from); covered {
		case broadcast.CoveredYes:
			return nil
		case broadcast.CoveredAhead:
			at, _ := from.Position()
			var there bool
			if there, err = s.catchUp(ctx, st, at.Offset); !there {
				return err // Resume says that there is no such position
			}
		default:
			err = s.loads.Load(ctx, topic, func(ctx context.Context) (*broadcast.Filling, error) {
				return s.older(ctx, st, topic, floor)
			})
		}
		if err != nil {
			return err
		}
	}
	return nil // what is there is what can be had
}

// catchUp waits until the hub has come to an offset that another process may have told a client;
// there is false if the stream does not have it either.
func (s *Store) catchUp(ctx context.Context, st *stream, offset uint64) (there bool, err error) {
	info, err := s.js.StreamInfo(st.name, nats.Context(ctx))
	if err != nil {
		return false, fmt.Errorf("%w: %w", history.ErrAway, err)
	}
	if info.State.LastSeq < offset {
		return false, nil
	}
	for st.reached.Load() < offset {
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return false, fmt.Errorf("%w: %w", history.ErrAway, ctx.Err())
		}
	}
	return true, nil
}

// older reads what the stream has of a topic up to the floor of its log.
//
// A client that comes back with a position A gets all messages behind it, or is told that some are
// gone. Messages of a topic go oldest first: by count, by age, or all at once by a mark. So nothing
// behind A is missing if
//
//  1. the message A itself is there, or one before it, or a mark before it;
//  2. or the stream as a whole still begins at or before A, so that none behind it has aged; the
//     topic has fewer messages than its rule keeps, so that none was dropped by count; and there is
//     no mark.
//
// Filling.After is the least A for which that holds. The beginning of the stream is read after the
// messages, since it only moves on.
func (s *Store) older(ctx context.Context, st *stream, topic string, floor broadcast.Position) (*broadcast.Filling, error) {
	p, err := s.newest(ctx, st, topic, floor.Offset+1, st.keep.Count, s.hub.FillBytesMax())
	if err != nil {
		return nil, err
	}
	info, err := s.js.StreamInfo(st.name, nats.Context(ctx))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", history.ErrAway, err)
	}
	f := &broadcast.Filling{Until: floor, After: floor.Offset, More: !p.whole}
	if len(p.list) > 0 {
		f.After = p.list[0].seq - 1
	}
	switch {
	case !p.whole:
	case p.aged > 0:
		f.After = p.aged
	case p.mark > 0:
		f.After = p.mark
	case p.total < uint64(st.keep.Count):
		f.After = min(f.After, max(info.State.FirstSeq-1, st.raised.Load()))
	}
	now, wall := s.opt.Now(), time.Now()
	f.Messages = make([]broadcast.OldMessage, len(p.list))
	for i := range p.list {
		m := &p.list[i]
		f.Messages[i] = broadcast.OldMessage{Kind: m.Kind, Payload: m.Payload, From: m.Author, Offset: m.seq, Published: now - wall.Sub(m.at)}
	}
	st.behindDamage(f)
	return f, nil
}
