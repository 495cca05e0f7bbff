// Appends: messages on their way into the stream.

package jetstream

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"c100k/broadcast"
	"c100k/internal/history"
)

// appending is a message whose publish is not done.
type appending struct {
	history.Append
	number uint32
	topic  string
	stream *stream
	forget bool
	since  time.Duration // when it came, on the clock of the hub
	bytes  int

	// Guarded by appends.mu.
	sent   bool
	stored uint64 // its offset, when the server has said it
}

// appends are all of them, in the order of their numbers as far as they wait.
type appends struct {
	kick chan struct{} // holds a token when write may go on

	mu      sync.Mutex // guards the fields below
	over    bool
	last    uint32
	waiting map[uint32]*appending
	queue   []*appending // not sent yet
	oldest  []*appending // of waiting, by since; some are done
	open    int          // sent and not answered
	bytes   int
}

func (a *appends) init() {
	a.kick = make(chan struct{}, 1)
	a.waiting = make(map[uint32]*appending)
}

func (a *appends) wake() {
	select {
	case a.kick <- struct{}{}:
	default:
	}
}

// put takes one in.
func (a *appends) put(p *appending) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.over:
		return history.ErrAway
	case len(a.waiting) >= AppendsMax || a.bytes+p.bytes > AppendBytesMax && a.bytes > 0:
		return history.ErrFull
	}
	a.last++
	for a.waiting[a.last] != nil {
		a.last++
	}
	p.number = a.last
	a.waiting[p.number] = p
	a.bytes += p.bytes
	a.queue = append(a.queue, p)
	a.oldest = append(a.oldest, p)
	a.wake()
	return nil
}

// next takes from the queue as many as may be sent.
func (a *appends) next(spare []*appending) []*appending {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := min(len(a.queue), UnansweredMax-a.open)
	batch := append(spare, a.queue[:n]...)
	clear(a.queue[:n])
	if a.queue = a.queue[n:]; len(a.queue) == 0 {
		a.queue = nil
	}
	for _, p := range batch {
		p.sent = true
	}
	a.open += n
	return batch
}

// answer notes that the server has said something about number; nil if nobody waits any more.
func (a *appends) answer(number uint32, offset uint64) *appending {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := a.waiting[number]
	if p == nil || p.stored != 0 {
		return p
	}
	p.stored = offset
	a.answered(p)
	return p
}

// answered counts an answer. The caller has mu.
func (a *appends) answered(p *appending) {
	if !p.sent {
		return
	}
	p.sent = false
	if a.open--; a.open == UnansweredMax-1 || len(a.queue) > 0 {
		a.wake()
	}
}

// take takes one out: its publish is done.
func (a *appends) take(number uint32) *appending {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.remove(a.waiting[number])
}

func (a *appends) remove(p *appending) *appending {
	if p != nil {
		delete(a.waiting, p.number)
		a.bytes -= p.bytes
		a.answered(p)
	}
	return p
}

// late takes out those that have waited too long.
func (a *appends) late(limit time.Duration) (list []*appending) {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := 0
	for ; n < len(a.oldest); n++ {
		p := a.oldest[n]
		if a.waiting[p.number] != p {
			continue
		}
		if p.since > limit {
			break
		}
		list = append(list, a.remove(p))
	}
	if n > 0 {
		clear(a.oldest[:n])
		a.oldest = a.oldest[n:]
	}
	if len(list) > 0 { // those that were not sent are not to be
		kept := a.queue[:0]
		for _, p := range a.queue {
			if a.waiting[p.number] == p {
				kept = append(kept, p)
			}
		}
		clear(a.queue[len(kept):])
		a.queue = kept
	}
	return list
}

func (a *appends) close() {
	a.mu.Lock()
	a.over = true
	a.mu.Unlock()
	a.wake()
}

func (a *appends) failAll(err error) {
	a.mu.Lock()
	list := make([]*appending, 0, len(a.waiting))
	for _, p := range a.waiting {
		list = append(list, p)
	}
	clear(a.waiting)
	a.queue, a.oldest = nil, nil
	a.mu.Unlock()
	for _, p := range list {
		p.fail(err)
	}
}

func (p *appending) fail(err error) {
	if p.Done != nil {
		p.Done(history.Appended{Err: err})
	}
}

// Append implements history.Store.
func (s *Store) Append(topic string, a history.Append) error {
	if err := broadcast.ValidTopic(topic); err != nil {
		return err
	}
	st := s.of(topic)
	if st == nil {
		return history.ErrNoHistory
	}
	return s.put(&appending{Append: a, topic: topic, stream: st})
}

func (s *Store) put(p *appending) error {
	if why := p.stream.lost.Load(); why != nil {
		return fmt.Errorf("%w: %s", history.ErrAway, *why)
	}
	if !s.conn.IsConnected() {
		return history.ErrAway
	}
	size := recordHeadBytes + min(len(p.Post.From), authorBytesMax) + len(p.Post.Payload)
	if most := s.conn.MaxPayload() - int64(keyHeaderBytes); int64(size) > most {
		return fmt.Errorf("%w: %d bytes; it takes %d (its max_payload)", history.ErrTooLarge, size, most)
	}
	p.since = s.opt.Now()
	p.bytes = size + len(p.topic) + len(p.Key) + appendOverheadBytes
	return s.appends.put(p)
}

// keyHeaderBytes is what the head of a message with a key takes.
const keyHeaderBytes = 128

// keyOf is what JetStream compares: keys belong to topics.
func keyOf(topic, key string) string {
	sum := sha256.Sum256([]byte(topic + "\x00" + key))
	return hex.EncodeToString(sum[:])
}

// write sends what is in the queue, until the store is closed.
func (s *Store) write() {
	var batch []*appending
	for {
		batch = s.appends.next(batch[:0])
		for _, p := range batch {
			if err := s.send(p); err != nil {
				if s.appends.take(p.number) != nil {
					p.fail(fmt.Errorf("%w: %w", history.ErrAway, err))
				}
			}
		}
		more := len(batch) > 0
		clear(batch)
		if more {
			continue
		}
		select {
		case <-s.appends.kick:
		case <-s.stop:
			return
		}
	}
}

func (s *Store) send(p *appending) error {
	r := record{forget: p.forget, kind: p.Post.Kind, from: s.id, number: p.number, author: p.Post.From, payload: p.Post.Payload}
	data := appendRecord(make([]byte, 0, recordHeadBytes+len(p.Post.From)+len(p.Post.Payload)), &r)
	reply := s.inbox + strconv.FormatUint(uint64(p.number), 36)
	if p.Key == "" {
		return s.conn.PublishRequest(p.stream.subject(p.topic), reply, data)
	}
	m := nats.NewMsg(p.stream.subject(p.topic))
	m.Reply, m.Data = reply, data
	m.Header.Set(nats.MsgIdHdr, keyOf(p.topic, p.Key))
	return s.conn.PublishMsg(m)
}

// answered gets the server's word on a message.
func (s *Store) answered(m *nats.Msg) {
	number, err := strconv.ParseUint(strings.TrimPrefix(m.Subject, s.inbox), 36, 32)
	if err != nil {
		return
	}
	offset, repeated, err := parseAnswer(m.Data)
	if err != nil {
		if p := s.appends.take(uint32(number)); p != nil {
			s.complain("it does not take messages", err)
			p.fail(fmt.Errorf("%w: %w", history.ErrAway, err))
		}
		return
	}
	if s.trouble.Load() != nil && s.conn.IsConnected() {
		s.trouble.Store(nil)
		s.log.Info("the store of history takes messages again")
	}
	switch {
	case repeated:
		if p := s.appends.take(uint32(number)); p != nil {
			s.repeated(p, offset)
		}
	case s.hub == nil:
		if p := s.appends.take(uint32(number)); p != nil {
			p.done(offset, broadcast.Result{})
		}
	default:
		s.appends.answer(uint32(number), offset)
	}
}

func (p *appending) done(offset uint64, r broadcast.Result) {
	if p.Done != nil {
		r.Position = broadcast.Position{Epoch: p.stream.epoch, Offset: offset}
		p.Done(history.Appended{Result: r})
	}
}

// repeated is for a message whose key was there: was it the same message?
func (s *Store) repeated(p *appending, offset uint64) {
	if p.Done == nil {
		return
	}
	s.sinks.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
		defer cancel()
		a := history.Appended{Repeated: true}
		a.Position = broadcast.Position{Epoch: p.stream.epoch, Offset: offset}
		list, err := s.get(ctx, p.stream, &getRequest{Seq: offset})
		if err == nil && len(list) == 1 {
			same := list[0].kind == p.Post.Kind && bytes.Equal(list[0].payload, p.Post.Payload)
			if !same {
				a = history.Appended{Err: history.ErrKeyReused}
			}
		}
		p.Done(a)
	})
}

// parseAnswer reads an acknowledgement: {"stream":"S", "seq":N}, with "duplicate": true for a key
// that was there, or with an error.
func parseAnswer(p []byte) (offset uint64, repeated bool, err error) {
	if len(p) == 0 {
		return 0, false, errors.New("nobody takes the message") // 503, no responders
	}
	var answer struct {
		Seq       uint64 `json:"seq"`
		Duplicate bool   `json:"duplicate"`
		Error     *struct {
			Description string `json:"description"`
		} `json:"error"`
	}
	if offset, ok := quickAnswer(p); ok {
		return offset, false, nil
	}
	if err := json.Unmarshal(p, &answer); err != nil {
		return 0, false, err
	}
	if answer.Error != nil {
		return 0, false, errors.New(answer.Error.Description)
	}
	if answer.Seq == 0 {
		return 0, false, errors.New("an answer without a number")
	}
	return answer.Seq, answer.Duplicate, nil
}

// quickAnswer reads the usual one without a JSON parser; ok is false for any other.
func quickAnswer(p []byte) (offset uint64, ok bool) {
	i := bytes.Index(p, []byte(`"seq":`))
	if i < 0 || bytes.Contains(p, []byte(`error`)) || bytes.Contains(p, []byte(`duplicate`)) {
		return 0, false
	}
	for _, c := range bytes.TrimLeft(p[i+len(`"seq":`):], " ") {
		if c < '0' || c > '9' {
			break
		}
		if offset > 1<<59 {
			return 0, false
		}
		offset = offset*10 + uint64(c-'0')
	}
	return offset, offset > 0
}

// sweep ends what has waited too long.
func (s *Store) sweep() {
	for _, p := range s.appends.late(s.opt.Now() - AppendTimeout) {
		if p.stored > 0 {
			p.done(p.stored, broadcast.Result{}) // stored, and this process has not come so far
			continue
		}
		s.complain("it does not answer in time", history.ErrUnsure)
		p.fail(history.ErrUnsure)
	}
}
