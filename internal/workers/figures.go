// The figures of one worker, over all processes that have had its place.

package workers

import (
	"time"

	"c100k/internal/admin"
)

// note keeps a reading, if the process that it is of is still there.
func (p *slot) note(c *client, s *admin.Stats) {
	p.mu.Lock()
	defer p.mu.Unlock()
	// Of two readings at the same time the later may come first; what counts up must not go back.
	if p.now != nil && p.now.client == c && s.UptimeSeconds >= p.last.UptimeSeconds {
		p.last = *s
	}
}

// addTo adds the worker's figures to those of all, and returns its own row. err is what went wrong when it was asked, just now.
func (p *slot) addTo(sum *admin.Stats, err error) admin.Worker {
	p.mu.Lock()
	defer p.mu.Unlock()
	addTotals(sum, &p.past)
	addTotals(sum, &p.last)
	row := admin.Worker{
		Worker: p.number, State: admin.WorkerRestarting, Restarts: p.restarts,
		MessagesSent: p.past.Messages.Sent + p.last.Messages.Sent, CPUSeconds: p.past.CPUSeconds + p.last.CPUSeconds,
	}
	if p.now == nil {
		switch {
		case p.s.draining.Load():
			row.State = admin.WorkerEnded
		case p.restarts == 0:
			row.State = admin.WorkerStarting
		}
		if p.waiting > 0 {
			row.Note = "it has died young, and waits " + p.waiting.String() + " for its next start"
		}
		return row
	}
	row.PID, row.Uptime = p.now.pid(), time.Since(p.now.started).Seconds()
	switch {
	case !p.now.serves():
		row.State = admin.WorkerStarting
		return row
	case err != nil:
		row.State, row.Note = admin.WorkerSilent, words(err)
		return row
	case p.last.Draining:
		row.State = admin.WorkerDraining
	default:
		row.State = admin.WorkerServing
	}
	if !p.last.Bus.Connected {
		row.Note = "bus: " + p.last.Bus.Reason
	}
	addPresent(sum, &p.last)
	sum.IO = p.last.IO
	row.Connections, row.PrivateBytes, row.OpenFiles = p.last.Connections.Total, p.last.Memory.PrivateBytes, p.last.Files.Open
	return row
}
