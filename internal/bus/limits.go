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
)
