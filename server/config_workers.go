// Several processes behind one port: how many, and what each gets of what the configuration allows
// all.

package server

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"
)

const (
	// WorkersMax bounds Config.Workers. A connection's ID has 8 bits for its loop, over all
	// workers: at 64 each can still have four loops.
	WorkersMax = 64

	// The kernel deals connections to workers by a hash of their addresses, so that some get more
	// than their even share. unevenPercent is what "auto" leaves room for when it counts processes,
	// and slackPercent what each worker takes beyond its even share of MaxConns before it refuses:
	// with 10,000 connections a worker the hash strays by a few per cent.
	unevenPercent = 15
	slackPercent  = 10
)

// Worker says which part of a node of several processes a Server is.
type Worker struct {
	// Number is the Server's among Count workers, from 0. The ids of Socket.IO clients have it in
	// them.
	Number, Count int
	// LoopBase is the number of the Server's first loop. Loops of all workers are numbered through,
	// so that a connection's ID names its worker too. LoopBase and Config.Loops together are at
	// most 256.
	LoopBase int
	// API answers /v1/ on the public port where there is an API key, and asks for the key itself:
	// it speaks for all workers. It is required. The Server opens no admin port; Config.Admin is
	// then only where the demo page says that the API is.
	API http.Handler
	// HandOver takes a connection whose request is for a Socket.IO client of another worker there,
	// where TakeIn gets it. It is called on a loop and must not block. True: m.FD is its own to
	// close, and it calls gone once, on any goroutine: with true when the descriptor is closed here
	// and on its way, and with false when it could not be sent and is the Server's again. False,
	// having done nothing, where there is no room. Nil: no request leaves this worker.
	HandOver func(to int, m *Handover, gone func(sent bool)) bool
	// Alive is called every AliveEvery while all loops run: a loop that is stuck in a call keeps it
	// from being called. It may take its time, but must return. Nil: nobody is told.
	Alive func()
	// AliveEvery is the time between two looks at the loops; 0 means one second.
	AliveEvery time.Duration
}

// workersFor is how many processes hold conns connections where each may hold allowed: one where
// one is enough, WorkersMax where none are; then FitsMachine says so.
func workersFor(conns, allowed int) int {
	if conns <= allowed {
		return 1
	}
	return min(max(2, (conns*(100+unevenPercent)+100*allowed-1)/(100*allowed)), WorkersMax)
}

// Share is the configuration of one of the workers, made from that of all. c must have its
// defaults. Its MaxConns is an even share and a tenth, as far as the limit on open files allows;
// its Memory is an even share, where the parent counts as one worker more.
func (c Config) Share() Config {
	even := (c.MaxConns + c.Workers - 1) / c.Workers
	c.MaxConns = min(even+even*slackPercent/100, connsDefault())
	c.Memory = max(c.Memory/(c.Workers+1), memoryMin)
	c.Workers = 1
	return c
}

func (c *Config) validateWorkers(v *validator) {
	if c.Workers != WorkersAuto {
		v.between("Workers", c.Workers, 1, WorkersMax, ", or auto")
	}
	if c.Workers > 1 && c.Workers <= WorkersMax && c.Memory != 0 && c.Memory < (c.Workers+1)*memoryMin {
		v.refuse("Memory", strconv.Itoa(c.Memory), fmt.Sprintf("%d workers and their parent need %d bytes at least", c.Workers, (c.Workers+1)*memoryMin))
	}
	if c.Workers > 1 && c.Workers <= WorkersMax && c.Workers*c.Loops > loopsMax {
		v.refuse("Loops", strconv.Itoa(c.Loops), fmt.Sprintf("allowed are %d over all %d workers", loopsMax, c.Workers))
	}
}

// oneProcess refuses what a Server cannot be: several processes, or one without a number among
// several.
func (c *Config) oneProcess() error {
	if c.Workers != 1 {
		return &FieldError{Field: "Workers", Given: strconv.Itoa(c.Workers),
			Allowed: "a Server is one process, so allowed is 1: c100k serve starts several"}
	}
	w := c.Worker
	switch {
	case w == nil:
		return nil
	case w.Number < 0 || w.Number >= w.Count || w.Count > WorkersMax:
		return &FieldError{Field: "Worker", Given: fmt.Sprintf("number %d of %d", w.Number, w.Count),
			Allowed: fmt.Sprintf("at most %d workers, numbered from 0", WorkersMax)}
	case w.API == nil || w.LoopBase < 0 || w.LoopBase+c.Loops > loopsMax:
		return &FieldError{Field: "Worker", Given: fmt.Sprintf("loops %d to %d", w.LoopBase, w.LoopBase+c.Loops-1),
			Allowed: fmt.Sprintf("it needs an API, and loops within 0 to %d", loopsMax-1)}
	}
	return nil
}

// logLife logs a step in the node's life. Of one worker of several it is a detail: the parent says
// it for all.
func (s *Server) logLife(msg string, args ...any) {
	level := slog.LevelInfo
	if s.cfg.Worker != nil {
		level = slog.LevelDebug
	}
	s.log.Log(context.Background(), level, msg, args...)
}

// workerNumber is this process's among the workers of the node, 0 where it is the only one.
func (s *Server) workerNumber() uint8 {
	if s.cfg.Worker == nil {
		return 0
	}
	return uint8(s.cfg.Worker.Number)
}

// loopBase is the number of the first loop.
func (s *Server) loopBase() int {
	if s.cfg.Worker == nil {
		return 0
	}
	return s.cfg.Worker.LoopBase
}
