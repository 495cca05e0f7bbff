// Package redisstreams keeps history in a Redis server: the one that is the bus of the nodes. It
// implements [history.Store]. Redis 6.2 or later is needed; all keys lie in one slot of a cluster.
//
//	{PREFIX:history}:meta          what all processes must know: epoch, last number, bounds (a hash)
//	{PREFIX:history}:live          the newest messages of all topics: what processes read (a stream)
//	{PREFIX:history}:index         the offset of the last message of each topic (a sorted set)
//	{PREFIX:history}:lives         numbers that a server process may have given and lost (a sorted set)
//	{PREFIX:history}:EPOCH:t:TOPIC what is kept of a topic (a stream)
//	{PREFIX:history}:EPOCH:k:HASH  an idempotency key (a string)
//
// All topics share one sequence of numbers, which are their offsets, so that the offsets of one
// topic ascend and have gaps. The id of an entry in both kinds of streams is NUMBER-MILLISECONDS,
// with the time of the server.
//
// A message goes this way:
//
//  1. Append puts it into a queue. One goroutine (append.go) sends what waits as one pipeline.
//  2. A script (scripts.go) gives it a number, adds it to the stream of its topic, forgets what is
//     too much or too old there, and adds it to the live stream: all of that, or nothing.
//  3. Each process reads the live stream (deliver.go) and publishes the messages to its hub. The
//     process that has appended one knows it by the head of the record, and its publish is done.
//
// Each entry of a topic says which offset the message before it had. So it is known whether
// something is missing between a position and the oldest entry (older.go).
//
// A server can lose what it has acknowledged: it was restarted without its files, or a replica took
// over that did not have all. A process that connects (session.go) says up to which number it knows
// messages, and a script compares. If some are lost, or all, a new epoch begins: positions of
// before are answered with a reset. A life is the time in which a server process loses nothing;
// each append names the life that it is meant for, so nothing is stored before the comparison.
package redisstreams
