// Limits of the package, each with its unit and the reason for it.

package natsbus

import "time"

const (
	// PendingPacketsMax and PendingBytesMax bound what waits in the NATS client to be taken apart,
	// which is quick: beyond them the node has no time at all.
	PendingPacketsMax = 1 << 16
	PendingBytesMax   = 64 << 20

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
)
