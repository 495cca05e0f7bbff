// Package bus is what goes between processes and machines: a node publishes, the others hear.
//
// There are only a few types: a [Bus] is one node's connection to the others, a [Message] is what
// one of them has published, a [Tally] is what a node did with it, and an [Answer] is the sum over
// the nodes that were asked. A bus knows nothing of members: each node fans out to its own.
// Adapters to brokers are packages beside it; all of them pass the same test (bustest), as does a
// bus in memory that is there for tests.
//
// What every Bus keeps to:
//
//   - A message reaches each other node that runs at that time, at most once, and exactly once
//     while nothing is lost. It does not come back to the node that published it, which has
//     delivered it already.
//   - What is lost is counted: each node numbers its messages, and a node that hears the others
//     knows by the numbers what it has not heard ([Health].Missed), at the latest a heartbeat
//     later.
//   - Messages of one node arrive in the order of its Publish and Ask calls. There is no order
//     between nodes.
//   - Topics and payloads arrive byte for byte. A topic is any topic of package broadcast: nothing
//     in it is a wildcard.
//   - An Ask comes to an end: when each node known has answered, or after [AskTimeout] with what
//     has come.
//   - A bus proves that it delivers: each second a probe of the node goes out and comes back. If
//     none comes back for [ProbeSilenceMax], [Health] says so and the bus makes a new connection.
//
// Buses that go over a broker share [Core]: numbers, peers, questions, probes and what waits to be
// sent. The types, and who may touch them:
//
//   - [Core]: any goroutine.
//   - outbox: what waits to be sent, bounded. Publish puts in; the writer, one goroutine, takes
//     out. Only the writer waits for the broker, so no event loop ever does.
//   - asks: the questions that wait for answers. A question is asked of the nodes that are there.
//   - peers: the other nodes, and the number of the latest message that was heard of each.
//   - probes: what this node has sent to itself.
//   - [Carrier]: the connection, which each broker's package implements.
//   - [Channels]: what parts of a node say to their counterparts beside topics.
//
// Nodes know each other by what they say: hello at the start, which the others answer with a beat
// at once; a beat every second, with the number of the latest message, so that a loss is known
// though nothing follows; bye at the end. A node that is silent for three seconds is asked no more.
// A node that sees the process of another die tells the others with [Core.Gone], so that nobody
// waits for it even that long.
//
// # A message's way
//
//  1. The node publishes to its own hub, then calls Publish, or Ask where somebody waits for the
//     count. Neither waits: both are called on event loops.
//  2. outbox.go numbers and queues the message, within OutboxBytesMax. writer.go packs what waits
//     into packets (packet.go) and hands them to the carrier.
//  3. receive.go, on every other node, takes the packet apart. It compares the number with the last
//     one of the sender: a gap is counted as missed. Inbox queues the message, within
//     InboxBytesMax.
//  4. One goroutine takes it from the inbox and publishes it to the hub of its node.
//  5. For an Ask, the count goes back as an answer. asks.go adds the answers up, and calls done
//     when the last one has come or AskTimeout has passed.
//
// While the broker is away, nothing is kept for later: each node serves its own subscribers,
// reports the bus as down, and counts what it did not send.
package bus

import (
	"context"
	"errors"
)

var (
	// ErrClosed is returned by Publish, Ask and Run after Close.
	ErrClosed = errors.New("bus: closed")
	// ErrRunning is returned by a second Run while the first has not ended.
	ErrRunning = errors.New("bus: already running")
	// ErrFull is returned by Publish and Ask when the message was not taken, or not for all, because
	// what waits for a slow node or broker has reached its limit.
	ErrFull = errors.New("bus: full")
	// ErrDisconnected is returned by Publish and Ask while there is no connection to the broker; the
	// message was not taken.
	ErrDisconnected = errors.New("bus: disconnected")
	// ErrTooLarge is wrapped by what Publish and Ask return for a message larger than the broker
	// takes.
	ErrTooLarge = errors.New("bus: message too large")
	// ErrNoNode is returned by Send where no node of that id is there.
	ErrNoNode = errors.New("bus: no such node")
)

// Message is one published message on its way between nodes.
type Message struct {
	Topic   string
	Kind    uint8 // a broadcast.Kind, or that of a Channel; carried and not looked at
	Payload []byte
	From    uint64 // id of the sender; set on what is delivered, ignored on what is sent
}

// Peer is another node that is there.
type Peer struct {
	ID   uint64 // of this life of it: a node that starts anew has another one
	Name string // HOST/PID; empty until the node has said it
}

// Tally is what became of a message: on one node, or the sum over several.
type Tally struct {
	Matched int // members of the topic
	Queued  int // members that the message is on its way to
	Dropped int // members that do not get it, because the node had too much to deliver
}

// Add adds what another node did.
func (t *Tally) Add(other Tally) {
	t.Matched += other.Matched
	t.Queued += other.Queued
	t.Dropped += other.Dropped
}

// Answer is what the other nodes did with a message.
type Answer struct {
	Tally
	Nodes  int // that have said what they did
	Silent int // that were known when the message was sent, and have not, or had lost it
}

// Health is a bus as an operator sees it. The counters begin with the Bus and do not go back.
type Health struct {
	Connected bool
	Reason    string // why not, in words; empty while connected
	Sent      uint64 // own messages that were handed to the broker or the other nodes
	Received  uint64 // messages of other nodes that were delivered
	Missed    uint64 // messages of other nodes that are known to have been lost on the way here
	Unsent    uint64 // own messages that the bus did not take, or could not hand on, for all
	Peers     int    // other nodes that are there
	Probes    Probes // zero where nothing lies between the nodes that could lose them
}

// Bus is one node's connection to the others. Its methods may be called on any goroutine; all but
// Run and Close are quick, and may be called on event loops.
type Bus interface {
	// Publish sends m to the other nodes. It does not wait for them, nor for a slow broker: beyond a
	// bound it returns ErrFull. The payload is kept: nobody may change it any more.
	Publish(ctx context.Context, m Message) error

	// Ask is Publish, and then done is called, exactly once, with what the other nodes did with m:
	// when each that is known has said so, or after AskTimeout with what has come. done runs on any
	// goroutine, perhaps before Ask returns, and must not block. If Ask returns an error, done is not
	// called. A node that had no room for the message is a silent one; while AsksMax questions wait,
	// the message goes out as by Publish, and all nodes count as silent.
	Ask(ctx context.Context, m Message, done func(Answer)) error

	// Send sends m to one other node. It returns ErrNoNode if that is not there, and does not wait:
	// beyond a bound it returns ErrFull. Messages to one node arrive in the order of the Send calls,
	// at most once. They have no numbers, so one that is lost on the way is not counted as missed:
	// who needs an answer waits for it with a deadline, as Channel.Call does.
	Send(ctx context.Context, to uint64, m Message) error

	// Node returns the id of this node, which does not change. It is never 0.
	Node() uint64

	// Peers returns the other nodes that are there, by id. A node that died without a word is among
	// them until it has been silent for some seconds.
	Peers() []Peer

	// Run calls deliver for each message of the other nodes, one at a time, until ctx is done or the
	// bus is closed; it then returns nil. Any other end is an error that says why. deliver returns
	// what the node did with the message. What it gets is its own to keep; the payload may be shared,
	// so it must not change it. A deliver that is too slow loses messages, and they are counted. One
	// Run at a time; a node that does not run hears nothing, and answers that it did nothing.
	Run(ctx context.Context, deliver func(Message) Tally) error

	// Health tells how the bus is.
	Health() Health

	// Close says goodbye, ends Run and frees what the bus holds; questions that wait end with what has
	// come. It may take a second or two where a broker is slow. Closing again does nothing.
	Close() error
}
