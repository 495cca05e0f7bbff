// Package cluster connects Socket.IO servers: those of this package with each other, and with
// servers of Node that have one of the adapters for Redis.
//
//	c, err := cluster.Redis(ctx, cluster.RedisOptions{URL: "redis://127.0.0.1:6379"})
//	if err != nil {
//		return err
//	}
//	defer c.Close()
//	io := socketio.New(socketio.Options{Adapter: c.Adapter})
//
// A [Cluster] is the connection of one process. Its method Adapter makes the adapter of each
// namespace.
//
// There is one adapter for all wire formats. It keeps the requests that wait for answers, and knows
// the other servers. What differs is a form, which encodes messages and names the channels that
// they go through, and a carrier, which brings bytes through channels.
//
// # Which servers are there
//
// Node's adapters ask Redis for the number of subscribers of a channel, and wait five seconds if
// one of them is not a server, or is one that hangs. This package counts answers. While a namespace
// makes requests, it asks all servers once a second for something that each answers at once. A
// request waits for as many answers as its message had subscribers, less those that have not
// answered such a question lately. A server that dies is no subscriber any more. One that hangs
// delays requests for two or three seconds, once. After that their results come at once, with an
// error that is socketio.ErrPartial and says who is silent.
package cluster
