// Package natsbus is a bus.Bus over NATS.
//
// All nodes hear one subject, and each has one of its own for the answers to what it has asked.
// Topics travel inside, as bytes: they are no NATS subjects, so nothing in them is a wildcard. What
// is sent is a packet (packet.go): who sends it, and records, as many as were waiting at that
// moment.
//
// The types, and who may touch them:
//
//   - [Bus]: any goroutine.
//   - outbox: what waits to be sent, bounded. Publish puts in; the writer, one goroutine, takes
//     out. Only the writer waits for NATS, so no event loop ever does.
//   - asks: the questions that wait for answers. A question is asked of the nodes that are there.
//   - peers: the other nodes, and the number of the latest message that was heard of each.
//
// Nodes know each other by what they say: hello at the start, which the others answer with a beat
// at once; a beat every second, with the number of the latest message, so that a loss is known
// though nothing follows; bye at the end. A node that is silent for three seconds is asked no more.
// A node that sees the process of another die tells the others with [Bus.Gone], so that nobody
// waits for it even that long.
//
// NATS delivers at most once, and so does this package: a lost connection, or a queue that is full
// in the client, in the server or here, loses messages. A node that hears less than was sent counts
// it, by the gap in the numbers.
//
// # A message's way
//
//  1. The node publishes to its own hub, then calls Publish, or Ask where somebody waits for the
//     count. Neither waits: both are called on event loops.
//  2. outbox.go numbers and queues the message, within OutboxBytesMax. The writer packs what waits
//     into packets on one subject (packet.go).
//  3. receive.go, on every other node, takes the packet apart on the goroutine of the NATS client.
//     It compares the number with the last one of the sender: a gap is counted as missed. bus.Inbox
//     queues the message, within InboxBytesMax.
//  4. One goroutine takes it from the inbox and publishes it to the hub of its node.
//  5. For an Ask, the count goes back as an answer. asks.go adds the answers up, and calls done
//     when the last one has come or AskTimeout has passed.
//
// While the server is away, nothing is kept for later: each node serves its own subscribers,
// reports the bus as down, and counts what it did not send.
package natsbus
