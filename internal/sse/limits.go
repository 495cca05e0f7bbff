// Every bound of the package, with its unit and its reason.

package sse

import "time"

const (
	// InputBytesMax bounds what a client may send behind its request, in bytes: nothing is
	// expected, a proxy may add a little, and it is thrown away. Beyond it the client is not one of
	// ours, and is closed.
	InputBytesMax = 4 << 10

	// RetryMin and RetryMax bound the time after which a client is told to come back. It is drawn
	// for each, so that those who lose their node at one moment do not all return at one moment.
	RetryMin = time.Second
	RetryMax = 5 * time.Second

	// shedBytesMax bounds what may wait in front of the comment that tells a client of a shortage of
	// memory, in bytes; beyond it the client takes nothing, and its connection is cut.
	shedBytesMax = 4 << 10

	// CloseLinger bounds how long a connection stays after its last event: time for pending output to
	// get out. Without it a client that reads nothing keeps its descriptor.
	CloseLinger = 5 * time.Second
)
