// Appends: messages on their way into the stream.

package jetstream

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"

	"c100k/broadcast"
	"c100k/internal/history"
)

// Append implements history.Store.
func (s *Store) Append(topic string, a history.Append) error {
	if err := broadcast.ValidTopic(topic); err != nil {
		return err
	}
	st := s.of(topic)
	if st == nil {
		return history.ErrNoHistory
	}
	return s.put(st, &history.Waiting{Append: a, Topic: topic})
}

func (s *Store) put(st *stream, p *history.Waiting) error {
	if why := st.lost.Load(); why != nil {
		return fmt.Errorf("%w: %s", history.ErrAway, *why)
	}
	if !s.conn.IsConnected() {
		return history.ErrAway
	}
	size := history.RecordHeadBytes + min(len(p.Post.From), history.AuthorBytesMax) + len(p.Post.Payload)
	if most := s.conn.MaxPayload() - int64(keyHeaderBytes); int64(size) > most {
		return fmt.Errorf("%w: %d bytes; it takes %d (its max_payload)", history.ErrTooLarge, size, most)
	}
	p.Since = s.opt.Now()
	p.Bytes = size + len(p.Topic) + len(p.Key) + history.AppendOverheadBytes
	return s.appends.Put(p)
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
	var batch []*history.Waiting
	for {
		batch = s.appends.Next(batch[:0])
		for _, p := range batch {
			if err := s.send(p); err != nil {
				if s.appends.Take(p.Number()) != nil {
					p.Finish(history.Appended{Err: fmt.Errorf("%w: %w", history.ErrAway, err)})
				}
			}
		}
		more := len(batch) > 0
		clear(batch)
		if more {
			continue
		}
		select {
		case <-s.appends.Kick:
		case <-s.stop:
			return
		}
	}
}

func (s *Store) send(p *history.Waiting) error {
	r := history.Record{Forget: p.Forget, Kind: p.Post.Kind, Process: s.id, Number: p.Number(), Author: p.Post.From, Payload: p.Post.Payload}
	data := history.AppendRecord(make([]byte, 0, history.RecordHeadBytes+len(p.Post.From)+len(p.Post.Payload)), &r)
	reply := s.inbox + strconv.FormatUint(uint64(p.Number()), 36)
	subject := s.of(p.Topic).subject(p.Topic)
	if p.Key == "" {
		return s.conn.PublishRequest(subject, reply, data)
	}
	m := nats.NewMsg(subject)
	m.Reply, m.Data = reply, data
	m.Header.Set(nats.MsgIdHdr, keyOf(p.Topic, p.Key))
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
		if p := s.appends.Take(uint32(number)); p != nil {
			s.complain("it does not take messages", err)
			p.Finish(history.Appended{Err: fmt.Errorf("%w: %w", history.ErrAway, err)})
		}
		return
	}
	if !s.grouped() { // otherwise the next sync says it
		s.well()
	}
	switch {
	case repeated && s.grouped():
		s.group.add(func() { s.repeated(uint32(number), offset) })
	case repeated:
		s.repeated(uint32(number), offset)
	case s.hub == nil && s.grouped():
		s.group.add(func() { s.doneHere(uint32(number), offset) })
	case s.hub == nil:
		s.doneHere(uint32(number), offset)
	default:
		switch p := s.appends.Answer(uint32(number), offset); {
		case !s.opt.Alone:
		case p != nil:
			s.comeAnswered(p, offset)
		default:
			s.comeLate(m.Data, offset)
		}
	}
}

// done ends the publish of a message that is stored.
func (s *Store) done(p *history.Waiting, offset uint64, r broadcast.Result) {
	r.Position = broadcast.Position{Epoch: s.of(p.Topic).epoch, Offset: offset}
	p.Finish(history.Appended{Result: r})
}

// doneHere is done for a process without a hub.
func (s *Store) doneHere(number uint32, offset uint64) {
	if p := s.appends.Take(number); p != nil {
		s.done(p, offset, broadcast.Result{})
	}
}

// repeated is for a message whose key was there: the answer is that of the first one.
func (s *Store) repeated(number uint32, offset uint64) {
	if p := s.appends.Take(number); p != nil && p.Done != nil {
		a := history.Appended{Repeated: true}
		a.Position = broadcast.Position{Epoch: s.of(p.Topic).epoch, Offset: offset}
		p.Done(a)
	}
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
	for _, p := range s.appends.Late(s.opt.Now() - history.AppendTimeout) {
		if offset := p.Stored(); offset > 0 && !s.grouped() {
			s.done(p, offset, broadcast.Result{}) // stored, and this process has not come so far
			continue
		}
		s.complain("it does not answer in time", history.ErrUnsure)
		p.Finish(history.Appended{Err: history.ErrUnsure})
	}
}
