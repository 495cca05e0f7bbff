package jetstream

import (
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"c100k/broadcast"
	"c100k/internal/history"
	"c100k/internal/natsd"
)

// processorTime is what this process has used.
func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkAppend is a publish of 128 bytes to a topic with durable history on a node that is
// alone, and on one with workers: the queue, the server in the process, its file, and the way back
// into the hub. cpu-ns/op is the processor time of all of it.
func BenchmarkAppend(b *testing.B) {
	for i, topics := range []int{1, 1000, 100_000, 1, 1000, 100_000} {
		alone := i < 3
		b.Run(map[bool]string{true: "alone ", false: "workers "}[alone]+fmt.Sprint(topics, " topics"), func(b *testing.B) {
			o := natsd.Store{Dir: b.TempDir(), SyncInterval: 100 * time.Millisecond}
			s, err := natsd.Start(natsd.Options{Name: "one", PayloadBytesMax: 1 << 20, PendingBytesMax: 64 << 20, Store: &o})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			rules, _ := history.ParseRules([]string{"a.>=100,5m"})
			store, err := Open(b.Context(), Options{URL: s.URL(), Name: b.Name(), Rules: rules, Owner: true, Alone: alone, Now: clock})
			if err != nil {
				b.Fatal(err)
			}
			defer store.Close()
			hub := broadcast.NewHub(broadcast.Options{
				Shards: 1, Now: clock, Encoders: []broadcast.Encoder{func(dst []byte, m *broadcast.Message) []byte { return append(dst, m.Payload...) }},
				EncodedBytesMax: func(_ broadcast.Form, m *broadcast.Message) int { return len(m.Payload) },
				Positions:       store.First, Keep: func(topic string) broadcast.Keep { k, _ := rules.Keep(topic); return k },
				Older: true, Floor: store.Floor, Reached: store.Reached,
			})
			if err := store.Start(b.Context(), hub); err != nil {
				b.Fatal(err)
			}
			names := make([]string, topics)
			for i := range names {
				names[i] = fmt.Sprint("a.", i)
			}
			payload := make([]byte, 128)
			var failed, done atomic.Int64
			finished := make(chan struct{}, 1)
			b.ResetTimer()
			before := processorTime(b)
			for i := range b.N {
				a := history.Append{Post: broadcast.Post{Kind: broadcast.Binary, Payload: payload}, Done: func(a history.Appended) {
					if a.Err != nil {
						failed.Add(1)
					}
					if done.Add(1) == int64(b.N) {
						finished <- struct{}{}
					}
				}}
				for store.Append(names[i%topics], a) != nil {
					time.Sleep(time.Millisecond) // the queue is full: the store is the limit
				}
			}
			<-finished
			b.ReportMetric(float64(processorTime(b)-before)/float64(b.N), "cpu-ns/op")
			if n := failed.Load(); n > 0 {
				b.Fatalf("%d have failed", n)
			}
		})
	}
}

// BenchmarkAppendSynced is a publish that is on the disk when it is acknowledged, with 1000 of them
// under way: synced one by one by the server, and in groups.
func BenchmarkAppendSynced(b *testing.B) {
	for _, groups := range []bool{false, true} {
		b.Run(map[bool]string{false: "one by one", true: "groups"}[groups], func(b *testing.B) {
			o, subject := natsd.Store{Dir: b.TempDir(), SyncAlways: !groups, SyncGroups: groups}, ""
			if groups {
				subject = natsd.SyncSubject
			}
			s, err := natsd.Start(natsd.Options{Name: "one", PayloadBytesMax: 1 << 20, PendingBytesMax: 64 << 20, Store: &o})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			rules, _ := history.ParseRules([]string{"a.>=100,5m"})
			store, err := Open(b.Context(), Options{URL: s.URL(), Name: b.Name(), Rules: rules, Now: clock, SyncSubject: subject})
			if err != nil {
				b.Fatal(err)
			}
			defer store.Close()
			hub := broadcast.NewHub(broadcast.Options{
				Shards: 1, Now: clock, Encoders: []broadcast.Encoder{func(dst []byte, m *broadcast.Message) []byte { return append(dst, m.Payload...) }},
				EncodedBytesMax: func(_ broadcast.Form, m *broadcast.Message) int { return len(m.Payload) },
				Positions:       store.First, Keep: func(topic string) broadcast.Keep { k, _ := rules.Keep(topic); return k },
				Older: true, Floor: store.Floor, Reached: store.Reached,
			})
			if err := store.Start(b.Context(), hub); err != nil {
				b.Fatal(err)
			}
			payload := make([]byte, 128)
			slots := make(chan struct{}, 1000)
			var failed atomic.Int64
			b.ResetTimer()
			for range b.N {
				slots <- struct{}{}
				a := history.Append{Post: broadcast.Post{Kind: broadcast.Binary, Payload: payload}, Done: func(a history.Appended) {
					if a.Err != nil {
						failed.Add(1)
					}
					<-slots
				}}
				if err := store.Append("a.x", a); err != nil {
					b.Fatal(err)
				}
			}
			for range cap(slots) {
				slots <- struct{}{}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "publishes/s")
			if n := failed.Load(); n > 0 {
				b.Fatalf("%d have failed", n)
			}
		})
	}
}
