// Package sio is how package server puts a socketio.Server on a node.
//
// Package socketio sets Host when it is initialised. So package server can reach what programs
// cannot use, and go doc ./socketio does not show it.
package sio

import (
	"c100k/internal/engineio"
	"c100k/netpoll"
)

// Part is a server on one loop.
type Part interface {
	// Attach makes the Engine.IO endpoint of the loop. The caller sets the fields of cfg that belong
	// to the loop (Roles, Loop, Move) and the limits; Attach sets those for requests from the server's
	// options. cfg.Shard is the shard of another hub that has the clients as members too; they leave
	// it when they close.
	Attach(cfg engineio.Config, w Watch) *engineio.Endpoint

	// Endpoint returns the endpoint that Attach made. Loop only, except for its handlers.
	Endpoint() *engineio.Endpoint

	// Data is the Data of the client's socket in the namespace "/", nil without one. Loop only.
	Data(s *engineio.Session) any

	// Run is called with the loop, before that runs.
	Run(l *netpoll.Loop)

	// Deliver is the server's part of phase 6, and includes that of the endpoint. It must be called in
	// each turn. It visits at most so many members, and reports whether there is more to do. Loop
	// only.
	Deliver(l *netpoll.Loop, members int) (more bool)
}

// Watch has functions that are called on the loop for its clients. They may be nil.
type Watch struct {
	Opened func()
	// Closed gets Part.Data of the session.
	Closed func(l *netpoll.Loop, s *engineio.Session, data any, r engineio.Reason)
}

// Host prepares a *socketio.Server for n loops, and returns its part on each. wake must make a loop
// run a turn soon; it is called on any goroutine. Host panics if the server has loops already.
var Host func(server any, n, outboxBytesMax int, wake func(loop int)) []Part

// BinaryJSON returns argument i of a socketio.Args as JSON, with an object {"$binary":"…"}, base64,
// for each piece of binary data in it. The reason is not empty if that is not possible. The result
// may be a part of the read buffer.
var BinaryJSON func(args any, i int) (p []byte, reason string)

// SplitBinaryJSON replaces the objects {"$binary":"…"} in a valid JSON text by placeholders, and
// returns their data. It returns p if there are none, or more than a packet can have.
var SplitBinaryJSON func(p []byte) (text []byte, attachments [][]byte)
