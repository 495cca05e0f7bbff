// Package wsapp is how package server puts a websocket.Server on a node.
//
// A Go package cannot show a method to one package and hide it from all others. So package
// websocket sets Mount when it is initialised, and go doc shows a program only what a program can
// use.
package wsapp

import (
	"c100k/broadcast"
	"c100k/internal/auth"
	"c100k/internal/edge"
	"c100k/internal/proto"
	"c100k/internal/wsconn"
	"c100k/netpoll"
)

// Host is the node that a server is put on.
type Host struct {
	Path  string // where it answers
	Forms string // the row whose wire forms it has too; "" if it brings them itself

	Origins  edge.OriginRules                // where Options.Origins is empty
	Counters func(loop int) *wsconn.Counters // what the server's connections add to
	LoopBase int                             // index of the first loop, as IDs have it

	// Identify makes the routes that identify clients by the settings of the node, and then call serve
	// with them: Part.Serve, Ask and Resume.
	Identify func(p *proto.Place, serve proto.Route) proto.Part

	// Begin is told of a connection that begins, and may refuse it: who is its client, nil if it was
	// not identified. The node hears of its end. It must not block. Loop only.
	Begin func(l *netpoll.Loop, c *netpoll.Conn, e *edge.Config, h *edge.Head, who *auth.Principal) *edge.Refusal

	// Publish sends a message to the subscribers of a topic on all nodes; Post.Skip holds in this
	// process only. It must not block. Any goroutine.
	Publish func(topic string, post broadcast.Post) (broadcast.Result, error)
}

// Mount puts a *websocket.Server on a node, and returns its row. The error says why it cannot be.
var Mount func(server any, h Host) (proto.Row, error)
