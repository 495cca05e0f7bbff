// Package natsbus is a bus.Bus over NATS.
//
// All nodes hear one subject, and each has one of its own for the answers to what it has asked. Topics travel
// inside, as bytes: they are no NATS subjects, so nothing in them is a wildcard. What is sent is a packet
// (packet.go): who sends it, and records, as many as were waiting at that moment.
//
// The types, and who may touch them:
//
//   - [Bus]: any goroutine.
//   - outbox: what waits to be sent, bounded. Publish puts in; the writer, one goroutine, takes out. Only the
//     writer waits for NATS, so no event loop ever does.
//   - asks: the questions that wait for answers. A question is asked of the nodes that are there.
//   - peers: the other nodes, and the number of the latest message that was heard of each.
//
// Nodes know each other by what they say: hello at the start, which the others answer with a beat at once; a
// beat every second, with the number of the latest message, so that a loss is known though nothing follows;
// bye at the end. Who is silent for three seconds is asked no more. Whoever sees a node's process die tells the
// others with [Bus.Gone], so that nobody waits for it even that long.
//
// NATS delivers at most once, and so does this package: a lost connection, or a queue that is full in the
// client, in the server or here, loses messages. Whoever hears less than was sent counts it, by the gap in the
// numbers.
package natsbus
