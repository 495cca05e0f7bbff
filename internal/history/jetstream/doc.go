// Package jetstream keeps history in the JetStream of a NATS server: the one inside a node, or one
// that stands for itself. It implements [history.Store].
//
// There is one stream for each rule, and a subject for each topic. JetStream numbers the messages
// of a stream; these numbers are the offsets of all its topics, so that the offsets of one topic
// ascend and have gaps. The epoch is made when the stream is, and lies in its metadata.
//
// A message goes this way:
//
//  1. Append puts it into a queue (append.go). One goroutine sends the queue to the server, without
//     waiting for answers, up to a window of UnansweredMax.
//  2. The server stores it and says so, or why not. The second is an error of the publish.
//  3. The server sends what it has stored, in the order of the stream, to each process
//     (deliver.go), which publishes the messages to its hub with their numbers. The process that
//     has appended one knows it by the head of the record (record.go), and its publish is done. A
//     number that was left out is a message that did not arrive; it is read from the stream. With
//     Options.Alone the server sends only its answers, which come in the order of the stream too.
//
// So an acknowledged message is stored, and all processes deliver in one order. (JetStream's
// consumers would not do: what a stream drops, because its topic has more messages than are kept,
// they do not send.) When a process starts it reads the newest messages of the streams, so that the
// logs of its hub have them.
//
// A resume from further back needs older messages (older.go): they are read from the stream and put
// in front of the topic's log. Whether something is missing between a position and the oldest
// message that the stream has is not recorded anywhere; fill explains how it is found out.
package jetstream
