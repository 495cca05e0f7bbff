// What the API asks of the node it stands in front of.

package admin

import (
	"go.opentelemetry.io/otel/trace"

	"c100k/broadcast"
	"c100k/internal/figures"
	"c100k/netpoll"
)

// Node is the node behind the API. Package server implements it. Every method is called from HTTP
// goroutines, several at a time, and never from a loop.
type Node interface {
	// Publish sends payload to everybody subscribed to topic. The topic has passed
	// broadcast.ValidTopic, and the payload fits its kind: Text is valid UTF-8, JSON is one valid JSON
	// value in valid UTF-8. The node may keep payload. An error means that the node does not take
	// messages at present; its text goes to the caller, with status 503.
	Publish(topic string, kind broadcast.Kind, payload []byte) (broadcast.Result, error)

	// Topics lists the topics that have a subscriber, whose names begin with prefix and come behind
	// after, which may be empty: the first most of them by name at least, in any order. There may be
	// others among them. missing says whose part is not in the list, in words.
	Topics(prefix, after string, most int) (list []Topic, missing []string)

	// Topic is one topic, and false where it has no subscriber; Missing is set in either case.
	Topic(name string) (Topic, bool)

	// Stats reads the figures of the node, of all its processes together.
	Stats() *figures.Reading

	// CloseConnection closes the connection with netpoll.ReasonAdmin, and says whether there was one.
	// An error means that this is not known at present; its text goes to the caller, with status 503.
	CloseConnection(id netpoll.ID) (found bool, err error)

	// Drain starts a drain and returns at once. A second call does nothing and is no error.
	Drain() error

	// Ready is nil while the node wants new connections. Otherwise its text, such as "draining", goes
	// to every client that asks /readyz, without any key; and so do remarks on parts of the node that
	// are not well while it is ready.
	Ready() (remarks []string, err error)
}

// LatePublisher is a Node that has to ask others for the counts of a publish. The API uses
// PublishLater where it is there, so that an array of messages is on its way as a whole before the
// first count is waited for.
type LatePublisher interface {
	// PublishLater is Publish, and calls done once with the result: on any goroutine, perhaps before
	// it returns, and within a bounded time. With an error, done is not called; with one that comes
	// later, Outcome.Err is set.
	PublishLater(p Publication, done func(Outcome)) error
}

// NodesReader is a Node that can ask the other nodes on its bus.
type NodesReader interface {
	// ReadNodes calls done once with the figures of all nodes: on any goroutine, perhaps before it
	// returns, and within some seconds.
	ReadNodes(done func(*figures.Nodes))
}

// Publication is a message to be published. Key, if not empty, is its idempotency key: a store of
// history that other nodes use too publishes it once.
type Publication struct {
	Topic   string
	Kind    broadcast.Kind
	Payload []byte
	Key     string
	From    string // what the message says of the client that has published it, "" for nothing

	// Parent is the trace that the publish belongs to; not valid: none.
	Parent trace.SpanContext
}

// TraceID is the id of Parent, as a post has it; nil if there is none.
func (p *Publication) TraceID() *[16]byte {
	if !p.Parent.IsValid() {
		return nil
	}
	id := [16]byte(p.Parent.TraceID())
	return &id
}

// TopicRanker is a Node that knows which topics have the most subscribers.
type TopicRanker interface {
	// Busiest lists those whose names begin with prefix: the first most of them at least, in any
	// order. Of several processes each gives its own first; a topic that is in none of those lists is
	// missing.
	Busiest(prefix string, most int) (list []Topic, missing []string)
}

// Outcome is what became of a publish on all nodes.
type Outcome struct {
	broadcast.Result // on those that have answered
	// Partial says that not all nodes were reached, or not in time: the counts are then too low.
	// Unreached is how many of those that are known.
	Partial   bool
	Unreached int
	// Durable says what has a message of a topic with history: "memory", "file" or "replicated".
	Durable string
	// Err says why the message was not published, or that this is not known: history.ErrUnsure. The
	// rest is then not valid.
	Err error
}

// Topic is one topic's subscribers.
type Topic struct {
	Name        string         `json:"topic"`
	Subscribers int            `json:"subscribers"`
	Transports  map[string]int `json:"transports"` // subscribers by transport: "websocket", "sse", …
	// Missing says who is not counted, in words; absent where all are.
	Missing []string `json:"missing,omitempty"`
}
