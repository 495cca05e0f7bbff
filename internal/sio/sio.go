// Package sio is how package server puts a socketio.Server on a node.
//
// Package socketio sets Host when it is initialised. So package server can reach what programs
// cannot use, and go doc ./socketio does not show it.
package sio

import (
	"net/netip"

	"c100k/internal/auth"
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

	// Who is the client of a session as the first namespace that it joined knows it, nil if it was not
	// identified. Loop only.
	Who(s *engineio.Session) *auth.Principal

	// Run is called with the loop, before that runs.
	Run(l *netpoll.Loop)

	// Deliver is the server's part of phase 6, and includes that of the endpoint. It must be called in
	// each turn. It visits at most so many members, and reports whether there is more to do. Loop
	// only.
	Deliver(l *netpoll.Loop, members int) (more bool)
}

// Watch has functions that are called on the loop for its clients. They must not block, and may be
// nil.
type Watch struct {
	// Opened and Closed hear of each session.
	Opened func()
	Closed func(l *netpoll.Loop, s *engineio.Session, who *auth.Principal, r engineio.Reason)

	// Joined hears of a client that has joined its first namespace, and Left of one that has, when its
	// session ends. who is its client as that namespace knows it, nil if it was not identified.
	Joined func(conn netpoll.ID, who *auth.Principal, address netip.Addr)
	Left   func(conn netpoll.ID, who *auth.Principal, r engineio.Reason)

	// Identify finds out who wants to join a namespace, before the middlewares of the program run:
	// handshake is a *socketio.Handshake. done is called once, on any goroutine, with the principal,
	// nil for a client that was not identified, or with a refusal. Nil: nobody is identified.
	Identify func(handshake any, done func(who *auth.Principal, refused *Refused))

	// Enter counts one connection more of an identified client, or refuses it; Leave takes it back.
	// Required with Identify.
	Enter func(who *auth.Principal) *Refused
	Leave func(who *auth.Principal)
}

// Refused is why a client may not join: the data of the client's connect_error.
type Refused struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Principal is whom a *socketio.Socket speaks for, nil if its client was not identified. Package
// socketio sets it. Any goroutine.
var Principal func(socket any) *auth.Principal

// Host prepares a *socketio.Server for n loops, and returns its part on each. base is the number of
// the first among the loops of all workers, as IDs of connections have it. wake must make a loop,
// numbered from 0, run a turn soon; it is called on any goroutine. Host panics if the server has
// loops already.
var Host func(server any, base, n, outboxBytesMax int, wake func(loop int)) []Part

// SetAdapter gives a *socketio.Server an adapter, as socketio.Options.Adapter does: make is a
// func(*socketio.Local) socketio.Adapter. It returns false if the server has one already.
var SetAdapter func(server, make any) bool

// SetOutside gives a *socketio.Server one who brings events that the server's own log of recovery
// does not have, before it serves. f judges the offset with which a client wants to be recovered;
// data is that of its socket when it left, and sub whom it speaks for. It does nothing for a server
// without recovery. f must not block; any goroutine.
var SetOutside func(server any, f func(data any, sub, offset string) Outside)

// Outside is a judgement about an offset.
type Outside struct {
	Theirs  bool // it is not an offset of the log, but of that other one
	Tracked bool // an offset of the log does not say all of this client
	Alone   bool // it has all that is to be known of the client, whichever server that was with
}

// BinaryJSON returns argument i of a socketio.Args as JSON, with an object {"$binary":"…"}, base64,
// for each piece of binary data in it. The reason is not empty if that is not possible. The result
// may be a part of the read buffer.
var BinaryJSON func(args any, i int) (p []byte, reason string)

// SplitBinaryJSON replaces the objects {"$binary":"…"} in a valid JSON text by placeholders, and
// returns their data. It returns p if there are none, or more than a packet can have.
var SplitBinaryJSON func(p []byte) (text []byte, attachments [][]byte)

// ReadMsgpack appends a MessagePack value to dst as JSON, with a placeholder for each binary value,
// which it appends to attachments: at most max of them. If max is negative, binary values become
// base64 strings. It returns what follows the value; ok is false if the value is not valid or has
// no form in JSON. The results share no memory with p.
var ReadMsgpack func(dst []byte, attachments [][]byte, p []byte, max int) (text []byte, all [][]byte, rest []byte, ok bool)

// AppendMsgpack appends the value of a valid JSON text as MessagePack, with the attachments in the
// places of their placeholders.
var AppendMsgpack func(dst, text []byte, attachments [][]byte) []byte
