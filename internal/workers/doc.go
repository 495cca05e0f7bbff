// Package workers runs a node of several processes behind one port: a parent that starts, watches
// and answers for its workers.
//
// There are only a few types:
//
//   - Supervisor is the parent. It keeps the public port reserved without listening on it, runs the
//     bus, starts the workers, restarts those that die, and owns the admin port.
//   - Link joins the parent and one worker: a socket pair over which each side opens connections to
//     the HTTP server of the other. It has no name that anybody else could connect to, and its end
//     is how one side learns that the other is gone.
//   - move is a client's connection on its way to another worker: over the link of the one that has
//     it, and from the parent over that of the other.
//   - Orders are what a worker does: its part of the configuration, the address it listens on, the
//     bus with its secret. It asks for them over its link.
//   - slot is the place of one worker: the process that fills it now, and what those before it have
//     counted.
//   - fleet is all slots as one admin.Node: figures added up, topics merged.
//
// Work is the other side: the life of one worker.
package workers
