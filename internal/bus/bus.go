// Package bus is what goes between processes and machines: a node publishes, the others hear.
//
// There are only two types: a [Bus] is one node's connection to the others, and a [Message] is what one of
// them has published. A bus knows nothing of members: each node fans out to its own. Adapters to brokers
// are packages beside it; all of them pass the same test (bustest). [Memory] joins nodes of one process.
//
// What every Bus keeps to:
//
//   - A message reaches each other node that runs at that time, at most once; lost connections lose
//     messages. It does not come back to the node that published it, which has delivered it already.
//   - Messages of one node arrive in the order of its Publish calls. There is no order between nodes.
//   - Topics and payloads arrive byte for byte. A topic is any topic of package broadcast: nothing in it is
//     a wildcard.
package bus

import (
	"context"
	"errors"
)

var (
	// ErrClosed is returned by Publish and Run after Close.
	ErrClosed = errors.New("bus: closed")
	// ErrRunning is returned by a second Run while the first has not ended.
	ErrRunning = errors.New("bus: already running")
	// ErrFull is returned by Publish when the message was not taken, or not for all, because what waits for
	// a slow node or broker has reached its limit.
	ErrFull = errors.New("bus: full")
)

// Message is one published message on its way between nodes.
type Message struct {
	Topic   string
	Kind    uint8 // a broadcast.Kind; carried and not looked at
	Payload []byte
}

// Bus is one node's connection to the others. Its methods may be called on any goroutine.
type Bus interface {
	// Publish sends m to the other nodes. It does not wait for them: it is called on event loops. The
	// payload is kept: nobody may change it any more.
	Publish(ctx context.Context, m Message) error

	// Run calls deliver for each message of the other nodes, one at a time, until ctx is done or the bus is
	// closed; it then returns nil. Any other end is an error that says why. What deliver gets is its own to
	// keep; the payload may be shared, so it must not change it. One Run at a time.
	Run(ctx context.Context, deliver func(Message)) error

	// Close ends Run and frees what the bus holds. Closing again does nothing.
	Close() error
}
