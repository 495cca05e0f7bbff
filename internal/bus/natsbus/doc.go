// Package natsbus is a bus.Bus over NATS: [bus.Core], and a connection as its carrier.
//
// All nodes hear one subject, and each has one of its own for what goes to it alone. Topics travel
// inside packets, as bytes: they are no NATS subjects, so nothing in them is a wildcard.
//
// A second connection sends the node's probes back to it, because NATS does not bring a connection
// what it has sent itself. A probe goes out and comes in over the first one, as messages do.
//
// NATS delivers at most once: a lost connection, or a queue that is full in the client or in the
// server, loses messages, and the numbers of package bus count them. While the server is away,
// nothing is kept for later.
package natsbus
