// Package redisbus is a bus.Bus over Redis Pub/Sub: [bus.Core], and connections to Redis as its
// carrier. It speaks to one server, to the master that Sentinel names, and to Redis Cluster.
//
// All nodes hear one channel, and each has one of its own for what goes to it alone. Topics travel
// inside packets, as bytes. The channels are {PREFIX:DATABASE}:all and {PREFIX:DATABASE}:to:ID:
// Pub/Sub knows no databases, so their number is part of the name, and clusters of nodes that use
// other databases or prefixes do not hear each other. The braces put both channels into one slot of
// a Redis Cluster, so that messages keep their order; there, sharded Pub/Sub (Redis 7.0) keeps them
// on the servers of that slot. Where a cluster does not know it, plain Pub/Sub is used.
//
// A session is one set of connections: one that publishes, one that hears. Redis brings a node its
// own packets too; all but its probes are left out. When either connection is lost, when Redis
// moves the slot elsewhere, or when probes do not come back, the session is closed and a new one is
// made of the addresses in the URL: so the master or the owner of the slot is looked up each time.
//
// Redis delivers at most once: what is published while a session is made, or dropped because an
// output buffer is full, is lost, and the numbers of package bus count it.
//
// Who can write to Redis can send any packet. Package bus bounds and checks what comes; nothing
// proves who sent it: let nobody else write to the channels (ACL SETUSER … &{c100k:*).
package redisbus
