// The bounds of the package, each with its unit and its reason.

package hooks

import "time"

const (
	// AskedMax bounds the requests of one hook that its own goroutine has not looked at. Without it
	// clients could fill the memory of the node faster than requests are encoded.
	AskedMax = 16 << 10

	// WaitingMax bounds the requests that wait for one of the Backend's slots. Each holds its body.
	// Beyond it a request fails at once.
	WaitingMax = 16 << 10

	// waitingBytesMax bounds the bodies of those requests, in bytes: that of a publish holds the
	// message.
	waitingBytesMax = 64 << 20

	// AnswerBytesMax bounds an answer in bytes; a longer one is a failure. Without it a backend could
	// fill the memory of the node.
	AnswerBytesMax = 64 << 10

	// answerHeaderBytesMax bounds the header of an answer in bytes, for the same reason.
	answerHeaderBytesMax = 16 << 10

	// ReasonBytesMax is where the reason of an answer is cut, in bytes: a WebSocket close frame has
	// room for 123 (RFC 6455, 5.5).
	ReasonBytesMax = 123

	// SubjectBytesMax bounds the subject of an answer, in bytes.
	SubjectBytesMax = 255

	// CacheEntriesMax and CacheBytesMax bound what a hook remembers. Beyond them the answer that was
	// not used for the longest time is forgotten.
	CacheEntriesMax = 64 << 10
	CacheBytesMax   = 16 << 20

	// CacheTimeMax bounds how long an answer is remembered, whatever it says: a mistake of the
	// backend must not last for a year.
	CacheTimeMax = time.Hour

	// cacheEntryBytes is what an entry of the cache costs beside its answer, in bytes.
	cacheEntryBytes = 256

	// A circuit breaker opens after breakerRow failures in a row, or where half of at least
	// breakerMin requests within breakerWindow failed. It stays open for breakerPause; then
	// breakerProbes requests at one time try whether the backend has recovered. Without it each
	// client waits the whole timeout for a backend that hangs.
	breakerRow    = 10
	breakerMin    = 20
	breakerWindow = 10 * time.Second
	breakerPause  = 2 * time.Second
	breakerProbes = 4

	// idleTimeout is how long a connection to the backend is kept without a request.
	idleTimeout = 30 * time.Second

	// dialTimeout bounds the time to connect to the backend.
	dialTimeout = 5 * time.Second

	// SecretBytesMax bounds the secret of the signature in bytes: a file of more is the wrong file.
	SecretBytesMax = 4 << 10

	// InboxMax bounds the events that the goroutine of the queue has not encoded. A fan-out of
	// closes puts one event for each connection there within one turn of a loop.
	InboxMax = 64 << 10

	// QueueEventsMax and QueueBytesMax bound the events in memory that the backend has not taken.
	// Beyond them new events are dropped, and counted.
	QueueEventsMax = 256 << 10
	QueueBytesMax  = 32 << 20

	// SpoolBytesMax bounds the events on disk that the backend has not taken, in bytes.
	SpoolBytesMax = 256 << 20

	// segmentBytes is the size of a file of the queue on disk, from which on the next one is begun:
	// space is given back a file at a time.
	segmentBytes = 4 << 20

	// batchEventsMax and batchBytesMax bound one batch.
	batchEventsMax = 500
	batchBytesMax  = 256 << 10

	// eventBytesMax bounds one event on disk, in bytes: a line of more is no event of ours.
	eventBytesMax = 8 << 10

	// retryFirst and retryMax are the pause after the first failed batch, and the longest one. The
	// pause doubles in between.
	retryFirst = 100 * time.Millisecond
	retryMax   = 30 * time.Second

	// closeMax bounds the time that Events.Close sends what is queued: a node that stops must not
	// wait for a backend that takes a second for each batch.
	closeMax = 5 * time.Second
)
