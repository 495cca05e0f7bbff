// A process that has the server for itself: the same store, without what the server sends back.

package jetstream

import (
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"c100k/broadcast"
	"c100k/internal/history"
	"c100k/internal/history/storetest"
)

func TestStoreAlone(t *testing.T) {
	for _, grouped := range []bool{false, true} {
		t.Run(map[bool]string{false: "alone", true: "alone in groups"}[grouped], func(t *testing.T) {
			storetest.Run(t, func(t *testing.T) *storetest.Backing {
				return &storetest.Backing{Open: func(t *testing.T, rules *history.Rules, now func() time.Duration) history.Store {
					s, o := natsServer(t, t.TempDir(), server.RANDOM_PORT), Options{Rules: rules, Alone: true, Owner: true, Now: now}
					if grouped {
						o.SyncSubject = testSync
						syncs(t, s)
					}
					return openStore(t, s, o)
				}}
			})
		})
	}
}

// syncs answers what asks for syncs.
func syncs(t *testing.T, s *server.Server) {
	t.Helper()
	disk, err := nats.Connect(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(disk.Close)
	if _, err := disk.Subscribe(testSync, func(m *nats.Msg) { _ = m.Respond(nil) }); err != nil {
		t.Fatal(err)
	}
	if err := disk.Flush(); err != nil {
		t.Fatal(err)
	}
}

// startAlone is startProcess for a process that has the server for itself.
func startAlone(t *testing.T, s *server.Server, rule string) *process {
	t.Helper()
	rules, err := history.ParseRules([]string{rule})
	if err != nil {
		t.Fatal(err)
	}
	return startWith(t, s, Options{Rules: rules, Alone: true, Owner: true})
}

// What was stored by processes that shared the server is there for one that is alone, and the other
// way round: the stream changes with those who use it.
func TestAloneAndNot(t *testing.T) {
	const rule = "a.>=1000,1h"
	s := natsServer(t, t.TempDir(), server.RANDOM_PORT)
	var want []string
	publish := func(p *process, n int) {
		t.Helper()
		for range n {
			text := fmt.Sprint("m", len(want))
			want = append(want, text)
			if a := p.publish("a.x", text, ""); a.Err != nil || a.Position.Offset != uint64(len(want)) {
				t.Fatalf("message %d: %+v", len(want), a)
			}
		}
	}
	sends := func(p *process) bool {
		t.Helper()
		info, err := p.js.StreamInfo(p.streams[0].name)
		if err != nil {
			t.Fatal(err)
		}
		return info.Config.RePublish != nil
	}
	for _, alone := range []bool{true, false, true} {
		if alone {
			p := startAlone(t, s, rule)
			publish(p, 20)
			if got := p.kept("a.x"); !slices.Equal(got, want) {
				t.Errorf("alone: %q, want %q", got, want)
			}
			if sends(p) {
				t.Error("alone, and the server sends back what it stores")
			}
			_ = p.Close()
			continue
		}
		one, two := startProcess(t, s, rule), startProcess(t, s, rule)
		publish(one, 10)
		publish(two, 10)
		for _, p := range []*process{one, two} {
			eventually(t, "both have all", func() bool { return slices.Equal(p.kept("a.x"), want) })
		}
		if !sends(one) {
			t.Error("not alone, and the server does not send what it stores")
		}
		_, _ = one.Close(), two.Close()
	}
}

// An answer that comes when nobody waits for it any more: the message is stored, and delivered.
func TestAloneLateAnswer(t *testing.T) {
	s := natsServer(t, t.TempDir(), server.RANDOM_PORT)
	p := startAlone(t, s, "a.>=1000,1h")
	if a := p.publish("a.x", "one", ""); a.Err != nil {
		t.Fatal(a.Err)
	}
	late := history.AppendRecord(nil, &history.Record{Kind: broadcast.Text, Process: p.id, Number: 1 << 20, Payload: []byte("late")})
	if err := p.conn.PublishRequest(p.streams[0].subject("a.x"), p.inbox+strconv.FormatUint(1<<20, 36), late); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is delivered", func() bool { return slices.Equal(p.kept("a.x"), []string{"one", "late"}) })
	// An answer that is lost: the next one shows the gap.
	if err := p.conn.Publish(p.streams[0].subject("a.x"), late); err != nil {
		t.Fatal(err)
	}
	if a := p.publish("a.x", "two", ""); a.Err != nil || a.Position.Offset != 4 {
		t.Fatalf("%+v", a)
	}
	if got := p.kept("a.x"); !slices.Equal(got, []string{"one", "late", "late", "two"}) {
		t.Errorf("kept %q", got)
	}
}

// startWith starts a process with the options but for its clock and its log.
func startWith(t *testing.T, s *server.Server, o Options) *process {
	t.Helper()
	p := &process{log: &logText{}}
	o.Now, o.Logger = clock, slog.New(slog.NewTextHandler(p.log, nil))
	p.Store = openStore(t, s, o)
	t.Cleanup(func() { _ = p.Close() })
	p.hub = broadcast.NewHub(broadcast.Options{
		Shards: 1, Now: clock, Encoders: []broadcast.Encoder{func(dst []byte, m *broadcast.Message) []byte { return append(dst, m.Payload...) }},
		EncodedBytesMax: func(_ broadcast.Form, m *broadcast.Message) int { return len(m.Payload) },
		Positions:       p.First, Keep: func(topic string) broadcast.Keep { k, _ := o.Rules.Keep(topic); return k },
		Older: true, Floor: p.Floor, Reached: p.Reached,
	})
	if err := p.Start(t.Context(), p.hub); err != nil {
		t.Fatal(err)
	}
	return p
}
