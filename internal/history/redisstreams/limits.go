// Limits of the package, each with its unit and the reason for it.

package redisstreams

import "time"

const (
	// unansweredMax bounds the messages of one pipeline: the answers come when all are stored.
	unansweredMax = 1024

	// liveBytesMax and liveMessagesMax bound a half of the live stream, in bytes and messages; it has
	// the newest half and what has come since. A process that was away for longer than both last does
	// not deliver what is in front of them, and says so.
	liveBytesMax    = 32 << 20
	liveMessagesMax = 100_000

	// entryOverheadBytes is what an entry counts beside its record and its topic, in bytes.
	entryOverheadBytes = 64

	// topicsMax bounds the topics of which the last offset is known. Of the ones beyond it, those that
	// were silent for longest are forgotten: a client that comes back to one is told that messages may
	// be missing.
	topicsMax = 1 << 20

	// trimMax bounds the entries that one append forgets for their age or bytes.
	trimMax = 1000

	// lifeJump is added to the numbers when a server process begins to live, so that those which it
	// had given and lost are not given again. It is more than a server acknowledges before it tells
	// its disk or its replicas.
	lifeJump = 1 << 20

	// livesMax bounds the lives of which it is known which numbers were lost.
	livesMax = 1000

	// keyWindow is how long an idempotency key is remembered.
	keyWindow = 2 * time.Minute

	// dialTimeout bounds one attempt to connect, answerTimeout what a command may take.
	dialTimeout   = time.Second
	answerTimeout = 4 * time.Second

	// keepAlive is the time between two PINGs on a connection that is silent.
	keepAlive = time.Second

	// readBlock is how long the server waits for a message before it answers that there is none, and
	// readMax how many it sends at once.
	readBlock = time.Second
	readMax   = 256

	// openTimeout bounds the time until the server answers at the start of a node, and tryEvery is the
	// time between two tries.
	openTimeout = 30 * time.Second
	tryEvery    = 200 * time.Millisecond

	// reconnectDelayMax bounds the time between two tries to come back; they begin with a tenth of it.
	reconnectDelayMax = 500 * time.Millisecond

	// tickInterval is how exact history.AppendTimeout is.
	tickInterval = 100 * time.Millisecond

	// warmTimeout bounds the time in which a starting process takes the live stream.
	warmTimeout = 30 * time.Second

	// pageMessages bounds one read from the stream of a topic.
	pageMessages = 100

	// prepareTries is how often a topic's log is looked at until it covers a resume: it may be trimmed
	// in between.
	prepareTries = 4

	// bufferBytes is the size of the buffers of a connection.
	bufferBytes = 64 << 10
)
