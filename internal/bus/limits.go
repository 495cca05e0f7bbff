// Limits of the package, each with its unit and the reason for it.

package bus

const (
	// QueueBytesMax bounds the bytes that wait for one node of a Memory (payload, topic and a fixed sum for
	// each message); without it a node that does not run, or hangs, would fill the memory of all.
	QueueBytesMax = 64 << 20

	// messageOverheadBytes is what a waiting message costs beside its bytes. It bounds the number of empty
	// ones.
	messageOverheadBytes = 64
)
