package redisstreams

import (
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"c100k/internal/history"
	"c100k/internal/history/storetest"
	"c100k/internal/redistest"
)

// The client of a cluster sleeps a moment after it has asked for the slots, also when it is closed.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/rueidis.(*clusterClient)._refresh.func2"),
		goleak.IgnoreAnyFunction("github.com/redis/rueidis.(*call).DelayDo.func1"))
}

// conformance runs the test of all stores with one server: each of its parts has a prefix of its
// own.
func conformance(t *testing.T, url string) {
	var n atomic.Int64
	storetest.Run(t, func(t *testing.T) *storetest.Backing {
		own := url + "?prefix=t" + strconv.FormatInt(n.Add(1), 10)
		return &storetest.Backing{Shared: true, Open: func(t *testing.T, rules *history.Rules, now func() time.Duration) history.Store {
			s, err := Open(t.Context(), Options{URL: own, Rules: rules, Now: now})
			if err != nil {
				t.Fatal(err)
			}
			return s
		}}
	})
}

func TestStore(t *testing.T) { conformance(t, redistest.Start(t).URL()) }

func TestStoreOfSentinel(t *testing.T) {
	master := redistest.Start(t)
	conformance(t, "redis-sentinel://"+redistest.StartSentinel(t, master).Addr()+"/main")
}

func TestStoreOfCluster(t *testing.T) {
	addrs := []string(nil)
	for _, s := range redistest.StartCluster(t) {
		addrs = append(addrs, s.Addr())
	}
	conformance(t, "redis-cluster://"+strings.Join(addrs, ","))
}
