package jetstream

import (
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"c100k/broadcast"
	"c100k/internal/history"
	"c100k/internal/history/storetest"
)

const testSync = "test.sync"

// A message is delivered and acknowledged when it was synced, and not before.
func TestAcknowledgedWhenSynced(t *testing.T) {
	s := natsServer(t, t.TempDir(), server.RANDOM_PORT)
	disk, err := nats.Connect(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	asked := make(chan *nats.Msg, 100)
	if _, err := disk.ChanSubscribe(testSync, asked); err != nil {
		t.Fatal(err)
	}
	if err := disk.Flush(); err != nil {
		t.Fatal(err)
	}
	answer := func(text string) {
		t.Helper()
		select {
		case m := <-asked:
			if err := m.Respond([]byte(text)); err != nil {
				t.Fatal(err)
			}
		case <-time.After(patience):
			t.Fatal("nobody asks for a sync")
		}
	}
	rules, _ := history.ParseRules([]string{"a.>=1000,1h"})
	var later atomic.Int64 // added to the clock
	now := func() time.Duration { return clock() + time.Duration(later.Load()) }
	p := &process{log: &logText{}}
	p.Store = openStore(t, s, Options{Rules: rules, Now: now, SyncSubject: testSync, Logger: slog.New(slog.NewTextHandler(p.log, nil))})
	defer p.Close()
	p.hub = broadcast.NewHub(broadcast.Options{
		Shards: 1, Now: now, Encoders: []broadcast.Encoder{func(dst []byte, m *broadcast.Message) []byte { return append(dst, m.Payload...) }},
		EncodedBytesMax: func(_ broadcast.Form, m *broadcast.Message) int { return len(m.Payload) },
		Positions:       p.First, Keep: func(topic string) broadcast.Keep { k, _ := rules.Keep(topic); return k },
		Older: true, Floor: p.Floor, Reached: p.Reached,
	})
	go func() {
		m := <-asked
		_ = m.Respond(nil)
	}()
	if err := p.Start(t.Context(), p.hub); err != nil {
		t.Fatal(err)
	}
	done := make(chan history.Appended, 100)
	publish := func(text, key string) {
		t.Helper()
		if err := p.Append("a.x", history.Append{Post: broadcast.Post{Payload: []byte(text)}, Key: key, Done: func(a history.Appended) { done <- a }}); err != nil {
			t.Fatal(err)
		}
	}
	stored := func(n uint64) {
		t.Helper()
		eventually(t, "the server has it", func() bool {
			info, err := p.js.StreamInfo(p.streams[0].name)
			return err == nil && info.State.LastSeq == n
		})
	}
	for i := range 20 {
		publish(fmt.Sprint("m", i), "")
	}
	stored(20)
	select {
	case a := <-done:
		t.Fatalf("acknowledged before the sync: %+v", a)
	default:
	}
	if got := p.kept("a.x"); len(got) > 0 || p.Reached("a.x") != 0 {
		t.Fatalf("delivered before the sync: %q", got)
	}
	answered := 0
	for len(p.kept("a.x")) < 20 {
		select {
		case m := <-asked:
			answered++
			_ = m.Respond(nil)
		case <-time.After(time.Millisecond):
		}
	}
	for range 20 {
		if a := <-done; a.Err != nil {
			t.Errorf("%+v", a)
		}
	}
	if answered > 19 {
		t.Errorf("%d syncs for 20 messages", answered)
	}
	publish("fails", "")
	answer("the disk is gone")
	eventually(t, "it is said", func() bool { return p.Ready() != nil })
	select {
	case a := <-done:
		t.Fatalf("acknowledged, and the sync has failed: %+v", a)
	default:
	}
	later.Store(int64(history.AppendTimeout))
	for {
		select {
		case m := <-asked:
			_ = m.Respond([]byte("the disk is gone"))
			continue
		case a := <-done:
			if !errors.Is(a.Err, history.ErrUnsure) {
				t.Errorf("%+v", a)
			}
		case <-time.After(patience):
			t.Error("no end")
		}
		break
	}
}

// With syncs in groups the store is what it is without.
func TestStoreInGroups(t *testing.T) {
	storetest.Run(t, func(t *testing.T) *storetest.Backing {
		s := natsServer(t, t.TempDir(), server.RANDOM_PORT)
		syncs(t, s)
		return &storetest.Backing{Shared: true, Open: func(t *testing.T, rules *history.Rules, now func() time.Duration) history.Store {
			return openStore(t, s, Options{Rules: rules, Now: now, SyncSubject: testSync})
		}}
	})
}
