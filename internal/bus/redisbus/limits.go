// Limits of the package, each with its unit and the reason for it.

package redisbus

import "time"

const (
	// dialTimeout bounds one attempt to connect: a server that is there answers in milliseconds, and
	// a failover must not wait longer for the master that is gone.
	dialTimeout = time.Second

	// answerTimeout bounds what a command may take, and finds a server that is gone without a word.
	answerTimeout = 2 * time.Second

	// keepAlive is the silence after which a connection gets a PING, and of TCP. Probes find a dead
	// connection sooner. A shorter time would end one on which a large packet is still coming in.
	keepAlive = 10 * time.Second

	// reconnectDelayMax bounds the pause between two attempts to come back; they begin with a tenth of
	// it. Messages are lost meanwhile, and an attempt is one connection.
	reconnectDelayMax = 250 * time.Millisecond

	// payloadBytesMax is what Redis takes in one argument, in bytes, unless it is configured
	// otherwise.
	payloadBytesMax = 512 << 20

	// bufferBytes is the size of each connection's buffers; a batch of packets is larger and passes
	// them by.
	bufferBytes = 64 << 10
)
