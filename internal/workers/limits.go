// The bounds of a node of several processes, each with its unit and its reason.

package workers

import "time"

const (
	// restartDelayFirst and restartDelayMax bound how long a worker's place stays empty. The first
	// restart is at once. If a worker dies early again, the pause doubles. Without it a worker that
	// fails at start would use a core.
	restartDelayFirst = 250 * time.Millisecond
	restartDelayMax   = 10 * time.Second

	// youthTime is the uptime from which the death of a worker counts as the first again.
	youthTime = 30 * time.Second

	// startTimeout bounds the time from the start of a process to its report that it serves. A process
	// that hangs before that is killed and started again. Without it the place would stay empty.
	startTimeout = time.Minute

	// beatEvery is how often a worker proves that its loops are alive, unless a test wants another
	// time. After outAfter without a sign of life it gets no new connections, and its answers are not
	// waited for. After killAfter it is killed and replaced. A turn of a loaded loop takes at most two
	// seconds, so a busy worker is never taken out.
	beatEvery = time.Second
	outAfter  = 5 * time.Second
	killAfter = 15 * time.Second

	// portTimeout bounds how long a new parent waits for a port whose old workers have just lost
	// their parent, and portRetry is the time between two tries.
	portTimeout = 500 * time.Millisecond
	portRetry   = 20 * time.Millisecond

	// backlogMax is the length of the accept queue that is requested; the kernel cuts it to
	// net.core.somaxconn.
	backlogMax = 1<<16 - 1

	// stopGrace is how long the last worker may take beyond --drain before it is killed: its own
	// drain has a grace of three seconds, and a busy machine needs some more.
	stopGrace = 10 * time.Second

	// topicsTimeout bounds a worker's list of topics, which may be long, and partTimeout its part
	// of any other answer for all: without them a worker that hangs would hang the whole node's
	// API, and a reload, which signals have to wait for.
	topicsTimeout = 10 * time.Second
	partTimeout   = 2 * time.Second

	// traceLineBytesMax bounds an event of a trace, in bytes: it has a payload of 4 KiB at most, in
	// which each byte may be escaped.
	traceLineBytesMax = 64 << 10

	// tellTimeout bounds what a worker tells or asks its parent.
	tellTimeout = 10 * time.Second

	// continueTimeout is how long a client's body waits for the parent to want it, where the client
	// asks first. Without it the body would run into a connection that the parent closes when it
	// has refused, and the refusal would be lost.
	continueTimeout = 2 * time.Second

	// readEvery is how often the parent reads the workers' figures by itself: what one has counted
	// since is lost when it is killed. Reading costs a worker well under a millisecond of CPU.
	readEvery = 5 * time.Second

	// passTimeout bounds the handing over of a connection: it waits only where the other side has
	// not taken hundreds.
	passTimeout = 2 * time.Second

	// moveTimeout bounds the time that a request waits at each of the two links on its way to another
	// worker, in the queue and in the send. After that the client is told that its session is unknown,
	// so that it opens a new one.
	moveTimeout = 2 * time.Second

	// movesWaitingMax bounds the connections that wait for a link, each with a descriptor. Beyond it
	// the same answer is given at once. A link takes one every few microseconds, so they wait only for
	// a hung worker, or in a flood.
	movesWaitingMax = 64

	// linkBufferBytes is the send buffer of a link, in bytes. It holds packets for a worker that is
	// busy. The largest packet, 136 KiB, must fit. It is Linux's default; more takes a privilege.
	linkBufferBytes = 208 << 10

	// linkConnsMax bounds the connections from the parent to one worker, and from a worker to the
	// parent: without it, requests to the API of a hung worker would take all descriptors of the
	// parent.
	linkConnsMax = 32

	// documentBytesMax bounds a document over a link: orders, figures, a page of topics. A page has
	// up to 10,000 topics of 255 bytes, which JSON may make six times longer; without a bound a
	// worker whose memory is corrupt would fill the parent's memory.
	documentBytesMax = 64 << 20

	// brokerPendingMin bounds what waits in the embedded broker for one worker, in bytes, unless
	// messages are so large that it must be more; a worker that lags further behind is cut off,
	// counts what it missed, and comes back. 64 MiB are half a second of what one loopback
	// connection carries.
	brokerPendingMin = 64 << 20

	// brokerHeadBytes is what a message on the bus has on top of its payload, at most: the topic,
	// and the bus's own head.
	brokerHeadBytes = 4 << 10
)
