// The bounds of the HTTP API, each with its unit and its reason.

package admin

import "time"

const (
	// MessageBytesMaxDefault bounds a payload, in bytes, where Config.MessageBytesMax is zero. It is
	// the default of --max-message.
	MessageBytesMaxDefault = 64 << 10

	// PublishBytesMax bounds the body of POST /v1/publish, in bytes. Without it one request takes as
	// much memory as its sender likes. A node whose --max-message is larger allows twice that instead,
	// so that one message of the greatest length still fits in after JSON or base64 has made it
	// longer.
	PublishBytesMax = 8 << 20

	// RevokeBytesMax bounds the body of POST /v1/revocations, in bytes, and RevokeMax its
	// revocations: one request is one message for each other node.
	RevokeBytesMax = 4 << 20
	RevokeMax      = 20_000

	// RevocationsPage bounds the revocations of one answer.
	RevocationsPage = 1000

	// PublishItemsMax bounds the items of one POST /v1/publish. Each costs up to a few hundred bytes
	// of answer; without it 8 MiB of "{},{},…" ask for three million error documents.
	PublishItemsMax = 10_000

	// PublishTopicsMax bounds the publishes of one POST /v1/publish: the sum of the topics of all its
	// items. Without it one request holds a goroutine for as long as its sender likes.
	PublishTopicsMax = 10_000

	// TopicsPage is how many topics GET /v1/topics lists where no limit is asked for, and
	// TopicsPageMax how many at most. A node may have a million topics; without the bound one answer
	// would be hundreds of megabytes.
	TopicsPage    = 1_000
	TopicsPageMax = 10_000

	// ConnectionsPage is how many connections, or ends of some, one answer lists where no limit is
	// asked for, and ConnectionsPageMax how many at most: an entry has about 250 bytes.
	ConnectionsPage    = 100
	ConnectionsPageMax = 1_000

	// SubscriptionsMax bounds the topics that are listed of one connection.
	SubscriptionsMax = 1_000

	// InspectTimeout bounds how long an answer about connections waits for loops and workers. Without
	// it a loop that is stuck would hold the answer.
	InspectTimeout = 5 * time.Second

	// StreamBeat is how often a stream shows that it lives, and StreamWriteTimeout how long a client
	// may take nothing of it.
	StreamBeat         = 15 * time.Second
	StreamWriteTimeout = 10 * time.Second

	// RecordEvery is the time between two samples of the figures while somebody watches, and
	// RecordIdle while nobody does. RecordAge is how long they are kept, and RecordMax how many, of
	// some 400 bytes each. A watcher who reads nothing misses samples beyond recordQueued.
	RecordEvery  = time.Second
	RecordIdle   = 5 * time.Second
	RecordAge    = 10 * time.Minute
	RecordMax    = 700
	recordQueued = 4

	// SessionAge is how long a page of the dashboard stays logged in, and SessionsMax bounds the pages
	// that are, each with some 200 bytes.
	SessionAge  = 12 * time.Hour
	SessionsMax = 256

	// TracesMax bounds the traces of a process that run at one time: each is asked about each message.
	TracesMax = 8

	// ScrapesMax bounds the scrapes of /metrics that run at the same time. Without it an impatient
	// scraper piles them up; beyond it: 503.
	ScrapesMax = 4

	// BodyKeptBytesMax bounds the read buffers that are kept for the next request, in bytes each.
	// Without it a single large body would stay allocated for ever.
	BodyKeptBytesMax = 256 << 10

	// ConnsMax bounds the connections of a Server. Without it a flood of strangers takes the
	// descriptors of the public port.
	ConnsMax = 256

	// GuessesMax is how many wrong keys an address may try at once, and GuessEvery how long it then
	// waits for each further one. Without them a guesser tries thousands of keys a second.
	GuessesMax = 10
	GuessEvery = time.Second

	// UnguessableBytes is the length from which on a key needs no such protection, and the right one
	// is always taken. At a million tries a second, half of the keys of 24 hexadecimal digits are
	// tried after a billion years.
	UnguessableBytes = 24

	// GuessAddressesMax bounds the addresses whose guesses are counted, each with some 60 bytes.
	GuessAddressesMax = 4096

	// GuessLogEvery is how often the log tells of wrong keys, with their number. Without it a guesser
	// fills the log.
	GuessLogEvery = 10 * time.Second

	// bodyIgnoredBytesMax bounds a body that is not used, in bytes, where a request is passed on as a
	// whole.
	bodyIgnoredBytesMax = 4 << 10

	// QuotedBytesMax bounds how much of a caller's own text an error quotes back, in bytes. Without it
	// ten thousand bad items with long keys make an answer many times the size of the request.
	QuotedBytesMax = 64
)

// Idempotency keys.
const (
	// KeyBytesMax bounds a key, in bytes.
	KeyBytesMax = 255
	// KeysMax bounds the keys that are remembered; beyond it the oldest are forgotten early. Without
	// it two minutes of publishes with keys fill the memory.
	KeysMax = 100_000
	// KeyAge is how long a key is remembered.
	KeyAge = 2 * time.Minute
)

// The pages of GET /v1/topics/{topic}/history, in messages.
const (
	// HistoryPage is the default of limit.
	HistoryPage = 100
	// HistoryPageMax bounds limit; without it one answer holds all that is kept of a topic.
	HistoryPageMax = 1000
)

// The timeouts of Server. Without them each connection that stalls keeps a goroutine and its
// buffers.
const (
	// HeaderTimeout bounds the time to the end of a request's head.
	HeaderTimeout = 5 * time.Second
	// ReadTimeout bounds the time to the end of a request's body.
	ReadTimeout = 30 * time.Second
	// WriteTimeout bounds the time to the end of the answer. pprof's profile and trace lift it for
	// themselves.
	WriteTimeout = 60 * time.Second
	// IdleTimeout bounds the time between two requests of a connection; it is longer than the usual
	// scrape interval, so that scrapers reuse theirs.
	IdleTimeout = 120 * time.Second
	// HeaderBytesMax bounds a request's head, in bytes.
	HeaderBytesMax = 16 << 10

	// closeGrace bounds how long answers of the admin port may delay the end of the node.
	closeGrace = 500 * time.Millisecond
)
