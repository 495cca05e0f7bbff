// Older messages: read from the stream of a topic, for pages of the API and for logs that do not
// reach back far enough.

package redisstreams

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"c100k/broadcast"
	"c100k/internal/history"
)

// open is the session, if there is one.
func (s *Store) open() (*session, error) {
	if ses := s.session.Load(); ses != nil {
		return ses, nil
	}
	return nil, history.ErrAway
}

// entries reads a part of the stream of a topic: from a number on, or with reverse down from it.
// Entries that are none of ours are left out; next is the number to go on with, 0 at the end.
func (s *Store) entries(ctx context.Context, ses *session, topic string, from uint64, reverse bool) (list []stored, next uint64, err error) {
	b, key := ses.client.B(), s.topicKey(ses, topic)
	command := b.Xrange().Key(key).Start(number(from)).End("+").Count(pageMessages).Build()
	if reverse {
		command = b.Xrevrange().Key(key).End(number(from)).Start("-").Count(pageMessages).Build()
	}
	answer, err := ses.client.Do(ctx, command).AsXRange()
	if err != nil {
		return nil, 0, away(err)
	}
	for i := range answer {
		m, err := entry(&answer[i])
		if m.seq == 0 {
			return nil, 0, away(fmt.Errorf("%w: %s", errForeign, key))
		}
		if next = m.seq + 1; reverse {
			next = m.seq - 1
		}
		if err == nil {
			list = append(list, m)
		}
	}
	if len(answer) < pageMessages {
		next = 0
	}
	return list, next, nil
}

func away(err error) error { return fmt.Errorf("%w: %w", history.ErrAway, err) }

// oldestShown is when a message of a topic must have been published to be shown: the server forgets
// what is too old when the next message comes.
func (s *Store) oldestShown(topic string) (limit time.Time) {
	if keep, _ := s.keep(topic); keep.Age > 0 {
		limit = time.Now().Add(-keep.Age)
	}
	return limit
}

// Page implements history.Store.
func (s *Store) Page(ctx context.Context, topic string, after broadcast.Position, most int, reverse bool) (page history.Page, err error) {
	if !s.kept(topic) {
		return page, history.ErrNoHistory
	}
	ses, err := s.open()
	if err != nil {
		return page, err
	}
	page.Newest = broadcast.Position{Epoch: ses.epoch}
	newest, err := ses.client.Do(ctx, ses.client.B().Zscore().Key(s.list).Member(topic).Build()).AsFloat64()
	if err != nil && !rueidis.IsRedisNil(err) {
		return page, away(err)
	}
	page.Newest.Offset = uint64(newest)
	from, limit := after.Offset+1, s.oldestShown(topic)
	if reverse {
		if from = after.Offset - 1; after.Offset == 0 {
			from = ^uint64(0)
		}
	}
	if after.Epoch != "" && after.Epoch != ses.epoch {
		return page, nil
	}
	for from != 0 {
		var list []stored
		if list, from, err = s.entries(ctx, ses, topic, from, reverse); err != nil {
			return page, err
		}
		for i := range list {
			m := &list[i]
			switch {
			case m.at.Before(limit) && reverse:
				return page, nil
			case m.at.Before(limit):
				continue
			case len(page.Messages) == most:
				page.More = true
				return page, nil
			}
			page.Messages = append(page.Messages, history.Stored{
				Position: broadcast.Position{Epoch: ses.epoch, Offset: m.seq}, Kind: m.Kind, Payload: m.Payload, Published: m.at,
			})
		}
	}
	return page, nil
}

// Prepare implements history.Store.
func (s *Store) Prepare(ctx context.Context, topic string, from broadcast.From) error {
	if !s.kept(topic) {
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
			if there, err = s.catchUp(ctx, at.Offset); !there {
				return err // Resume says that there is no such position
			}
		default:
			err = s.loads.Load(ctx, topic, func(ctx context.Context) (*broadcast.Filling, error) { return s.older(ctx, topic, floor) })
		}
		if err != nil {
			return err
		}
	}
	return nil // what is there is what can be had
}

// catchUp waits until the hub has come to an offset that another process may have told a client;
// there is false if the server does not have it either.
func (s *Store) catchUp(ctx context.Context, offset uint64) (there bool, err error) {
	ses, err := s.open()
	if err != nil {
		return false, err
	}
	newest, err := ses.client.Do(ctx, ses.client.B().Xrevrange().Key(s.live).End("+").Start("-").Count(1).Build()).AsXRange()
	if err != nil {
		return false, away(err)
	}
	if len(newest) == 0 {
		return false, nil
	}
	if m, _ := entry(&newest[0]); m.seq < offset {
		return false, nil
	}
	for s.reached.Load() < offset {
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return false, away(ctx.Err())
		}
	}
	return true, nil
}

// older reads what the server has of a topic up to the floor of its log. Filling.After is the
// offset in front of the oldest message that is read: each entry says it. Where there is none, it
// is that of the topic's last message.
func (s *Store) older(ctx context.Context, topic string, floor broadcast.Position) (*broadcast.Filling, error) {
	ses, err := s.open()
	if err != nil {
		return nil, err
	}
	f := &broadcast.Filling{Until: floor, After: floor.Offset}
	if ses.epoch != floor.Epoch {
		return f, nil // what was before is lost
	}
	// First, since it only goes up.
	last, err := s.last(ctx, ses, topic)
	if err != nil {
		return nil, err
	}
	f.After = min(f.After, last)
	list, err := s.newest(ctx, ses, topic, floor.Offset, f)
	if err != nil {
		return nil, err
	}
	now, wall := s.opt.Now(), time.Now()
	f.Messages = make([]broadcast.OldMessage, len(list))
	for i := range list {
		m := &list[i]
		f.Messages[i] = broadcast.OldMessage{Kind: m.Kind, Payload: m.Payload, From: m.Author, Offset: m.seq, Published: now - wall.Sub(m.at)}
	}
	return f, nil
}

// newest reads the newest messages of a topic up to an offset, as many as its log takes, and says
// in f what is in front of them.
func (s *Store) newest(ctx context.Context, ses *session, topic string, from uint64, f *broadcast.Filling) (list []stored, err error) {
	keep, _ := s.keep(topic)
	bytes, limit := s.hub.FillBytesMax(), s.oldestShown(topic)
	for from != 0 {
		var part []stored
		if part, from, err = s.entries(ctx, ses, topic, from, true); err != nil {
			return nil, err
		}
		for i := range part {
			m := &part[i]
			if m.at.Before(limit) {
				f.After, from = m.seq, 0
				break
			}
			if bytes -= int64(len(m.Payload)) + history.AppendOverheadBytes; len(list) == keep.Count || bytes < 0 && len(list) > 0 {
				f.After, f.More, from = m.seq, true, 0
				break
			}
			f.After = m.before
			list = append(list, *m)
		}
	}
	slices.Reverse(list)
	return list, nil
}

// last is the offset of the last message of a topic, or, if that is not known any more, one behind
// which it has none.
func (s *Store) last(ctx context.Context, ses *session, topic string) (uint64, error) {
	b := ses.client.B()
	answers := ses.client.DoMulti(ctx,
		b.Zscore().Key(s.list).Member(topic).Build(),
		b.Hmget().Key(s.meta).Field("gone", "seq").Build(),
		b.Exists().Key(s.list).Build())
	score, err := answers[0].AsFloat64()
	if err == nil {
		return uint64(score), nil
	}
	if !rueidis.IsRedisNil(err) {
		return 0, away(err)
	}
	known, err := answers[1].AsStrSlice()
	if err != nil || len(known) != 2 {
		return 0, away(fmt.Errorf("%w: %s", errForeign, s.meta))
	}
	there, err := answers[2].AsInt64()
	if err != nil {
		return 0, away(err)
	}
	text := known[0]
	if there == 0 {
		text = known[1] // the index was evicted, or there was no message yet
	}
	return strconv.ParseUint(text, 10, 64)
}
