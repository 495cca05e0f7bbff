package admin

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"c100k/internal/ends"
	"c100k/netpoll"
)

// inspected is a node with five connections and three ends.
type inspected struct{ *fakeNode }

func (n inspected) Connections(_ context.Context, q *ConnectionQuery) (list []Connection, missing []string) {
	for i := range 5 {
		id := netpoll.ID(uint64(i+1)<<32 | uint64(9-i)) // in the order of slots, whatever the generation
		if Place := uint64(id) >> 32; q.After == 0 || Place > uint64(q.After)>>32 {
			list = append(list, Connection{Client: NewClient(id, "sse", "<b>u\u202e1", netip.MustParseAddr("::ffff:10.0.0.1").Unmap(), time.Unix(100, 0), time.Second), Behind: q.Behind})
		}
	}
	return list, []string{"worker 2 does not answer"}
}

func (n inspected) Connection(_ context.Context, id netpoll.ID) (any, error) {
	if id.Slot() > 5 {
		return nil, nil
	}
	return &Connection{Client: NewClient(id, "sse", "", netip.Addr{}, time.Unix(100, 0), time.Second)}, nil
}

func (n inspected) Closes(_ context.Context, q *CloseQuery) (list []Closed, missing []string) {
	for i := range 3 {
		e := ends.End{ID: netpoll.ID(i + 1), At: time.Unix(int64(i), 5), Reason: netpoll.ReasonSlow, Text: "\xff", Owed: 3}
		if q.Before.IsZero() || q.Before.Compare(e.Place()) < 0 {
			list = append(list, NewClosed(&e))
		}
	}
	return list, nil
}

func TestConnectionPages(t *testing.T) {
	ts, n := newAPIServer(t, Config{})
	if got := do(t, ts, request{method: "GET", path: "/v1/connections"}); got.status != 404 {
		t.Errorf("a node without: %d", got.status)
	}
	ts, _ = newAPIServer(t, Config{Node: inspected{n}})
	got := do(t, ts, request{method: "GET", path: "/v1/connections?limit=2&after=0000000200000008&behind=7"})
	const want = `{"connections":[` +
		`{"id":"0000000300000007","transport":"sse","sub":"\u003cb\u003eu` + "\u202e" + `1","address":"10.0.0.1","connected":"1970-01-01T00:01:39Z","seconds":1,"topics":0,"behind":7},` +
		`{"id":"0000000400000006","transport":"sse","sub":"\u003cb\u003eu` + "\u202e" + `1","address":"10.0.0.1","connected":"1970-01-01T00:01:39Z","seconds":1,"topics":0,"behind":7}],` +
		`"next":"0000000400000006","missing":["worker 2 does not answer"]}` + "\n"
	if got.body != want {
		t.Errorf("%s\nwant %s", got.body, want)
	}
	got = do(t, ts, request{method: "GET", path: "/v1/closes?limit=1&reason=slow_consumer"})
	if !strings.HasPrefix(got.body, `{"closes":[{"id":"0000000000000003",`) || !strings.Contains(got.body, `"next":"2000000005-0000000000000003"`) ||
		!strings.Contains(got.body, `"text":"`+"\ufffd"+`","owed":3`) {
		t.Error(got.body)
	}
	got = do(t, ts, request{method: "GET", path: "/v1/closes?limit=2&after=2000000005-0000000000000003"})
	if !strings.HasPrefix(got.body, `{"closes":[{"id":"0000000000000002",`) || strings.Contains(got.body, "next") {
		t.Error(got.body)
	}
	if got := do(t, ts, request{method: "GET", path: "/v1/connections/0000000900000001"}); got.status != 404 {
		t.Error(got.body)
	}
}

func TestConnectionsRefuse(t *testing.T) {
	_, n := newAPIServer(t, Config{})
	ts, _ := newAPIServer(t, Config{Node: inspected{n}})
	for path, code := range map[string]string{
		"/v1/connections?limit=0":          "bad_limit",
		"/v1/connections?limit=1001":       "bad_limit",
		"/v1/connections?topic=%00":        "bad_topic",
		"/v1/connections?address=a":        "bad_address",
		"/v1/connections?behind=-1":        "bad_number",
		"/v1/connections?after=1":          "bad_place",
		"/v1/connections?user=a":           "unknown_parameter",
		"/v1/connections/x":                "bad_connection_id",
		"/v1/connections/0?a=b":            "bad_connection_id",
		"/v1/closes?reason=slow":           "bad_reason",
		"/v1/closes?since=yesterday":       "bad_time",
		"/v1/closes?since=-5m":             "bad_time",
		"/v1/closes?after=5":               "bad_place",
		"/v1/closes?address=10.0.0.0%2F99": "bad_address",
		"/v1/closes?sub=a&sub=b":           "repeated_parameter",
	} {
		wantProblem(t, do(t, ts, request{method: "GET", path: path}), 400, code)
	}
}

func TestSince(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	for text, want := range map[string]int64{"90": 90, "1m": 999_940, "1970-01-01T00:02:00Z": 120} {
		if at, ok := parseSince(text, now); !ok || at.Unix() != want {
			t.Errorf("%s: %v, %v", text, at, ok)
		}
	}
}

// Each reason has a sentence.
func TestWhy(t *testing.T) {
	for r := netpoll.ReasonPeer; r < netpoll.Reason(netpoll.ReasonCount); r++ {
		if r != netpoll.ReasonDetached && Why(r.String()) == "" {
			t.Errorf("%v has no sentence", r)
		}
	}
}
