// Listings: page by page the same as all at once, in memory that does not depend on the number of
// topics.

package broadcast

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func TestTopicsByPages(t *testing.T) {
	h, s, sink := one(t, Options{TopicsPerMemberMax: 1000})
	var names []string
	for _, i := range rand.Perm(300) {
		name := fmt.Sprintf("%c.%03d", 'a'+i%3, i)
		subscribe(t, s, 1, Form(i%2), name)
		names = append(names, name)
	}
	slices.Sort(names)
	for _, prefix := range []string{"", "b.", "x"} {
		want := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return !strings.HasPrefix(n, prefix) })
		for _, most := range []int{1, 7, 299, 300, 1000} {
			var got []string
			for after := ""; ; {
				page := h.Topics(prefix, after, most)
				if len(page) > most {
					t.Fatalf("%d topics, want at most %d", len(page), most)
				}
				for _, info := range page {
					if info.Members != 1 {
						t.Errorf("%+v", info)
					}
					got = append(got, info.Name)
				}
				if len(page) < most {
					break
				}
				after = page[most-1].Name
			}
			if !slices.Equal(got, want) {
				t.Errorf("prefix %q in pages of %d: %d topics, want %d", prefix, most, len(got), len(want))
			}
		}
	}
	if list := h.Topics("", "", 0); len(list) != 0 {
		t.Errorf("none asked for: %v", list)
	}
	if n := h.TopicCount(); n != 300 {
		t.Errorf("%d topics", n)
	}
	s.Leave(1)
	settleDown(h, sink)
	if n := h.TopicCount(); n != 0 {
		t.Errorf("%d topics at the end", n)
	}
}

// TestTopicsMemory: a page costs what it holds, however many topics there are.
func TestTopicsMemory(t *testing.T) {
	h, s, _ := one(t, Options{TopicsPerMemberMax: 20_000})
	for i := range 20_000 {
		subscribe(t, s, uint32(i%200), 0, fmt.Sprintf("topic.%06d", i))
	}
	if allocs := testing.AllocsPerRun(3, func() { h.Topics("topic.", "topic.010000", 100) }); allocs > 6000 {
		t.Errorf("%v allocations for a page of 100", allocs)
	}
}

func TestBusiest(t *testing.T) {
	h := NewHub(Options{Shards: 1, Encoders: []Encoder{plain}})
	s := h.Shard(0)
	for topic := range 20 {
		for member := range topic {
			if _, err := s.Subscribe(uint32(member), 0, fmt.Sprintf("t%02d", topic)); err != nil {
				t.Fatal(err)
			}
		}
	}
	list := h.Busiest("t", 3)
	slices.SortFunc(list, func(a, b TopicInfo) int { return b.Members - a.Members })
	if len(list) != 3 || list[0].Name != "t19" || list[0].Members != 19 || list[2].Name != "t17" {
		t.Errorf("%+v", list)
	}
	if list := h.Busiest("u", 3); len(list) != 0 {
		t.Errorf("%+v", list)
	}
}
