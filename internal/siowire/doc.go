// Package siowire has the wire formats of Socket.IO clusters: what the adapters and emitters of
// Node's servers write to Redis and read from it.
//
// There is one type for all formats: a [Message] is what one server tells the others, or answers to
// one of them. [Classic] is the format of npm @socket.io/redis-adapter: its broadcasts, requests
// and responses have three encodings. [Cluster] is that of the ClusterAdapter of npm
// socket.io-adapter, which the sharded adapter, the adapter over streams and c100k's own share.
//
// The packages encode as the npm packages do, byte for byte. The decoders take whatever another
// server, or anybody who can write to Redis, sends: they check each field that they return, and
// bound the memory by the length of what they read. Pure; any goroutine.
package siowire
