// Appends: messages on their way into the server.

package redisstreams

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"c100k/broadcast"
	"c100k/internal/history"
)

// Append implements history.Store.
func (s *Store) Append(topic string, a history.Append) error {
	if err := broadcast.ValidTopic(topic); err != nil {
		return err
	}
	if !s.kept(topic) {
		return history.ErrNoHistory
	}
	return s.put(&history.Waiting{Append: a, Topic: topic})
}

func (s *Store) put(p *history.Waiting) error {
	if s.session.Load() == nil {
		return history.ErrAway
	}
	p.Since = s.opt.Now()
	p.Bytes = history.RecordHeadBytes + len(p.Post.From) + len(p.Post.Payload) + len(p.Topic) + len(p.Key) + history.AppendOverheadBytes
	return s.queue.Put(p)
}

// write sends what is in the queue, until the store is closed.
func (s *Store) write() {
	var batch []*history.Waiting
	var commands []rueidis.Completed
	for {
		batch, commands = s.queue.Next(batch[:0]), commands[:0]
		if len(batch) > 0 {
			s.send(batch, commands)
			clear(batch)
			continue
		}
		select {
		case <-s.queue.Kick:
		case <-s.stop:
			return
		}
	}
}

// send sends a batch as one pipeline, and waits for the answers.
func (s *Store) send(batch []*history.Waiting, commands []rueidis.Completed) {
	ses := s.session.Load()
	if ses == nil {
		s.refuse(batch, history.ErrAway)
		return
	}
	for _, p := range batch {
		commands = append(commands, s.command(ses, p))
	}
	ctx, cancel := context.WithTimeout(ses.over, answerTimeout)
	defer cancel()
	for i, result := range ses.client.DoMulti(ctx, commands...) {
		text, err := result.ToString()
		s.answered(ses, batch[i], text, err)
	}
}

func (s *Store) refuse(batch []*history.Waiting, err error) {
	for _, p := range batch {
		if s.queue.Take(p.Number()) != nil {
			p.Finish(history.Appended{Err: err})
		}
	}
}

// bounds are numbers that each append has as its last arguments.
var bounds = [...]string{
	strconv.FormatInt(keyWindow.Milliseconds(), 10), strconv.Itoa(liveBytesMax), strconv.Itoa(liveMessagesMax),
	strconv.Itoa(topicsMax), strconv.Itoa(trimMax), strconv.Itoa(entryOverheadBytes),
}

// appendDigest is by what the server knows the script.
var appendDigest = func() string {
	sum := sha1.Sum([]byte(appendScript))
	return hex.EncodeToString(sum[:])
}()

// command is the call of the script for a message.
func (s *Store) command(ses *session, p *history.Waiting) rueidis.Completed {
	keep, _ := s.keep(p.Topic)
	age := keep.Age
	if age == 0 {
		age = history.AgeMax
	}
	r := history.Record{Forget: p.Forget, Kind: p.Post.Kind, Process: s.id, Number: p.Number(), Author: p.Post.From, Payload: p.Post.Payload}
	record := rueidis.BinaryString(history.AppendRecord(make([]byte, 0, history.RecordHeadBytes+len(p.Post.From)+len(p.Post.Payload)), &r))
	mark := "0"
	if p.Forget {
		mark = "1"
	}
	keys := append(make([]string, 0, 5), s.meta, s.live, s.list, s.topicKey(ses, p.Topic))
	if p.Key != "" {
		keys = append(keys, s.tag+ses.epoch+":k:"+hash([]byte(p.Topic+"\x00"+p.Key)))
	}
	return ses.client.B().Evalsha().Sha1(appendDigest).Numkeys(int64(len(keys))).Key(keys...).
		Arg(ses.life, p.Topic, record, mark, strconv.Itoa(keep.Count), strconv.FormatInt(age.Milliseconds(), 10), strconv.FormatInt(keep.Bytes, 10)).
		Arg(bounds[:]...).Build()
}

func (s *Store) topicKey(ses *session, topic string) string { return s.tag + ses.epoch + ":t:" + topic }

func hash(p []byte) string {
	sum := sha256.Sum256(p)
	return hex.EncodeToString(sum[:16])
}

// answered takes the server's word on a message.
func (s *Store) answered(ses *session, p *history.Waiting, text string, err error) {
	if err != nil {
		answer, ok := rueidis.IsRedisErr(err)
		if !ok { // the connection: the message may be stored, and then it comes back, or not
			ses.lose(err)
			return
		}
		if said := answer.Error(); strings.HasPrefix(said, "NOSCRIPT") || strings.HasPrefix(said, "READONLY") || strings.HasPrefix(said, "LOADING") {
			ses.lose(err) // another server process, or one that is not the master any more
		} else {
			s.complain("it does not take messages", err)
		}
		s.refuse([]*history.Waiting{p}, fmt.Errorf("%w: %w", history.ErrAway, err))
		return
	}
	if text == "life" {
		ses.lose(errLife)
		s.refuse([]*history.Waiting{p}, history.ErrAway)
		return
	}
	text, repeated := strings.CutPrefix(text, "repeated ")
	offset, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		s.refuse([]*history.Waiting{p}, fmt.Errorf("%w: %w", history.ErrUnsure, err))
		return
	}
	s.well()
	position := broadcast.Position{Epoch: ses.epoch, Offset: offset}
	switch {
	case repeated, s.hub == nil:
		if s.queue.Take(p.Number()) != nil {
			p.Finish(history.Appended{Repeated: repeated, Result: broadcast.Result{Position: position}})
		}
	default:
		s.queue.Answer(p.Number(), offset)
	}
}

// sweep ends what has waited too long, until the store is closed.
func (s *Store) sweep() {
	tick := time.NewTicker(tickInterval)
	defer tick.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-tick.C:
		}
		for _, p := range s.queue.Late(s.opt.Now() - history.AppendTimeout) {
			if offset := p.Stored(); offset > 0 { // and this process has not come so far
				p.Finish(history.Appended{Result: broadcast.Result{Position: broadcast.Position{Epoch: *s.epoch.Load(), Offset: offset}}})
				continue
			}
			p.Finish(history.Appended{Err: history.ErrUnsure})
		}
	}
}

// Forget implements history.Store. A mark in the live stream tells all processes, in its order.
func (s *Store) Forget(ctx context.Context, topic string) error {
	if !s.kept(topic) {
		return history.ErrNoHistory
	}
	done := make(chan history.Appended, 1)
	p := &history.Waiting{Append: history.Append{Done: func(a history.Appended) { done <- a }}, Topic: topic, Forget: true}
	if err := s.put(p); err != nil {
		return err
	}
	select {
	case a := <-done:
		return a.Err
	case <-ctx.Done():
		return ctx.Err()
	}
}
