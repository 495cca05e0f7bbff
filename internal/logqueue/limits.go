// The bounds of the queue, each with its unit and its reason.

package logqueue

const (
	// linesMax and bytesMax bound what waits to be written. Without them a reader that does not
	// read would fill the memory of the process. A busy node logs a few lines a second, so this is
	// enough for a reader that pauses for minutes.
	linesMax = 4096
	bytesMax = 1 << 20
)
