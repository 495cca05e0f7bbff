// Package workers runs a node of several processes behind one port: a parent that starts, watches
// and answers for its workers.
//
// There are only a few types:
//
//   - Supervisor is the parent. It keeps the public port reserved without listening on it, runs the
//     bus, starts the workers, restarts those that die, and owns the admin port.
//   - workerPort is the listening socket of one worker. The parent makes it and keeps it, so that
//     it can take a hung worker out of the accept rotation: see signs.
//   - Link joins the parent and one worker: a socket pair over which each side opens connections to
//     the HTTP server of the other. It has no name, so no other process can connect to it. When one
//     side ends, the other reads end of file.
//   - move is a client's connection on its way to another worker: over the link of the worker that
//     has it to the parent, and from there over the link of the other.
//   - Orders are what a worker is told to do: its part of the configuration, the address it listens
//     on, the bus with its secret. It asks for them over its link.
//   - slot is the place of one worker: the process that runs in it now, and the counts of the
//     processes before it.
//   - fleet presents all slots as one admin.Node: figures are added up, topics are merged.
//
// Work runs one worker, the other side of the link.
//
// # The port and the link
//
//	            SO_REUSEPORT: the kernel deals connections to the workers
//	clients ──────────┬──────────────┬──────────────┐
//	              worker 0       worker 1       worker 2
//	               │    │         │    │         │    │
//	    link: HTTP │    │ NATS    │    │         │    │
//	               └────┴─────────┴────┴─────────┴────┘
//	                 parent: admin port, bus, supervision
//
// The parent binds the public port and does not listen on it. So the port stays reserved while
// workers restart, port 0 works, and the kernel deals no connection to the parent. Each worker
// listens on a socket of its own (reserve_linux.go).
//
// A link is a socket pair; the worker inherits its end as descriptor 3. It carries descriptors:
// client connections that move, and further socket pairs, over which each side calls the HTTP
// server of the other. A worker takes its configuration from the parent and reads no file, so all
// workers have the same one.
//
// # Moves
//
// A Socket.IO session lives on one loop of one worker, and the kernel may deal its client's next
// connection to another. The session id names the place. The worker that reads the request head
// detaches the socket and sends its descriptor over the link, with the bytes already read
// (moves.go); the parent passes both on, and the session's loop adopts them. It admits them like a
// new connection. Loops do not wait: a link has a bounded queue of moves and a goroutine that sends
// them. A move that cannot be delivered returns to its sender, which answers as for an unknown
// session.
//
// # Figures and IDs
//
// The parent asks all workers at the same time and adds their figures up. A worker that does not
// answer in time is left out and named in the answer. The counts of a worker that died stay in the
// sums, as of the last reading. Loops are numbered over all workers, so a connection's ID names its
// worker; generations begin at a random number, so an ID of a dead worker names nothing.
//
// # What happens when
//
//   - A worker dies: its connections end, the others are not affected. It is restarted at once, or
//     after a growing pause if it keeps dying.
//   - A worker cannot serve at its first start: the node ends, with the error and the exit code
//     that a single process would have had.
//   - A worker hangs: answers leave it out, and a publish waits for it until the bus takes it for
//     dead.
//   - The parent dies: the links end, so the workers drain and end.
//   - A worker loses the bus: its /readyz says so, it serves its connections, reconnects, and
//     counts what it missed.
//   - TERM, INT or POST /v1/drain at the parent: all workers drain together. A second signal kills
//     them.
//   - HUP: the parent checks the new configuration as a whole, then gives it to all workers.
//
// Shares: the cores are divided among the workers, and so is the memory limit, with the parent as
// one more process. Each worker takes an even share of --max-conns and a tenth more, because the
// kernel's hash does not deal evenly. It counts --max-conns-per-ip by itself.
package workers
