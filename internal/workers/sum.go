// Sums of figures: over workers, and over those that had a worker's place before.

package workers

import (
	"maps"

	"c100k/internal/admin"
)

// addTotals adds what counts up from the start of a process.
func addTotals(to *admin.Stats, from *admin.Stats) {
	addCounts(&to.Connections.Opened, from.Connections.Opened)
	for transport, reasons := range from.Connections.Closed {
		if to.Connections.Closed == nil {
			to.Connections.Closed = map[string]map[string]uint64{}
		}
		sum := to.Connections.Closed[transport]
		addCounts(&sum, reasons)
		to.Connections.Closed[transport] = sum
	}
	addCounts(&to.HandshakesRejected, from.HandshakesRejected)
	addCounts(&to.SlowConsumers, from.SlowConsumers)
	to.RequestsMoved += from.RequestsMoved
	addTraffic(&to.Messages, from.Messages)
	addTraffic(&to.Bytes, from.Bytes)
	addBus(&to.Bus, from.Bus)
	addHistogram(&to.FanoutSeconds, from.FanoutSeconds)
	addHistogram(&to.TurnSeconds, from.TurnSeconds)
	to.CPUSeconds += from.CPUSeconds
	for _, loop := range from.Loops {
		sum := loopOf(to, loop.Loop)
		sum.Turns += loop.Turns
		sum.BusySeconds += loop.BusySeconds
		sum.IO = loop.IO
	}
}

// addPresent adds what is as it is now.
func addPresent(to *admin.Stats, from *admin.Stats) {
	to.Connections.Total += from.Connections.Total
	addCounts(&to.Connections.Open, from.Connections.Open)
	to.Queues.PendingBytes += from.Queues.PendingBytes
	to.Queues.OutboxBytes += from.Queues.OutboxBytes
	to.Memory.PrivateBytes += from.Memory.PrivateBytes
	to.Memory.BaseBytes += from.Memory.BaseBytes
	to.Memory.HeapBytes += from.Memory.HeapBytes
	to.Goroutines += from.Goroutines
	to.Files.Open += from.Files.Open
	to.Files.Limit += from.Files.Limit
	// The same topic may be on all of them, and only the names would tell: the number is at least this.
	to.Topics = max(to.Topics, from.Topics)
	for _, loop := range from.Loops {
		sum := loopOf(to, loop.Loop)
		sum.Connections += loop.Connections
		sum.Mailbox += loop.Mailbox
	}
}

// reasonLost is why connections have ended whose process has: nobody else counts them.
const reasonLost = "worker_ended"

// lost is what a process had counted at its last reading, with its connections closed.
func lost(last *admin.Stats) *admin.Stats {
	s := *last
	s.Connections.Closed = map[string]map[string]uint64{}
	for transport, reasons := range last.Connections.Closed {
		s.Connections.Closed[transport] = maps.Clone(reasons)
	}
	for transport, open := range last.Connections.Open {
		if open > 0 {
			reasons := s.Connections.Closed[transport]
			addCounts(&reasons, map[string]uint64{reasonLost: uint64(open)})
			s.Connections.Closed[transport] = reasons
		}
	}
	return &s
}

// loopOf is the loop of that number, which is added if it is not there.
func loopOf(s *admin.Stats, number int) *admin.Loop {
	for i := range s.Loops {
		if s.Loops[i].Loop == number {
			return &s.Loops[i]
		}
	}
	s.Loops = append(s.Loops, admin.Loop{Loop: number})
	return &s.Loops[len(s.Loops)-1]
}

func addBus(to *admin.Bus, from admin.Bus) {
	to.Sent += from.Sent
	to.Received += from.Received
	to.Missed += from.Missed
	to.Unsent += from.Unsent
}

func addTraffic(to *admin.Traffic, from admin.Traffic) {
	to.Received += from.Received
	to.Sent += from.Sent
}

// addHistogram adds a histogram, which may be empty. What cannot be added is left out: a process of another build has other buckets.
func addHistogram(to *admin.HistogramSnapshot, from admin.HistogramSnapshot) {
	if len(from.Bounds) == 0 || len(from.Counts) != len(from.Bounds)+1 {
		return
	}
	if len(to.Counts) != 0 && len(to.Counts) != len(from.Counts) {
		return
	}
	to.Add(from)
}

func addCounts[N int | uint64](to *map[string]N, from map[string]N) {
	if *to == nil {
		*to = make(map[string]N, len(from))
	}
	for key, n := range from {
		(*to)[key] += n
	}
}
