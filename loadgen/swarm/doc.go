// Package swarm is one process's share of a load run: a great many clients on one reactor.
//
// There are only a few types. A [Spec] says what the clients of this process do. An [Order] is what
// the coordinator of the run says while it goes on: begin to measure, change the rate, finish. A
// [Sample] is what the process answers, once a second and at the end. A Swarm is the clients: loops
// of package netpoll, one handler a protocol. A [Token] is what a message carries, so that the
// receiver can tell by whom, as which, and when it was sent.
//
// # A client
//
// A client is a record of 72 bytes (client.go) that stays while its connection comes and goes, and
// a connection of the loop, which is 48 bytes. The connection begins in the role upgrade:
// netpoll.Connect, the request, the answer. Then it is a socket or an eventStream; a WebSocket's
// messages go on to the protocol inside (v1.go, socketio.go), and all that carry a token end in
// receive.go. What is sent comes from schedule.go, once a turn of the loop. TLS is the layer of
// package tlsconn, as in a server.
//
// A client follows one sender: itself with Echo, otherwise its topic's. Messages of others, as on a
// broadcast endpoint where everybody hears everybody, are counted as Foreign and no more: to follow
// all of them takes a record for each pair. Its track tells duplicates from late messages among the
// last 64 numbers; what is older counts as a duplicate.
//
// # What is missing, and what was missed
//
// A message is Missing when its client was there for it: open when it was sent, as far as this
// process can tell. What was sent while the client was away is MissedAway: from the last number
// that it heard before to the first that it hears again, and for an echo all that was under way
// when its connection ended. A client that comes back and never hears anything again has missed
// what others of this process have heard since.
//
// Nothing here knows how many processes there are, shows anything, or judges a result: packages
// loadgen and below do.
package swarm
