// Limits of the package, each with its unit and the reason for it.

package jetstream

import "time"

const (
	// UnansweredMax bounds the messages that are sent and not answered: a NATS server refuses what is
	// in the queue of a stream beyond 10,000, for all processes together.
	UnansweredMax = 2048

	// tickInterval is how exact AppendTimeout is, and lookEvery how often the streams are looked at: a
	// stream that was deleted, and deliveries that have stopped, show within that time.
	tickInterval = 100 * time.Millisecond
	lookEvery    = 2 * time.Second

	// livePendingMax and livePendingBytesMax bound what has arrived from the streams and waits for the
	// hub, in messages and bytes for each stream. Beyond them messages are dropped, and read from the
	// stream later.
	livePendingMax      = 64 << 10
	livePendingBytesMax = 32 << 20

	// syncTimeout bounds the wait for one sync; then it is asked for again.
	syncTimeout = 5 * time.Second

	// callTimeout bounds one request to the server.
	callTimeout = 5 * time.Second

	// openTimeout bounds the time until the server answers at the start of a node, tryTimeout one try,
	// and tryEvery is the time between two: a server that starts with the node needs a moment, and a
	// cluster has to elect a leader, for which a majority of its nodes must be there.
	openTimeout = 60 * time.Second
	tryTimeout  = 2 * time.Second
	tryEvery    = 200 * time.Millisecond

	// replicasWait is how long a starting node waits for a cluster that cannot place three replicas. A
	// cluster of the nodes themselves needs a second or two until all of them are known.
	replicasWait = 15 * time.Second

	// warmTimeout bounds the time in which a starting process takes the newest messages.
	warmTimeout = 30 * time.Second

	// warmBytesMax and warmMessagesMax bound those, over all streams: about a second.
	warmBytesMax    = 64 << 20
	warmMessagesMax = 200_000

	// farewellTimeout bounds the notes at the end of a process.
	farewellTimeout = 2 * time.Second

	// deletedMax bounds the numbers that a starting process asks for: a stream with more of them is
	// not searched for damage.
	deletedMax = 100_000

	// keyWindow is how long JetStream remembers an idempotency key. It is also the least time for
	// which it keeps a message: the window must not be longer.
	keyWindow = 2 * time.Minute

	// pageMessages and pageBytes bound one read from a stream.
	pageMessages = 1000
	pageBytes    = 4 << 20

	// prepareTries is how often a topic's log is looked at until it covers a resume: it may be trimmed
	// in between.
	prepareTries = 4

	// reconnectDelayMax bounds the time between two tries to reach the server.
	reconnectDelayMax = time.Second
)
