// Limits of the package, each with its unit and the reason for it.

package bus

import "time"

const (
	// InboxBytesMax bounds the bytes that wait for one node's deliver (payload, topic and a fixed sum
	// for each message); without it a node that hangs would fill its memory, or that of all.
	InboxBytesMax = 64 << 20

	// AskTimeout bounds how long an Ask waits for the others; without it a publisher would wait for
	// ever for a node that has just died. It is far above what a busy node needs, and what a person
	// still waits for.
	AskTimeout = time.Second

	// AsksMax bounds the questions of one node that wait for answers. Each is some hundred bytes; a
	// node that asks ten thousand times a second reaches it only when the others do not answer at all.
	AsksMax = 1 << 14

	// CallsMax bounds the calls of one node that wait for answers, and CallBytesMax the bytes that
	// have been answered to one of them: the others count as silent. Without them nodes that answer
	// slowly, or far too much, would fill the memory of the one that asks.
	CallsMax     = 1 << 12
	CallBytesMax = 64 << 20

	// CallTimeoutMax bounds what a caller may want to wait.
	CallTimeoutMax = time.Minute

	// callCheckEvery is how exact the deadline of a call is, and how soon it is known that a node it
	// waits for has gone.
	callCheckEvery = 100 * time.Millisecond

	// messageOverheadBytes is what a waiting message costs beside its bytes. It bounds the number of
	// empty ones.
	messageOverheadBytes = 64

	// OutboxBytesMax bounds the bytes that wait to be sent (payload, topic and a fixed sum for each
	// message); without it a server that does not read would fill the memory of the node. A second of
	// 16 MB/s.
	OutboxBytesMax = 16 << 20

	// outgoingOverheadBytes is what a waiting message costs beside its bytes.
	outgoingOverheadBytes = 96

	// AnswersMax bounds the answers that wait to be sent; without it the questions of the others would
	// fill our memory while the server does not read.
	AnswersMax = 1 << 16

	// PacketBytesMax is how large a packet of several records may become. One record may be larger.
	// Larger packets save nothing, and what is left of one in memory holds all of it.
	PacketBytesMax = 32 << 10

	// NameBytesMax bounds a node's name, whose length is one byte of a packet.
	NameBytesMax = 255

	// BeatInterval is the time between two signs of life, and so the time after which a loss is known.
	BeatInterval = time.Second

	// PeerTimeout is the silence after which a node is not asked any more: three beats.
	PeerTimeout = 3 * time.Second

	// PeerMemory is how long a silent node's latest number is kept, to count what was lost when it
	// comes back: longer than an outage that somebody works on.
	PeerMemory = time.Hour

	// PeersMax bounds the nodes that are known; without it names that never come back would pile up.
	// All hear all, so a bus of a thousand nodes is none.
	PeersMax = 1024

	// newsMax bounds the lines about nodes that have come and gone in one second: without it a bus of
	// a thousand nodes that comes apart fills the log.
	newsMax = 20

	// tickInterval is how exact AskTimeout and PeerTimeout are.
	tickInterval = 100 * time.Millisecond

	// helloQuiet is how long Join waits for one node more to answer its hello, and helloWait how long
	// in all; the first Ask after it is to count everybody. A node that is later is known by its next
	// beat.
	helloQuiet = 100 * time.Millisecond
	helloWait  = 500 * time.Millisecond

	// CloseTimeout bounds how long Close waits for what is still to be sent.
	CloseTimeout = time.Second

	// ProbeInterval is the time between two probes: own messages that have to come back.
	ProbeInterval = time.Second

	// ProbeSilenceMax is the time without a probe that has come back after which the bus counts as
	// lost, so that an operator sees it within three seconds; and the time between two attempts to
	// mend it with a new connection.
	ProbeSilenceMax = 2500 * time.Millisecond

	// ProbeTimeout is how long one probe may take before it is counted as lost.
	ProbeTimeout = 2 * time.Second

	// foreignBytesMin is how many bytes of strangers must have come for probes to be given time: more
	// than stand before a probe for a moment. With less in ProbeSilenceMax, silence is silence.
	foreignBytesMin = 1 << 20

	// sequenceMax bounds the number of a message. No node reaches it; a forged one beyond must not
	// wrap around.
	sequenceMax = 1 << 62

	// batchBytesMax bounds what is encoded at once for the broker, in bytes; one record may be larger.
	batchBytesMax = 1 << 20
)
