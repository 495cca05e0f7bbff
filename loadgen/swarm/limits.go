// Every bound of a swarm, with its unit and its reason.

package swarm

import "time"

const (
	// NapDefault is how long a loop under load sleeps between two looks, where the Spec says nothing:
	// half of it is what it adds to a latency.
	NapDefault = 100 * time.Microsecond

	// A nap costs ten to thirty microseconds of a processor, whatever its length. A crowd that only
	// listens therefore naps for longer: for napPerListener a client, which is a hundredth of what a
	// fan-out to all of them takes at best, up to napListening.
	napPerListener = 50 * time.Nanosecond
	napListening   = 500 * time.Microsecond

	// napMax bounds the sleep that a Spec may ask for: a longer one would delay all messages.
	napMax = time.Second

	// MessageBytesMax bounds a message's payload, in bytes, sent and received; without the second a
	// server decides how much memory a client takes.
	MessageBytesMax = 1 << 20

	// paddingBytesMax is how much of it is not the token.
	paddingBytesMax = MessageBytesMax - TokenBytes

	// envelopeBytesMax bounds what a protocol puts around a payload, in bytes.
	envelopeBytesMax = 64 << 10

	// headBytesMax bounds a response's head, in bytes: as much as servers allow requests.
	headBytesMax = 8 << 10

	// lineBytesMax bounds one line of an event stream, in bytes; what is longer can be no message of
	// ours.
	lineBytesMax = MessageBytesMax + envelopeBytesMax

	// connectingMax bounds the connections under way. A listener's queue holds 4,096 at best, and what
	// does not fit there is tried again by the kernel after a second: the ramp would be slower, and
	// its latencies those of TCP's timers.
	connectingMax = 512

	// connectsPerTurnMax, sendsPerTurnMax and closesPerTurnMax bound what one turn begins, so that
	// what comes in meanwhile does not wait for longer than a batch takes. The sends are as many as
	// one batch of io_uring carries.
	connectsPerTurnMax = 64
	sendsPerTurnMax    = 512
	closesPerTurnMax   = 512

	// connectLag bounds how far the pace of connects may be behind and still catch up; without it a
	// pause is followed by a burst.
	connectLag = 100 * time.Millisecond

	// pendingBytesMax bounds what a connection may owe to its socket, in bytes: beyond it what is due
	// is not sent, and counted as Unsent.
	pendingBytesMax = 256 << 10

	// retryMin and retryMax bound the pause before a connection is tried again; it doubles from one to
	// the other. retryAfterMax is how much a server may ask for.
	retryMin      = 100 * time.Millisecond
	retryMax      = 5 * time.Second
	retryAfterMax = 15 * time.Second

	// DropAwayMax bounds how long dropped connections stay away: the calendar holds no more.
	DropAwayMax = retryAfterMax

	// placeBytesMax and pidBytesMax bound what a client shows to go on where it was, in bytes: a
	// position has 64 at most in package history, the offset of a node for clients of Socket.IO has
	// that, the name of the topic and 20 more, and Socket.IO's ids have 20.
	placeBytesMax = 128
	pidBytesMax   = 32

	// retryTick and retryTicks are the calendar of those who wait: a round must be longer than
	// retryAfterMax.
	retryTick  = 10 * time.Millisecond
	retryTicks = 2048

	// closeLinger is how long a connection that we close waits for the server to close it: the side
	// that closes first keeps the port for a minute, and in a test of churn they would run out.
	closeLinger = 2 * time.Second

	// endWithin is how long the swarm waits for its connections to be closed at the end.
	endWithin = 3 * time.Second

	// settleLook is how often a swarm that settles counts whether everything has come.
	settleLook = 20 * time.Millisecond

	// sampleEvery is the time between two Samples.
	sampleEvery = time.Second

	// samplingNice is the priority of the thread that compresses them, relative to the loop's: enough
	// that the loop preempts it whenever it wakes.
	samplingNice = 10

	// samplesMax bounds the Samples that the loop has taken and nobody has taken from it. When they
	// are this many, the next is due later.
	samplesMax = 16

	// spreadsMax bounds the publishes of one Sample. Where more are received in a second, there are
	// Spreads for every second of them, every fourth, and so on.
	spreadsMax = 4096

	// reasonsMax bounds the reasons that are told apart; all others are "other". A server may close
	// with four thousand codes.
	reasonsMax = 64

	// histogramMin, histogramMax and histogramDigits are what a Histogram tells apart: a microsecond
	// to five minutes, to one in a thousand. selfDigits are enough for what the loop knows of itself:
	// one in a hundred, an eighth of the memory.
	histogramMin    = int64(time.Microsecond)
	histogramMax    = int64(5 * time.Minute)
	histogramDigits = 3
	selfDigits      = 2

	// packedHint is room for most packed histograms: a few hundred buckets.
	packedHint = 1 << 10

	// attachmentsMax bounds the attachments of a Socket.IO packet, as the reference does.
	attachmentsMax = 10
)
