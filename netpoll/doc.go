// Package netpoll is a reactor for very many connections that are mostly idle. It
// moves bytes when the kernel is ready, and knows no protocol.
//
// There are only a few types. A [Loop] owns connections and runs on one
// goroutine. A [Conn] is the record of one connection: 48 bytes without a
// pointer, and no goroutine, buffer, closure or map entry beside it while the
// connection is idle. A [Handler] is a protocol; a loop has a table of them, and
// a connection's [Role] is an index in it, so that an upgrade is the same socket
// with another role. A wheel holds one deadline for each connection. A
// [Kernel] is the operating system, real or faked (package netpolltest). An
// [Acceptor] takes connections from listeners and deals them to loops. A [Slab]
// is where a protocol keeps what it knows of a connection. A [Remote] and an
// [ID] are what all other goroutines have.
//
// # The turn
//
// A loop does the same nine things again and again, as [Loop.Turn] lists them:
//
//	1 wait     epoll_wait until the next tick that has a timer
//	2 clock    one monotonic reading, used by everything below
//	3 read     all ready connections, one batch
//	4 tasks    mailbox, a bounded number
//	5 timers   the wheel, up to now
//	6 deliver  topics with pending messages, a bounded slice
//	7 flush    the dirty connections, one batch
//	8 release  closed connections: the only frees
//	9 publish  counters by atomic store
//
// Phase 1 blocks, and nothing else does. Handlers are called in phases 3 to 6 and,
// for OnClose, 8. What they send is gathered and goes out in phase 7, all of a
// connection's in one operation, all connections' in one batch; what the socket
// does not take waits in the connection's outbox until epoll reports room. What
// is sent after phase 7, by OnClose or AfterFlush, goes out in the next turn,
// which then follows at once.
//
// Each phase is a file of its name; turn.go has the loop and calls them. From the
// kernel's wait to the kernel's write, an echo passes six files:
//
//	turn.go                Loop.Turn
//	wait.go                Loop.wait, epoll
//	read.go                Loop.read, then the handler
//	conn.go                the record, its ID
//	flush.go               Loop.Send, Loop.flush
//	kernel_uring_linux.go  the batches of reads and of writes
//
// A batch of fewer than four operations is plain system calls, and
// kernel_syscall_linux.go then takes the place of the last one.
//
// # Clients
//
// [Connect] makes a socket that Adopt takes while it still connects. What a
// client does by the clock, such as a schedule of sends, is OnTurn's in
// [Options]: called once a turn, after phase 5. A loop with a Nap does not
// block in phase 1 while it is busy, but sleeps a little and looks: the server
// on the other end then does not pay for waking it.
//
// # Who may touch what
//
// The goroutine of the loop owns all of it. A handler gets the *Loop and the *Conn
// as arguments, uses them during the call, and stores neither. The bytes that
// OnData gets live until the end of the turn and may be changed in place. Any
// other goroutine has the loop's Remote, to post a task or to wake it, and a
// connection's ID, which may have gone stale: the task then finds nothing.
// [Loop.Start], [Loop.Stop], [Loop.Stats], [Loop.Kernel] and the Remote are for
// any goroutine; nothing else of a Loop is.
//
// # What handlers must know
//
// A frame is sent in one call: SendFirst may put an announcement between any two
// sends, and DropOldest removes as one what SendMessages was given as one.
//
// Close is immediate: pending output is lost, and OnClose is called in phase 8.
// Finish is an orderly close: pending output is sent, then a FIN, and the loop
// waits for the peer's FIN. The peer's FIN closes a connection that is not
// finishing: half-closed peers are not served. Detach takes the socket out of the
// loop. Reserve makes a record without a socket, for a session that outlives its
// connections.
//
// A connection may have a [Layer] below its handler, such as TLS: see layer.go for
// the contract. Handlers do not notice it.
//
// A panic in a callback closes the connection that the callback was for, with
// ReasonPanic, and is logged once with its stack; one in a task, in Deliver or
// in another hook of the loop is logged, and the turn goes on behind it.
//
// # Invariants
//
// A build with the tag c100kdebug checks these after every turn.
//
// Invariant: a live record's generation is at least 1 and grows with each use of
// the slot, so that no ID, event or task of an earlier connection reaches a
// later one.
//
// Invariant: Pending is the sum of a connection's pieces. They are in its outbox,
// or were gathered in this turn, never both. Below a layer a sealed piece counts
// for at most the plain bytes in it.
//
// Invariant: a connection has an outbox, the only kind of buffer it can have,
// exactly while a write was short and the rest is pending. Exactly then it waits
// for room, and only then it may be paused. A layered connection may also have one
// while its layer cannot seal yet.
//
// Invariant: an armed record is linked in the bucket of its deadline, or in the
// list of those due, and nowhere else.
//
// Invariant: a record is freed in phase 8 and nowhere else. Until then the record
// of a connection that was closed in the same turn is marked dead.
//
// Invariant: when Kernel.Read or Kernel.Write returns, the kernel uses none of the
// buffers any more.
//
// No wake-up is lost: the loop announces that it will sleep and then looks at its
// mailbox once more; a poster puts the task in first and then looks for the
// announcement. One of the two sees the other.
//
// Every queue, batch and buffer has a bound, and all bounds stand with their
// reasons in limits.go.
package netpoll
