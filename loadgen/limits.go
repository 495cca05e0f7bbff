// What bounds a run. Every queue, every wait and every read of foreign bytes has its limit here.

package loadgen

import (
	"time"

	"c100k/loadgen/swarm"
)

const (
	// ConnsMax bounds the connections of a run: the loopback addresses have ports for more, but a
	// machine hardly has the memory.
	ConnsMax = 2_000_000
	// TopicsMax bounds the topics of a run; each is a sender, about which every connection keeps a
	// record.
	TopicsMax = 100_000
	// RateMin and RateMax bound every rate, given by a flag or by a key. Above RateMax the pause
	// between two messages is too short to measure. Below RateMin it is longer than a clock can count
	// or a user waits.
	RateMin = 0.001
	RateMax = 10_000_000
	// SizeMax bounds a message, in bytes.
	SizeMax = swarm.MessageBytesMax

	// BurstMax bounds the messages that a publisher writes at once.
	BurstMax = 1024

	// cutEveryMin bounds the pause between two cuts of a recovery: a shorter one asks for another
	// before the processes of the load have told of the last.
	cutEveryMin = 100 * time.Millisecond

	// filesReserve is the number of descriptors that a process keeps for everything but load
	// connections: loops, rings, pipes, binaries, DNS.
	filesReserve = 256
	// portsShare is the share of the ephemeral ports that one source address uses. The kernel takes
	// the ports of one parity first. When they are used up, it scans all of them before it takes a
	// port of the other parity, and an address opens only some hundred connections a second.
	portsShare = 0.48
	// sourcesMax bounds the loopback addresses that connections come from.
	sourcesMax = 1024
	// processesMax bounds the processes of a run: more are a sign of a limit on open files that nobody
	// wants to work around.
	processesMax = 256

	// probeTimeout bounds finding out whether the target is there and what it speaks.
	probeTimeout = 10 * time.Second
	// welcomeWithin is how long a server that selected c100k.v1 has for its welcome: npm ws selects
	// whatever is offered first.
	welcomeWithin = time.Second
	// addressesMax bounds the addresses of a name that a run is spread over; a DNS answer may have
	// hundreds.
	addressesMax = 64
	// probeBytesMax bounds what is read of the target's first answer.
	probeBytesMax = 64 << 10

	// rampSlack and rampPerConn bound the time until all connections are up, beside what
	// --connect-rate asks for: slow machines make some hundred TLS handshakes a second.
	rampSlack   = 30 * time.Second
	rampPerConn = 5 * time.Millisecond
	// rampStall is for how long no connection need open, while some are missing, until the run goes on
	// with those it has.
	rampStall = 10 * time.Second
	// stormBack bounds the wait until all are back after a storm: 100,000 TLS handshakes on a few
	// processors take minutes.
	stormBack = 5 * time.Minute

	// lookEvery is how often a run checks what it waits for when no sample comes.
	lookEvery = 250 * time.Millisecond
	// silenceMax is how long a process may send no sample; it sends one a second.
	silenceMax = 20 * time.Second
	// beginWithin, settleSlack and endWithin bound the answers to an Order.
	beginWithin = 20 * time.Second
	settleSlack = 10 * time.Second
	endWithin   = 20 * time.Second
	// interruptedSettle bounds the wait for what is on its way when the run is interrupted.
	interruptedSettle = 2 * time.Second
	// orderWithin bounds handing an order to a process: it reads at once unless it hangs.
	orderWithin = 10 * time.Second

	// sampleBytesMax bounds one line of a process: histograms of some kilobytes, and up to the spreads
	// of a second.
	sampleBytesMax = 64 << 20
	// stderrBytesMax bounds what is kept of the end of a process's standard error.
	stderrBytesMax = 4 << 10
	// inboxSamples bounds the samples that wait for the coordinator.
	inboxSamples = 256

	// spreadPatience is how long after its sending a publish may still be heard of by further
	// processes.
	spreadPatience = 30 * time.Second
	// spreadsMax bounds the publishes that are kept until then.
	spreadsMax = 1_000_000

	// lanesMax bounds the connections of a publisher that serves many topics, laneQueue the messages
	// that wait on each: beyond it they are counted as unsent.
	lanesMax  = 64
	laneQueue = 4096
	// offersMax bounds the messages that the publisher's schedule hands out in one go: a rate that it
	// cannot follow must not keep it from ending.
	offersMax = 1000
	// publishTimeout bounds one publish.
	publishTimeout = 30 * time.Second
	// roundWithin bounds the wait of a closed-loop publisher for receivers that do not get a message.
	// Then it goes on.
	roundWithin = 10 * time.Second
	// closeFrameWithin bounds the close frame of a publisher's WebSocket.
	closeFrameWithin = time.Second
	// publishRetry is the pause of a lane whose connection was lost.
	publishRetry = 250 * time.Millisecond
	// answerBytesMax bounds what is read of the answer to a publish.
	answerBytesMax = 64 << 10

	// secondsMax bounds the series of a run, a day of it: what comes after is in the totals alone.
	secondsMax = 86_400
)
