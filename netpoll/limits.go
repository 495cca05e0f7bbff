// Every bound of the reactor, with its unit and its reason.

package netpoll

import "time"

const (
	// RolesMax bounds the handler table of a loop; a role is an index in it.
	RolesMax = 16

	// LoopsMax bounds the loops of a process: an ID has eight bits for them.
	LoopsMax = 256

	// slotsMax bounds the connections of one loop: an ID has 24 bits for the
	// slot. The limit of open files is far below.
	slotsMax = 1 << 24

	// eventsPerTurnMax bounds how many ready connections one turn serves, and
	// so how long everybody else waits for phases 4 to 7. Measured: batches of
	// 256 to 512 have nearly all of the gain that io_uring has to give.
	eventsPerTurnMax = 512

	// readBytesMax bounds what one connection may bring in one turn. A
	// firehose gets one such read and then waits until all others had theirs.
	readBytesMax = 64 << 10

	// readBytesShared is each connection's part of the read arena when a turn
	// is full: a 16 KiB message with its header still comes in one read.
	readBytesShared = 16<<10 + 256

	// readSkew is what keeps neighbouring parts of the read arena out of each
	// other's cache sets.
	readSkew = 192

	// readArenaBytes is the address space of the read arena. Pages that no
	// read has touched cost nothing, and an idle loop gives them back.
	readArenaBytes = eventsPerTurnMax * readBytesShared

	// cacheLine and pageSize are those of amd64 and most arm64. Only the speed
	// of neighbouring reads hangs on them.
	cacheLine = 64
	pageSize  = 4096

	// sendArenaBytesMin is what the send arena starts with: the replies of some
	// hundred small requests. It grows by doubling, and trim gives it back.
	sendArenaBytesMin = 16 << 10

	// tasksPerTurnMax bounds phase 4, so that a flood of posts delays reads
	// and timers by no more than this many tasks.
	tasksPerTurnMax = 1024

	// mailboxTasksMax bounds the mailbox. Without it a producer that is faster
	// than the loop would take all memory; Post says no instead.
	mailboxTasksMax = 1 << 17

	// timersPerTurnMax bounds phase 5; what is due beyond it fires next turn.
	timersPerTurnMax = 2048

	// deliverMembersQuiet and deliverMembersBusy bound phase 6: how many members
	// one turn may visit when there was no other work for deliverCalm, and when
	// there was. The first is a full batch, the second keeps what an echo
	// waits for a fan-out at a few hundred microseconds, and makes a delivery a
	// tenth dearer. Other work means two events, for one is the publisher's. The calm
	// must be long against the time between two reads at light load: were a turn
	// without a read enough, one in fifty echoes would wait for a full batch, and
	// that is the p99.
	deliverMembersQuiet = 512
	deliverMembersBusy  = 32
	deliverCalm         = 5 * time.Millisecond

	// writeBytesMax bounds what one connection may send from its outbox in one
	// turn, and writeVecMax the pieces of it.
	writeBytesMax = 256 << 10
	writeVecMax   = 64

	// pendingBytesMax bounds the pending output of one connection, whatever budget
	// its protocol has; beyond it the connection is closed. The
	// record counts in 32 bits.
	pendingBytesMax = 1 << 30

	// joinBytesMax is up to where several small pieces for one connection are
	// copied together: one send of 4 KiB costs less than a vector of pieces.
	joinBytesMax = 4 << 10

	// sealBytesMax bounds the plain bytes that Layer.Seal gets at once. What is
	// sealed and not written cannot be dropped any more; more than this would
	// also keep other connections waiting.
	sealBytesMax = 64 << 10

	// sealRoom is the room in the seal arena for the headers of the records, with
	// an eighth of the plain bytes. A layer that needs more pays for a copy.
	sealRoom = 512

	// sealArenaBytesMax bounds what layers have sealed and the kernel has not
	// been given: beyond it a turn writes in several batches. Without it a fan-out
	// of large messages to layered connections would take their sum.
	sealArenaBytesMax = 1 << 20

	// layerLinger is how long a connection that its layer has ended waits for
	// the peer's FIN.
	layerLinger = time.Second

	// acceptsPerEventMax bounds how many connections one readiness of a
	// listener takes, so that a connect storm does not keep the others waiting.
	acceptsPerEventMax = 256

	// acceptCrowd is how closely two batches of connections follow each other
	// in a burst, and acceptGather how long the acceptor
	// then lets the next one gather, unless acceptBatch came at once: it is what
	// a connection in a burst waits at most, and makes tens of them share one
	// wake-up of the acceptor and one of a loop. Measured with 64 at a time:
	// 0.5 ms takes 34 µs of CPU a handshake, 2 ms 31.
	acceptCrowd  = 4 * time.Millisecond
	acceptGather = 2 * time.Millisecond
	acceptBatch  = 64

	// acceptPause is how long a listener rests after an error of accept that is
	// not about one connection: long enough not to spin, short enough that
	// clients hardly notice.
	acceptPause = 100 * time.Millisecond

	// epollSearchMax bounds the descriptors among which the acceptor looks for
	// those of easygo's Epoll, one system call each. New descriptors get the
	// lowest free number, so the search ends early.
	epollSearchMax = 1 << 20

	// acceptRefusalsMax bounds how many waiting connections are answered with
	// the spare descriptor before each pause.
	acceptRefusalsMax = 64

	// HoldDefault is how long a turn waits in a raw epoll_wait before it parks on
	// Go's poller, where Options say nothing: the turn saves the scheduler's round
	// trip, and keeps its processor so long from goroutines that want it.
	HoldDefault = time.Millisecond

	// HoldSpare is the same where every loop has a processor of its own and one
	// is left over. A hold that is longer than the system's own tick does not set
	// the processor's timer; setting it costs microseconds on a virtual machine.
	// A collection does not wait for it: its signal ends the wait.
	HoldSpare = 8 * time.Millisecond

	// napBelow is from how many ready connections on a loop with a Nap looks again
	// without sleeping: fewer are worth gathering some more.
	napBelow = 64

	// napCalm is how long such a loop goes on napping when nothing happens. Were
	// it shorter than a round trip under load, the answer would find it waiting,
	// and be charged for waking it; while it lasts, the loop takes a few percent
	// of a processor.
	napCalm = 10 * time.Millisecond

	// napUntilTurn is from when on a loop naps until OnTurn wants to be called,
	// with a Nap or without: a wait ends up to a millisecond late.
	napUntilTurn = 2 * time.Millisecond

	// napMax bounds such a nap where Options say nothing.
	napMax = 100 * time.Microsecond

	// trimAfter is how long after their first use the arenas are given back to
	// the system, when the loop is about to block. Without it one burst of reads
	// would stay resident for good; once a second it costs nothing measurable.
	trimAfter = time.Second

	// TickDefault is the resolution of the timer wheel where Options.Tick is 0. A
	// loop wakes for each tick that has a deadline: with heartbeats of many
	// connections, that is a wake-up each tick.
	TickDefault = 32 * time.Millisecond

	// TickMin is the finest resolution. Without a bound one short timeout would
	// keep a loop awake.
	TickMin = 4 * time.Millisecond

	// armMax bounds a deadline, and armTicksMax does for loops with a finer tick: the wheel tells past
	// from future within 1<<31 ticks.
	armMax      = 365 * 24 * time.Hour
	armTicksMax = 1 << 30

	// wheelBuckets is the wheel's size, a power of two: one round is 65 s, so
	// a heartbeat of half a minute is found in its own round.
	wheelBuckets = 2048

	// panicStackBytesMax bounds the stack that the log gets of a panic.
	panicStackBytesMax = 16 << 10

	// uringOpsMin is from where a batch goes through io_uring: below it plain
	// system calls are as cheap.
	uringOpsMin = 4

	// uringEntries is the size of the submission queue: the most one enter
	// carries. 512 sends are about two milliseconds that nothing interrupts, and
	// that a collection waits for.
	uringEntries = 512

	// filesUsesMin is from how many sends on a socket is registered with the ring:
	// more than a connection needs that says hello and listens to nothing.
	// filesMax bounds the table, eight bytes of the kernel's an entry.
	filesUsesMin = 8
	filesMax     = 1 << 16
)
