// Limits of the package in one place: each with its unit and the reason for it.

package history

import "time"

const (
	// RulesMax bounds the rules: each topic that begins is matched against them.
	RulesMax = 100

	// AgeMax bounds how long a message is kept.
	AgeMax = 366 * 24 * time.Hour

	// PositionBytesMax bounds the text of a position, in bytes: an epoch and 20 digits.
	PositionBytesMax = EpochBytesMax + 1 + 20

	// EpochBytesMax bounds an epoch, in bytes. Positions are in every message.
	EpochBytesMax = 32

	// LastMax is the most messages that a client may ask for by number.
	LastMax = 1000

	// EventIDBytesMax bounds an event id of Server-Sent Events, in bytes: one position for each of 64
	// topics. It comes back in a request head.
	EventIDBytesMax = 4096

	// AppendsMax and AppendBytesMax bound what waits to be stored, in messages and bytes; beyond them
	// Store.Append returns ErrFull. Without them a store that has gone would fill the memory. It is
	// more than a second of 20,000 messages.
	AppendsMax     = 32 << 10
	AppendBytesMax = 64 << 20

	// AppendOverheadBytes is what a waiting message costs beside its bytes.
	AppendOverheadBytes = 320

	// AuthorBytesMax bounds the subject of a client in a record, in bytes.
	AuthorBytesMax = 255

	// AppendTimeout bounds the wait for the answer of the store, and for the message to come back.
	AppendTimeout = 5 * time.Second

	// loadsMax bounds the topics whose older messages are read at the same time, each of which may
	// take a part of the memory for history.
	loadsMax = 8

	// loadTimeout bounds one read of older messages.
	loadTimeout = 5 * time.Second
)
