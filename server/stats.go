// The figures of the node: one reading of all that its parts count.

package server

import (
	"time"

	"c100k/internal/bus"
	"c100k/internal/figures"
	"c100k/internal/node"
	"c100k/internal/version"
	"c100k/netpoll"
)

// Stats reads the node.
func (n adminNode) Stats() *figures.Reading {
	build := version.Get()
	accepted, turnedAway := n.node.Accepted()
	s := figures.Source{
		Version: build.Version, Revision: build.Revision, GoVersion: build.Go,
		Started: n.started, Uptime: time.Since(n.started), IO: n.node.Loop(0).Kernel(), Draining: n.draining(),
		Transports:    n.readTransports(),
		Rejected:      n.rejected.snapshot(),
		Refused:       n.readRefused(),
		RequestsOpen:  int(n.requests.Load()),
		RequestsMoved: n.movedIn.Load(),
		Accepted:      accepted,
		TurnedAway:    turnedAway,
		Hub:           n.node.Hub().Counters(),
		Topics:        n.node.Hub().TopicCount(),
		Bus:           n.readBus(),
		Process:       n.process.Read(),
	}
	if up := n.upstream; up != nil {
		s.UpstreamAnswers, s.UpstreamTimes, s.Tunnels = up.Answers(), up.Latency(), up.Tunnels()
	}
	for i := range n.loops {
		s.Loops = append(s.Loops, n.readLoop(i))
	}
	return figures.Read(&s)
}

func (n adminNode) readTransports() map[string]figures.Transport {
	read := map[string]figures.Transport{}
	for _, name := range append([]string{node.TransportHTTP}, n.node.Table().Transports()...) {
		count, closed := n.node.Count(name), map[string]uint64{}
		for reason := range netpoll.Reason(netpoll.ReasonCount) {
			if v := count.ClosedTotal(reason); v > 0 {
				closed[reason.String()] = v
			}
		}
		// Read after the closed ones, so that no more are closed than were opened.
		read[name] = figures.Transport{Opened: count.OpenedTotal(), Closed: closed}
	}
	return read
}

func (n adminNode) readRefused() map[string]uint64 {
	capacity, address, unanswered := n.admission.Refused()
	return map[string]uint64{"capacity": capacity, "address": address, "unanswered": unanswered}
}

// readLoop reads the loop of that index.
func (n adminNode) readLoop(i int) figures.Loop {
	r, loop := &n.loops[i], n.node.Loop(i)
	waiting, held := n.node.Heads(i)
	return figures.Loop{
		Number: n.loopBase() + i, IO: loop.Kernel(), Stats: loop.Stats(),
		RequestsWaiting: waiting, RequestsHeldBytes: held,
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
