// Package e2e tests c100k from outside: it builds the program, starts it, and talks to it with real
// clients: npm ws, Chromium, curl, and sockets that send what no client should. setup.sh installs
// those clients; tests whose client is missing are skipped.
//
// There are only a few types. A node is the started program: its ports, its log, its end. A peer is
// a TCP connection to it, with the WebSocket frames of an implementation that is not ours. A crowd
// is many of them in one goroutine. Nothing here sleeps for a fixed time: tests wait for what they
// expect, with a deadline.
package e2e
