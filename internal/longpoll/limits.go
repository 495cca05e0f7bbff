// Every bound of the package, with its unit and its reason.

package longpoll

import "time"

const (
	// WaitDefault is how long a poll waits for its first message, and WaitMax bounds what a client
	// may ask for: proxies give up after 60 s as a rule, and then the answer is lost.
	WaitDefault = 25 * time.Second
	WaitMax     = 55 * time.Second

	// TopicsMax bounds the topics of a poll: the position that covers all of them comes back in a
	// request head, and fits in history.EventIDBytesMax.
	TopicsMax = 64

	// AnswerBytesMax bounds the messages of an answer, in bytes, but for the last run of them:
	// without it a poll of many topics gets what all of them keep at once. The rest comes with the
	// next poll.
	AnswerBytesMax = 256 << 10

	// EarlyBytesMax bounds what a client may send before its poll is answered, in bytes. Without it
	// one connection could make the loop keep any number.
	EarlyBytesMax = 64 << 10

	// KeepAliveTimeout bounds how long a connection may wait for its next request. Without it
	// clients that are gone keep descriptors.
	KeepAliveTimeout = 75 * time.Second

	// replayPatience is how long a poll that is not to wait does so nevertheless if there are kept
	// messages for it: after a cut, others may be in front of it.
	replayPatience = 5 * time.Second

	// putOffMax bounds how often a request is delayed, by putOffTime each time, because the answer
	// before it is not sent: about half a minute. Without it a client that reads nothing keeps a timer
	// busy.
	putOffMax  = 1000
	putOffTime = 32 * time.Millisecond

	// closeLinger bounds how long a connection stays after its last answer: time for it to get out.
	closeLinger = 5 * time.Second

	// scratchBytesMax bounds a buffer that is kept for the next answer, in bytes.
	scratchBytesMax = 64 << 10
)
