// Limits of the package, each with its unit and the reason for it.

package engineio

import "time"

const (
	// maxConnsDefault is what Options.MaxConns = 0 means: connections. Most systems let a process open
	// more files than that.
	maxConnsDefault = 10_000

	// queueBytesMax bounds the messages that wait for one event loop, in bytes. Without it a program
	// that sends faster than the loop can would fill the memory.
	queueBytesMax = 64 << 20

	// messageBytes is what a waiting message counts in addition to its data.
	messageBytes = 128

	// httpHeaderTimeout bounds the head of a later request on a connection that net/http handles
	// again. Without it a client that sends half a head occupies a goroutine.
	httpHeaderTimeout = 10 * time.Second

	// httpIdleTimeout bounds how long such a connection may wait for a request.
	httpIdleTimeout = 75 * time.Second

	// closeGrace is how long Close waits until connections have ended.
	closeGrace = time.Second

	// closePollInterval is how often Close checks meanwhile whether all have ended.
	closePollInterval = 5 * time.Millisecond
)
