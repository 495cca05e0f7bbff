// The figures of the node: one reading of all that it counts.

package server

import (
	"time"

	"c100k/internal/admin"
	"c100k/internal/version"
	"c100k/netpoll"
)

// Stats reads the node.
func (n node) Stats() admin.Stats {
	build := version.Get()
	s := admin.Stats{
		Version: build.Version, Revision: build.Revision, GoVersion: build.Go,
		Started: n.started, UptimeSeconds: time.Since(n.started).Seconds(),
		IO: n.io, Draining: n.draining.Load(),
		Connections: admin.Connections{
			Open: map[string]int{}, Opened: map[string]uint64{}, Closed: map[string]map[string]uint64{},
		},
		HandshakesRejected: n.rejected.snapshot(),
		RequestsMoved:      n.movedIn.Load(),
		Topics:             n.hub.TopicCount(),
		Bus:                n.readBus(),
	}
	n.readTransports(&s.Connections)
	n.readHub(&s)
	for i, r := range n.reactors {
		n.readLoop(&s, i, r)
	}
	return s
}

func (n node) readTransports(c *admin.Connections) {
	for t := range n.transports {
		name, count := transportNames[t], &n.transports[t]
		c.Opened[name] = count.opened.Load()
		c.Open[name] = count.open()
		c.Closed[name] = map[string]uint64{}
		for reason := range count.closed {
			if v := count.closed[reason].Load(); v > 0 {
				c.Closed[name][netpoll.Reason(reason).String()] = v
			}
		}
	}
}

func (n node) readHub(s *admin.Stats) {
	c := n.hub.Counters()
	s.Queues.PendingBytes = c.PendingBytes
	s.SlowConsumers = map[string]uint64{
		"disconnect": c.Disconnects, "drop_oldest": c.DroppedOldest, "drop_newest": c.DroppedNewest,
		"refuse_publish": c.Refused,
	}
}

func (n node) readLoop(s *admin.Stats, i int, r *reactor) {
	loop := r.loop.Stats()
	s.Connections.Total += loop.Connections
	s.Loops = append(s.Loops, admin.Loop{
		Loop: n.loopBase() + i, Connections: loop.Connections, Turns: loop.Turns, BusySeconds: loop.Busy.Seconds(),
		Mailbox: loop.Mailbox, IO: r.loop.Kernel(),
	})
	s.Bytes.Received += loop.BytesReceived
	s.Bytes.Sent += loop.BytesSent
	s.Queues.OutboxBytes += loop.OutboxBytes
	s.Messages.Received += r.messagesReceived.Load()
	s.Messages.Sent += r.messagesSent.Load()
	s.FanoutSeconds.Add(r.fanout.Snapshot())
	s.TurnSeconds.Add(turnSnapshot(&loop))
}

// turnSnapshot puts a loop's own buckets into the API's words.
func turnSnapshot(loop *netpoll.Stats) admin.HistogramSnapshot {
	h := admin.HistogramSnapshot{Counts: loop.TurnBuckets[:], Sum: loop.Busy.Seconds()}
	for _, bound := range netpoll.TurnBounds() {
		h.Bounds = append(h.Bounds, bound.Seconds())
	}
	return h
}
