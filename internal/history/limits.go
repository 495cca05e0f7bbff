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
)
