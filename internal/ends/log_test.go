package ends

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unsafe"

	"c100k/netpoll"
)

var epoch = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

func end(i int) *End {
	return &End{ID: netpoll.ID(i), At: epoch.Add(time.Duration(i) * time.Second), Sub: fmt.Sprintf("u%d", i%7),
		Addr: netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), Reason: netpoll.Reason(1 + i%3)}
}

func TestLogKeepsTheLast(t *testing.T) {
	var l Log
	for i := range Max + 5 {
		l.Add(end(i + 1))
	}
	if list := l.List(&Query{}, Max+10); len(list) != Max || list[0].ID != Max+5 || list[Max-1].ID != 6 {
		t.Errorf("%d ends, from %v to %v", len(list), list[0].ID, list[len(list)-1].ID)
	}
	if _, ok := l.Find(5); ok {
		t.Error("the fifth is still there")
	}
	if e, ok := l.Find(6); !ok || e.Sub != "u6" {
		t.Errorf("the sixth is %v, %v", e, ok)
	}
}

func TestLogIsBoundedInBytes(t *testing.T) {
	if size := unsafe.Sizeof(End{}); size > recordBytes {
		t.Errorf("a record has %d bytes", size)
	}
	var l Log
	long := strings.Repeat("x", 255)
	for i := range 2 * Max {
		e := end(i + 1)
		e.Sub, e.Text = long, long
		l.Add(e)
	}
	if l.bytes > stringBytesMax || l.n*(255+TextBytesMax) != l.bytes || l.n < 1000 {
		t.Errorf("%d ends have %d bytes of texts", l.n, l.bytes)
	}
	if _, ok := l.Find(2 * Max); !ok {
		t.Error("the newest is missing")
	}
}

func TestQuery(t *testing.T) {
	var l Log
	for i := range 21 {
		l.Add(end(i + 1))
	}
	for _, c := range []struct {
		name string
		q    Query
		want int
	}{
		{"all", Query{}, 21},
		{"reason", Query{Reason: netpoll.Reason(1).String()}, 7},
		{"sub", Query{Sub: "u3"}, 3},
		{"address", Query{Addrs: netip.MustParsePrefix("10.0.0.4/32")}, 1},
		{"network", Query{Addrs: netip.MustParsePrefix("10.0.0.0/29")}, 7},
		{"since", Query{Since: epoch.Add(20 * time.Second)}, 2},
		{"before", Query{Before: end(5).Place()}, 4},
	} {
		if list := l.List(&c.q, 100); len(list) != c.want {
			t.Errorf("%s: %d, want %d", c.name, len(list), c.want)
		}
	}
	if list := l.List(&Query{}, 2); len(list) != 2 || list[0].ID != 21 {
		t.Errorf("the newest two are %v", list)
	}
}

func TestPagesHaveNoOverlap(t *testing.T) {
	var l Log
	for i := range 30 {
		e := end(i + 1)
		e.At = epoch.Add(time.Duration(i/10) * time.Second) // many at one time
		l.Add(e)
	}
	seen := map[netpoll.ID]bool{}
	for q := (Query{}); ; {
		page := l.List(&q, 7)
		for _, e := range page {
			if seen[e.ID] {
				t.Fatalf("%v is on two pages", e.ID)
			}
			seen[e.ID] = true
			q.Before = e.Place()
		}
		if len(page) < 7 {
			break
		}
	}
	if len(seen) != 30 {
		t.Errorf("%d of 30 are on pages", len(seen))
	}
}
