// Package swarm is one process's share of a load run: a great many clients on one reactor.
//
// There are only a few types. A [Spec] says what the clients of this process do. An [Order] is what the coordinator
// of the run says while it goes on: begin to measure, change the rate, finish. A [Sample] is what the process answers, once a
// second and at the end. A Swarm is the clients: loops of package netpoll, one handler a protocol. A [Token] is what a
// message carries, so that whoever receives it can tell by whom, as which, and when it was sent.
//
// Nothing here knows how many processes there are, shows anything, or judges a result: packages loadgen and below do.
package swarm
