// What `serve` needs of a node.

package main

import (
	"context"

	"c100k/server"
)

// node is a *server.Server, or what tests put in its place.
type node interface {
	ListenAndServe(ctx context.Context) error // until it is stopped
	Shutdown(ctx context.Context) error       // drains; when ctx ends, stops at once
	Reload(c server.Config) error             // all or nothing; the error names fields that need a restart
}

// nodeMaker makes a node that does not listen yet.
type nodeMaker func(server.Config) (node, error)

func newNode(c server.Config) (node, error) {
	s, err := server.New(c)
	if err != nil {
		return nil, err // not the nil *Server, which would make a node that is not nil
	}
	return s, nil
}
