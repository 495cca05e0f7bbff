// The bus over real Redis servers: one, the master of a Sentinel, and a cluster of three.

package redisbus

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"c100k/internal/bus"
	"c100k/internal/bus/bustest"
	"c100k/internal/redistest"
)

// join joins a node that the test closes.
func join(t testing.TB, url, name string) *Bus {
	t.Helper()
	b, err := Join(context.Background(), Options{URL: url, Name: name})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// conformance runs bustest with one server for all its tests: each has a prefix of its own.
func conformance(t *testing.T, url string) {
	var n atomic.Int64
	bustest.Conformance(t, func(t *testing.T) func() bus.Bus {
		own := url + "?prefix=test" + string(rune('a'+n.Add(1)))
		return func() bus.Bus { return join(t, own, "node") }
	})
}

func TestConformance(t *testing.T) { conformance(t, redistest.Start(t).URL()) }

func TestConformanceOfSentinel(t *testing.T) {
	master := redistest.Start(t)
	conformance(t, "redis-sentinel://"+redistest.StartSentinel(t, master).Addr()+"/main")
}

func TestConformanceOfCluster(t *testing.T) {
	conformance(t, clusterURL(redistest.StartCluster(t)))
}

// A cluster before Redis 7.0 has no sharded Pub/Sub.
func TestConformanceOfOldCluster(t *testing.T) {
	all := redistest.StartCluster(t, "--rename-command", "SSUBSCRIBE", "", "--rename-command", "SPUBLISH", "")
	conformance(t, clusterURL(all))
}

func clusterURL(all []*redistest.Server) string {
	var addrs []string
	for _, s := range all {
		addrs = append(addrs, s.Addr())
	}
	return "redis-cluster://" + strings.Join(addrs, ",")
}

func TestJoinRefuses(t *testing.T) {
	s := redistest.Start(t, "--requirepass", "s3cret")
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx context.Context
		o   Options
		ok  bool
	}{
		"right":             {t.Context(), Options{URL: "redis://:s3cret@" + s.Addr(), Name: "n"}, true},
		"wrong password":    {t.Context(), Options{URL: "redis://:guess3d@" + s.Addr(), Name: "n"}, false},
		"no password":       {t.Context(), Options{URL: "redis://" + s.Addr(), Name: "n"}, false},
		"no name":           {t.Context(), Options{URL: "redis://:s3cret@" + s.Addr()}, false},
		"another scheme":    {t.Context(), Options{URL: "http://:s3cret@" + s.Addr(), Name: "n"}, false},
		"no TLS there":      {t.Context(), Options{URL: "rediss://:s3cret@" + s.Addr(), Name: "n"}, false},
		"no cluster":        {t.Context(), Options{URL: "redis-cluster://:s3cret@" + s.Addr(), Name: "n"}, false},
		"no sentinel":       {t.Context(), Options{URL: "redis-sentinel://:s3cret@" + s.Addr() + "/main", Name: "n"}, false},
		"context that ends": {gone, Options{URL: "redis://:s3cret@" + s.Addr(), Name: "n"}, false},
	} {
		b, err := Join(c.ctx, c.o)
		if err == nil {
			b.Close()
		}
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && (strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "guess3d")) {
			t.Errorf("%s: %q tells a secret", name, err)
		}
	}
}

// run runs b, and counts what it hears. When it returns, b hears.
func run(t testing.TB, b *Bus) *atomic.Int64 {
	t.Helper()
	var heard atomic.Int64
	ended := make(chan error, 1)
	go func() {
		for {
			err := b.Run(context.Background(), func(bus.Message) bus.Tally {
				heard.Add(1)
				return bus.Tally{Matched: 1, Queued: 1}
			})
			if !errors.Is(err, bus.ErrRunning) {
				ended <- err
				return
			}
		}
	}()
	t.Cleanup(func() {
		b.Close()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	over, cancel := context.WithCancel(t.Context())
	cancel()
	eventually(t, "runs", func() bool { return errors.Is(b.Run(over, nil), bus.ErrRunning) })
	return &heard
}

// asked asks and waits.
func asked(t testing.TB, b *Bus) (a bus.Answer, err error) {
	t.Helper()
	answers := make(chan bus.Answer, 1)
	if err := b.Ask(t.Context(), bus.Message{Topic: "t"}, func(a bus.Answer) { answers <- a }); err != nil {
		return a, err
	}
	select {
	case a = <-answers:
		return a, nil
	case <-time.After(patience):
		t.Fatal("an Ask does not end")
		return a, nil
	}
}

// counts waits until b is healthy and asks exactly n others, all of which run.
func counts(t testing.TB, b *Bus, n int) {
	t.Helper()
	eventually(t, "all are asked", func() bool {
		a, err := asked(t, b)
		return err == nil && b.Health().Connected && a == bus.Answer{Tally: bus.Tally{Matched: n, Queued: n}, Nodes: n}
	})
}
