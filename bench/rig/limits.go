// What bounds a measurement: waits, and what is kept of foreign output.

package rig

import "time"

const (
	// startTimeout bounds the time until a node with all its workers is ready; startPause lies between
	// two looks.
	startTimeout = 30 * time.Second
	startPause   = 20 * time.Millisecond
	// stopTimeout bounds the time from TERM to KILL: the drain that the node was given, and letting go
	// of a hundred thousand sockets.
	stopTimeout = 30 * time.Second
	// askTimeout bounds a question to the admin port. The node may be busy with a storm.
	askTimeout = 30 * time.Second

	// logLineBytesMax bounds a line of the node's log; a longer one ends the reading, and shows as an
	// error.
	logLineBytesMax = 1 << 20
	// errorsKept and lastWordsKept bound the lines that are kept.
	errorsKept    = 20
	lastWordsKept = 20
	// statsBytesMax bounds the document of statistics.
	statsBytesMax = 1 << 20

	// killPatience bounds how long the kernel may take to end a worker that was killed.
	killPatience = 30 * time.Second

	// watchPause lies between two readings of a Watch: short enough to see when all are back, long
	// enough to cost nothing.
	watchPause = 250 * time.Millisecond
	// watchKept bounds the readings of a Watch; when they are that many, every second one is given up.
	watchKept = 8192

	// sideTimeout bounds the start of a server that takes turns, and of its load; sideSlack is how
	// much longer than the rounds the load runs.
	sideTimeout = 30 * time.Second
	sideSlack   = time.Minute
	// childTimeout bounds the time from TERM to KILL of either.
	childTimeout = 5 * time.Second
	// firstPause is for the first messages of the connections of a load, which cost more than the
	// later ones.
	firstPause = time.Second

	// interruptTimeout bounds the time from the interruption of the load generator to its end by
	// force: it settles and writes first.
	interruptTimeout = 30 * time.Second
)
