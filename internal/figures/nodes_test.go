// Figures over nodes on a bus in memory.

package figures

import (
	"encoding/json"
	"testing"

	"c100k/internal/bus"
	"c100k/internal/bus/bustest"
)

func TestReadNodes(t *testing.T) {
	var network bustest.Memory
	reading := func(requests int) func() *Reading {
		return func() *Reading { return Read(&Source{RequestsOpen: requests}) }
	}
	join := func(name string, share func(cs *bus.Channels) *bus.Channel) *bus.Channel {
		b := network.Join()
		cs := bus.NewChannels(b)
		c := share(cs)
		ended := make(chan error, 1)
		go func() {
			ended <- b.Run(t.Context(), func(m bus.Message) bus.Tally { cs.Deliver(m); return bus.Tally{} })
		}()
		t.Cleanup(func() {
			cs.Close()
			if err := b.Close(); err != nil {
				t.Error(err)
			}
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
		return c
	}
	own := reading(3)
	c := join("b", func(cs *bus.Channels) *bus.Channel { return Share(cs, "b", own) })
	join("a", func(cs *bus.Channels) *bus.Channel { return Share(cs, "a", reading(4)) })
	join("liar", func(cs *bus.Channels) *bus.Channel {
		return cs.Open(bus.KindFigures, func(_ uint64, _ []byte, answer func([]byte)) { answer([]byte(`{"node":1}`)) })
	})
	join("supervisor", func(cs *bus.Channels) *bus.Channel { return nil })
	for attempt := 0; ; attempt++ { // until all run
		over := make(chan *Nodes, 1)
		ReadNodes(c, "b", own(), func(n *Nodes) { over <- n })
		got := <-over
		if (len(got.Nodes) < 2 || len(got.Silent) != 1) && attempt < 20 {
			continue
		}
		if len(got.Nodes) != 2 || got.Nodes[0].Node != "a" || got.Nodes[1].Node != "b" || !got.Partial || len(got.Silent) != 1 {
			t.Fatalf("%+v", got)
		}
		if n := got.Total.Number("requests_open"); n != 7 {
			t.Errorf("%v requests in all", n)
		}
		text, err := json.Marshal(got)
		if err != nil || !json.Valid(text) {
			t.Errorf("%s %v", text, err)
		}
		return
	}
}

// FuzzAnswer: what another node says is read or refused.
func FuzzAnswer(f *testing.F) {
	stats, err := json.Marshal(Read(&Source{Topics: 1}))
	if err != nil {
		f.Fatal(err)
	}
	for _, text := range []string{`{"node":"a","stats":` + string(stats) + `}`, `{"node":"a","stats":{"topics":"x"}}`, `{}`, ``, `{"stats":null}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		n, err := readAnswer(text)
		if err != nil {
			return
		}
		all := &Nodes{Nodes: []NodeReading{n}}
		all.finish()
		if out, err := json.Marshal(all); err != nil || !json.Valid(out) {
			t.Errorf("%s %v", out, err)
		}
	})
}
