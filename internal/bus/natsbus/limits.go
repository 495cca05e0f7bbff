// Limits of the package, each with its unit and the reason for it.

package natsbus

import "time"

const (
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

	// PendingPacketsMax and PendingBytesMax bound what waits in the NATS client to be taken apart,
	// which is quick: beyond them the node has no time at all.
	PendingPacketsMax = 1 << 16
	PendingBytesMax   = 64 << 20

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

	// tickInterval is how exact AskTimeout and PeerTimeout are.
	tickInterval = 100 * time.Millisecond

	// helloQuiet is how long Join waits for one node more to answer its hello, and helloWait how long
	// in all; the first Ask after it is to count everybody. A node that is later is known by its next
	// beat.
	helloQuiet = 100 * time.Millisecond
	helloWait  = 500 * time.Millisecond

	// connectTimeout bounds one attempt to connect: a server that is there answers in milliseconds.
	connectTimeout = 5 * time.Second

	// reconnectDelayMax bounds the pause between two attempts to come back; they begin with a tenth of
	// it.
	reconnectDelayMax = time.Second

	// writeTimeout bounds one write to the socket. It is what the writer, and Close, wait for a server
	// that does not read.
	writeTimeout = 2 * time.Second

	// pingInterval and pingsOutMax find a server that is gone without a word within three seconds.
	pingInterval = time.Second
	pingsOutMax  = 2

	// closeTimeout bounds how long Close waits for what is still to be sent.
	closeTimeout = time.Second
)
