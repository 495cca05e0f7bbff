package broadcast_test

import (
	"fmt"

	"c100k/broadcast"
)

// printer is a Sink whose members are always quick.
type printer struct{}

func (printer) Pending(uint32) int { return 0 }
func (printer) Send(member uint32, p []byte, _, n uint32) {
	fmt.Printf("member %d, %d messages: %s\n", member, n, p)
}
func (printer) DropOldest(uint32, int, func(mark, n uint32)) int         { return 0 }
func (printer) Gap(uint32, broadcast.Form, string, uint32, uint32, bool) {}
func (printer) Encode(dst []byte, _ uint32, m *broadcast.Message) []byte {
	return append(dst, m.Payload...)
}
func (printer) Slow(uint32) {}

// Two wire forms. Each is made once a message, and only if somebody needs it.
func line(dst []byte, m *broadcast.Message) []byte { return append(append(dst, m.Payload...), ';') }
func titled(dst []byte, m *broadcast.Message) []byte {
	return fmt.Appendf(dst, "%s=%s;", m.Topic, m.Payload)
}

func Example() {
	const lineForm, titledForm = 0, 1
	hub := broadcast.NewHub(broadcast.Options{
		Shards:   1,
		Encoders: []broadcast.Encoder{lineForm: line, titledForm: titled},
		Wake:     func(shard int) {}, // here: make a turn of that loop run
	})

	shard := hub.Shard(0) // belongs to loop 0
	_, _ = shard.Subscribe(1, lineForm, "news")
	_, _ = shard.Subscribe(2, titledForm, "news")

	for _, text := range []string{"one", "two"} { // on any goroutine
		result, err := hub.Publish("news", broadcast.Text, []byte(text))
		fmt.Println(result.Matched, "matched,", result.Queued, "queued,", result.Dropped, "dropped,", err)
	}

	for shard.Deliver(printer{}, 1024) { // phase 6 of loop 0's turn
	}
	// Output:
	// 2 matched, 2 queued, 0 dropped, <nil>
	// 2 matched, 2 queued, 0 dropped, <nil>
	// member 1, 2 messages: one;two;
	// member 2, 2 messages: news=one;news=two;
}

func ExampleHub_Topics() {
	hub := broadcast.NewHub(broadcast.Options{Shards: 1, Encoders: []broadcast.Encoder{line}})
	for member, topic := range []string{"sport.chess", "sport.go", "news", "sport.go"} {
		_, _ = hub.Shard(0).Subscribe(uint32(member), 0, topic)
	}
	for _, t := range hub.Topics("sport.", "", 10) {
		fmt.Println(t.Name, t.Members)
	}
	// Output:
	// sport.chess 1
	// sport.go 2
}

func ExampleValidTopic() {
	fmt.Println(broadcast.ValidTopic("news.sport"))
	fmt.Println(broadcast.ValidTopic("two\nlines"))
	// Output:
	// <nil>
	// topic has a control character
}
