package history

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"c100k/broadcast"
)

func TestPositions(t *testing.T) {
	for text, want := range map[string]broadcast.Position{
		"e1.41": {Epoch: "e1", Offset: 41}, "k3j9-1.0": {Epoch: "k3j9-1", Offset: 0},
		"a.18446744073709551615": {Epoch: "a", Offset: 1<<64 - 1},
	} {
		p, err := ParsePosition(text)
		if err != nil || p != want || FormatPosition(p) != text {
			t.Errorf("%s: %+v, %v", text, p, err)
		}
	}
	for _, text := range []string{
		"", ".", "e1", "e1.", ".41", "e1.-1", "e1.+1", "e1.041", "e1.18446744073709551616", "e1." + strings.Repeat("9", 30), "e1.4 1",
		"E1.1", "e1\n.1", "e 1.1", strings.Repeat("e", EpochBytesMax+1) + ".1", "e1.1.", "é.1", "e1.0x1",
	} {
		if p, err := ParsePosition(text); err == nil {
			t.Errorf("%q is %+v", text, p)
		}
	}
}

func FuzzPosition(f *testing.F) {
	f.Add("e1.41")
	f.Add("k3-1.0")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParsePosition(text)
		if err != nil {
			return
		}
		if FormatPosition(p) != text || len(text) > PositionBytesMax {
			t.Errorf("%q is %+v", text, p)
		}
	})
}

func TestFrom(t *testing.T) {
	for _, row := range []struct {
		after, last, rewind string
		want                string // of From.At at 100 s, or the error
	}{
		{"", "", "", "now"}, {"e1.3", "", "", "after e1.3"}, {"", "5", "", "last 5"}, {"", "", "30s", "since 1m10s"},
		{"", "1000", "", "last 1000"}, {"", "1001", "", ErrLast.Error()}, {"", "0", "", ErrLast.Error()}, {"", "-1", "", ErrLast.Error()},
		{"", "+1", "", ErrLast.Error()}, {"", "1000000000000000000000", "", ErrLast.Error()}, {"", "1e3", "", ErrLast.Error()},
		{"", "", "0s", ErrRewind.Error()}, {"", "", "-1s", ErrRewind.Error()}, {"", "", "30", ErrRewind.Error()}, {"", "", "99999h", ErrRewind.Error()},
		{"e1", "", "", ErrPosition.Error()}, {"e1.3", "5", "", ErrTwice.Error()}, {"", "5", "1s", ErrTwice.Error()},
	} {
		f, err := ParseFrom(row.after, row.last, row.rewind)
		got := f.At(100 * time.Second).String()
		if err != nil {
			got = err.Error()
		}
		if got != row.want {
			t.Errorf("%+v: %s", row, got)
		}
	}
}

func TestRules(t *testing.T) {
	r, err := ParseRules([]string{"chat.staff=10,0", "chat.>=100,5m", "a=b.*=3,1h,2KiB", "log=1000,1s,500"})
	if err != nil {
		t.Fatal(err)
	}
	for topic, want := range map[string]broadcast.Keep{
		"chat.staff": {Count: 10}, "chat.x.y": {Count: 100, Age: 5 * time.Minute}, "a=b.c": {Count: 3, Age: time.Hour, Bytes: 2048},
		"log": {Count: 1000, Age: time.Second, Bytes: 500}, "chat": {}, "other": {},
	} {
		if got, ok := r.Keep(topic); got != want || ok != (want != broadcast.Keep{}) {
			t.Errorf("%s: %+v, %t", topic, got, ok)
		}
	}
	for _, text := range []string{
		"", "a", "a=", "=1,1s", "a=1", "a=0,1s", "a=-1,1s", "a=x,1s", "a=1,", "a=1,x", "a=1,-1s", "a=1,1s,", "a=1,1s,0", "a=1,1s,1XiB", "a=1,1s,1,1",
		"a..b=1,1s", "a.>.b=1,1s", "user.{sub}=1,1s", "a=1048577,1s", "a=1,10000h",
	} {
		if _, err := ParseRules([]string{text}); err == nil {
			t.Errorf("%q is a rule", text)
		}
	}
	if _, err := ParseRules(make([]string, RulesMax+1)); err == nil {
		t.Error("too many rules")
	}
	var none *Rules
	if _, ok := none.Keep("a"); ok || none.Any() || !r.Any() {
		t.Error("no rules")
	}
}

func TestEventIDs(t *testing.T) {
	topics := []string{"a", "b", "c"}
	id := string(AppendEventID(nil, TopicsSum(topics), []broadcast.Position{{Epoch: "e1", Offset: 4}, {}, {Epoch: "e2", Offset: 0}}))
	read := func(id string, topics ...string) string {
		var s []string
		for _, f := range ParseEventID(id, topics) {
			s = append(s, f.At(0).String())
		}
		return strings.Join(s, ", ")
	}
	for got, want := range map[string]string{
		read(id, topics...):                  "after e1.4, now, after e2.0",
		read(id, "a", "c", "b"):              "unknown, unknown, unknown",
		read(id, "a", "b"):                   "unknown, unknown",
		read("e1.4", "a"):                    "after e1.4",
		read("e1.4", topics...):              "unknown, unknown, unknown",
		read("x", "a"):                       "unknown",
		read("-", "a"):                       "unknown",
		read(strings.Repeat("x", 8192), "a"): "unknown",
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func FuzzEventID(f *testing.F) {
	f.Add("e1.4,-,e2.0;5f3a", "a b c")
	f.Add("e1.4", "a")
	f.Fuzz(func(t *testing.T, id, names string) {
		topics := strings.Split(names, " ")
		if got := ParseEventID(id, topics); len(got) != len(topics) {
			t.Errorf("%d places for %d topics", len(got), len(topics))
		}
	})
}

func TestEpochs(t *testing.T) {
	e := NewEpochs(1<<63 + 5)
	seen := map[string]bool{}
	for range 100 {
		next := e.Next()
		if seen[next] {
			t.Fatal("an epoch twice")
		}
		seen[next] = true
		if _, err := ParsePosition(fmt.Sprintf("%s.1", next)); err != nil {
			t.Fatalf("%s: %v", next, err)
		}
	}
}
