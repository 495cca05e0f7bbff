// What `serve` needs of a node: one process, or the parent of several.

package main

import (
	"context"
	"log/slog"

	"c100k/internal/workers"
	"c100k/server"
)

// node is a *server.Server, a *workers.Supervisor, or what tests put in their place.
type node interface {
	ListenAndServe(ctx context.Context) error // until it is stopped
	Shutdown(ctx context.Context) error       // drains; when ctx ends, stops at once
	Reload(c server.Config) error             // all or nothing; the error names fields that need a restart
	NoteReload(err error)                     // counts one that failed before it came to Reload
}

// nodeMaker makes a node that does not listen yet. How it logs matters only where it starts other
// processes.
type nodeMaker func(c server.Config, where logSettings, logLevel *slog.LevelVar) (node, error)

// newNode makes a node of one process, or of several.
func newNode(c server.Config, where logSettings, logLevel *slog.LevelVar) (node, error) {
	// An error comes without a node: a nil pointer would make one that is not nil.
	if c.Workers > 1 {
		s, err := workers.New(workers.Options{Config: c, LogFormat: where.format, LogFile: where.file, LogLevel: logLevel})
		if err != nil {
			return nil, err
		}
		return s, nil
	}
	s, err := server.New(c)
	if err != nil {
		return nil, err
	}
	return s, nil
}
