package broadcast

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// book notes what it hears of members.
type book struct {
	full  bool
	heard []string
}

func (b *book) Wanted(topic string) bool { return strings.HasPrefix(topic, "w.") }
func (b *book) Room() bool               { return !b.full }
func (b *book) Joined(shard int, member uint32, topic string) {
	b.heard = append(b.heard, fmt.Sprint("+", shard, " ", member, " ", topic))
}
func (b *book) Left(shard int, member uint32, topic string) {
	b.heard = append(b.heard, fmt.Sprint("-", shard, " ", member, " ", topic))
}

func TestMembersAreHeardOf(t *testing.T) {
	b := &book{}
	h := NewHub(Options{Shards: 2, Encoders: []Encoder{func(dst []byte, m *Message) []byte { return dst }}, Members: b})
	s := h.Shard(1)
	for _, topic := range []string{"w.a", "w.b", "other", "w.a"} {
		if _, err := s.Subscribe(7, 0, topic); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Resume(8, 0, "w.a", From{}); err != nil {
		t.Fatal(err)
	}
	s.Unsubscribe(7, "w.a")
	s.Unsubscribe(7, "w.a")
	s.Leave(7)
	s.Leave(8)
	want := []string{"+1 7 w.a", "+1 7 w.b", "+1 8 w.a", "-1 7 w.a", "-1 7 w.b", "-1 8 w.a"}
	if !slices.Equal(b.heard, want) {
		t.Errorf("heard %q, want %q", b.heard, want)
	}
	b.full = true
	if _, err := s.Subscribe(7, 0, "w.a"); err != ErrShardFull {
		t.Errorf("without room: %v", err)
	}
	if _, err := s.Subscribe(7, 0, "other"); err != nil {
		t.Errorf("a topic that is not watched: %v", err)
	}
}
