// The figures of the node: one reading of all that its parts count.

package server

import (
	"time"

	"c100k/internal/bus"
	"c100k/internal/figures"
	"c100k/internal/version"
	"c100k/netpoll"
)

// Stats reads the node.
func (n node) Stats() *figures.Reading {
	build := version.Get()
	s := figures.Source{
		Version: build.Version, Revision: build.Revision, GoVersion: build.Go,
		Started: n.started, Uptime: time.Since(n.started), IO: n.io, Draining: n.draining.Load(),
		Transports:    n.readTransports(),
		Rejected:      n.rejected.snapshot(),
		Refused:       n.readRefused(),
		RequestsMoved: n.movedIn.Load(),
		Accepted:      n.acceptor.Accepted(),
		TurnedAway:    n.acceptor.TurnedAway(),
		Hub:           n.hub.Counters(),
		Topics:        n.hub.TopicCount(),
		Bus:           n.readBus(),
		Process:       n.process.Read(),
	}
	for i, r := range n.reactors {
		s.Loops = append(s.Loops, r.read(n.loopBase()+i))
	}
	return figures.Read(&s)
}

func (n node) readTransports() map[string]figures.Transport {
	read := make(map[string]figures.Transport, transportCount)
	for t := range n.transports {
		count := &n.transports[t]
		closed := map[string]uint64{}
		for reason := range count.closed {
			if v := count.closed[reason].Load(); v > 0 {
				closed[netpoll.Reason(reason).String()] = v
			}
		}
		// Read after the closed ones, so that no more are closed than were opened.
		read[transportNames[t]] = figures.Transport{Opened: count.opened.Load(), Closed: closed}
	}
	return read
}

func (n node) readRefused() map[string]uint64 {
	capacity, address, unanswered := n.admission.Refused()
	return map[string]uint64{"capacity": capacity, "address": address, "unanswered": unanswered}
}

// read reads the loop of that number.
func (r *reactor) read(number int) figures.Loop {
	return figures.Loop{
		Number: number, IO: r.loop.Kernel(), Stats: r.loop.Stats(),
		RequestsWaiting: r.heads.Waiting(), RequestsHeldBytes: r.heads.HeldBytes(),
		Streams: r.streams.Load(), Broadcasts: r.broadcasts.Load(), FanoutTimes: r.fanout.Snapshot(),
	}
}

// readBus reads the connection to other nodes.
func (s *Server) readBus() figures.Bus {
	if s.others == nil {
		return figures.Bus{Kind: "memory", Health: bus.Health{Connected: true}}
	}
	return figures.Bus{Kind: "nats", Health: s.others.bus.Health()}
}
