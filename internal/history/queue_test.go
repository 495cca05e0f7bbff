package history

import (
	"bytes"
	"errors"
	"testing"

	"c100k/broadcast"
)

// What waits for the store is bounded.
func TestAppendsAreBounded(t *testing.T) {
	const window = 2048
	a := NewQueue(window)
	p := func(bytes int) *Waiting { return &Waiting{Bytes: bytes} }
	if err := a.Put(p(AppendBytesMax + 1)); err != nil {
		t.Errorf("a large one alone: %v", err)
	}
	if err := a.Put(p(1)); !errors.Is(err, ErrFull) {
		t.Errorf("beyond the bytes: %v", err)
	}
	a = NewQueue(window)
	for range AppendsMax {
		if err := a.Put(p(1)); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Put(p(1)); !errors.Is(err, ErrFull) {
		t.Errorf("beyond the number: %v", err)
	}
	sent := a.Next(nil)
	if len(sent) != window || len(a.Next(nil)) != 0 {
		t.Errorf("%d are sent at once", len(sent))
	}
	a.Answer(sent[0].number, 7)
	a.Take(sent[0].number)
	a.Take(sent[1].number)
	if more := a.Next(nil); len(more) != 2 {
		t.Errorf("%d more are sent after two answers", len(more))
	}
}

func FuzzRecord(f *testing.F) {
	f.Add([]byte{})
	f.Add(AppendRecord(nil, &Record{Kind: broadcast.JSON, Process: 1, Number: 2, Author: "ann", Payload: []byte(`{"a":1}`)}))
	f.Add(AppendRecord(nil, &Record{Forget: true}))
	f.Add(bytes.Repeat([]byte{0xff}, 20))
	f.Fuzz(func(t *testing.T, p []byte) {
		r, err := ParseRecord(p)
		if err != nil {
			return
		}
		if r.Kind > broadcast.Binary {
			t.Fatalf("kind %d", r.Kind)
		}
		if again := AppendRecord(nil, &r); !bytes.Equal(again, p) {
			t.Fatalf("%x is written as %x", p, again)
		}
	})
}
