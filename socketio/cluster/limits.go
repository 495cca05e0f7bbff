// Limits of the package in one place: each with its unit and the reason for it.

package cluster

import "time"

const (
	// outBytesMax bounds what waits to be sent to the other servers, in bytes. When it is full, calls
	// return socketio.ErrBusy. Without it a slow Redis would fill the memory.
	outBytesMax = 64 << 20

	// outMessageBytes is what a waiting message counts in addition to its bytes.
	outMessageBytes = 128

	// batchMax bounds the messages that are written at once, and batchBytesMax their bytes. Without
	// them a full queue would be one write, and its first message would wait for the last.
	batchMax      = 512
	batchBytesMax = 1 << 20

	// requestsMax bounds the requests of a namespace that wait for answers, and broadcasts that wait
	// for acknowledgements. Without it servers that do not answer would let them fill the memory.
	requestsMax = 10_000

	// answersBytesMax bounds the answers to one request, in bytes. An answer beyond it counts as one
	// that has not come.
	answersBytesMax = 256 << 20

	// foreignAcksMax bounds the broadcasts of other servers in a namespace whose acknowledgements are
	// being collected here. Without it another server could let the sockets that are asked fill the
	// memory.
	foreignAcksMax = 10_000

	// partBytesDefault is what OverOptions.PartBytesMax = 0 means: half of what NATS takes by default.
	partBytesDefault = 512 << 10

	// partialMax bounds the messages of which parts have come. Each has at most
	// siowire.AnswerBytesMax. Without it servers that send the beginnings of messages would fill the
	// memory.
	partialMax = 8

	// headTextMax bounds a text in the head of a message over a bus, in bytes: a namespace has at most
	// 255.
	headTextMax = 255

	// serversMax bounds the servers that are known by their UID. Without it messages with invented
	// UIDs would fill the memory.
	serversMax = 10_000

	// requestTimeoutDefault is how long servers have to answer, as with Node's adapters.
	requestTimeoutDefault = 5 * time.Second

	// ackTimeoutDefault is how long clients have to acknowledge a broadcast that says nothing else.
	ackTimeoutDefault = 10 * time.Second

	// probeEvery is how often a namespace asks who is there, while requests are made.
	probeEvery = time.Second

	// probeTimeout is how long a server has to answer that. A server of Node that computes for longer
	// is taken for one that does not answer.
	probeTimeout = 2 * time.Second

	// probeFor is how long a namespace goes on asking after a request. Namespaces that make no
	// requests cost nothing.
	probeFor = time.Minute

	// silentFor is how long a server that does not answer is reported as silent. After that it is
	// taken for a program that only listens.
	silentFor = time.Minute

	// redialMin and redialMax are how long the subscriber waits before it connects again.
	redialMin = 50 * time.Millisecond
	redialMax = 2 * time.Second

	// dialTimeout is how long it may take to connect to Redis, and writeTimeout how long a command may
	// take.
	dialTimeout  = 5 * time.Second
	writeTimeout = 5 * time.Second

	// redisSlots are the slots of a Redis Cluster.
	redisSlots = 16384

	// subBufferBytes is the buffer of a connection that receives: messages up to that are decoded in
	// place.
	subBufferBytes = 64 << 10

	// channelBytesMax bounds the name of a channel, in bytes, with the longest prefix, namespace and
	// room that there are, a few times over. Messages of others are skipped.
	channelBytesMax = 4 << 10

	// subStringBytesMax is what Redis takes for one string, in bytes. Another length is no protocol of
	// Redis.
	subStringBytesMax = 512 << 20

	// subEventsMax is how many events of connections wait until the subscriber takes them.
	subEventsMax = 1024

	// subQuietMax is how long a connection may say nothing before it is asked whether it is there, and
	// then before it is taken for dead.
	subQuietMax = 3 * time.Second

	// streamLengthDefault is what StreamsOptions.LengthMax = 0 means, as with Node's adapter.
	streamLengthDefault = 10_000

	// streamsMax bounds StreamsOptions.Count: each stream has a connection that reads it, and one more
	// for the number below zero.
	streamsMax = 64

	// takesMax bounds the sessions of a namespace that are being taken from Redis. Clients beyond it
	// begin anew. Without it a Redis that does not answer would let them fill the memory.
	takesMax = 10_000

	// takeTimeout is how long that may take: the client waits for it.
	takeTimeout = 2 * time.Second

	// fillTimeout is how long it may take to read the entries from before a server's time.
	fillTimeout = 5 * time.Second

	// streamReadMax is how many entries are read at once, and streamBlock how long Redis waits for the
	// next, as with Node's adapter.
	streamReadMax = 100
	streamBlock   = 5 * time.Second

	// stopTimeout is how long a cluster that is closed goes on sending what is queued.
	stopTimeout = time.Second
)
