// Package sio is how package server puts a socketio.Server on a node.
//
// A Go package cannot show a method to one package and hide it from all others. So package socketio
// sets Host when it is initialised, and go doc shows a program only what a program can use.
package sio

import (
	"c100k/internal/engineio"
	"c100k/netpoll"
)

// Part is a server on one loop.
type Part interface {
	// Attach makes the Engine.IO endpoint of the loop. cfg needs what belongs to the loop (Roles,
	// Loop, Move) and the limits; what the server's options say of requests is filled in. A Shard in
	// it is another hub's that has the clients as members too: they leave it when they close.
	Attach(cfg engineio.Config, w Watch) *engineio.Endpoint

	// Endpoint is what Attach made. Loop only, but for its handlers.
	Endpoint() *engineio.Endpoint

	// Run is called with the loop, before that runs.
	Run(l *netpoll.Loop)

	// Deliver is the server's part of phase 6: it must be called in each turn, for at most so many
	// members, and tells whether there is more to do. The endpoint's part is done with it. Loop only.
	Deliver(l *netpoll.Loop, members int) (more bool)
}

// Watch hears of the clients of one loop, on the loop. Its functions may be nil.
type Watch struct {
	Opened func()
	Closed func(r engineio.Reason)
}

// Host makes a *socketio.Server ready for n loops, and gives the part of each; wake must make a
// turn of a loop run soon, on any goroutine. It panics if the server has loops already.
var Host func(server any, n, outboxBytesMax int, wake func(loop int)) []Part
