// Package history is what is kept of topics, and how clients name a place in it.
//
// There are only a few types. [Rules] says of a topic how much is kept. A position, EPOCH.OFFSET,
// names a message; [AppendPosition] and [ParsePosition] are its text, and [From] reads a client's
// wish where to begin: behind a position, before the last messages, or some time ago. An [Epochs]
// makes the epochs of a node that keeps messages in its memory only.
//
// What is kept lies in package broadcast, beside the topics, in the memory of the process.
package history
