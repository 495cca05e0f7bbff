// The figures of a node: those of its workers added up, over all processes that have been one.

package workers

import (
	"context"
	"net/http"
	"time"

	"c100k/internal/bus/dial"
	"c100k/internal/figures"
	"c100k/internal/version"
	"c100k/server"
)

// reasonLost is the reason of connections that ended with their process. No other process counts
// them.
const reasonLost = "worker_ended"

// Stats adds the workers' figures up.
func (f *fleet) Stats() *figures.Reading {
	fresh := f.read()
	build := version.Get()
	own := figures.Source{
		Version: build.Version, Revision: build.Revision, GoVersion: build.Go,
		MaxConns: f.s.setup.Load().config.MaxConns, Reloads: f.s.reloads.Counts(), Spans: figures.ReadSpans(f.s.spans),
		Stored:  figures.Stored{Accepted: f.s.published.accepted.Load(), Failed: f.s.published.failed.Load()},
		Started: f.s.began, Uptime: time.Since(f.s.began), Draining: f.s.draining.Load(),
		Bus: figures.Bus{Kind: dial.Kind(f.s.url), Health: f.s.bus.Health()}, Process: f.s.self.Read(),
		Certificates: server.Certificates(f.s.tls, f.s.secure, time.Now()),
	}
	all := new(figures.Reading)
	for i, p := range f.s.slots {
		own.Workers = append(own.Workers, p.addTo(all, fresh[i]))
	}
	sum := figures.Read(&own)
	sum.AddTotals(all)
	sum.AddPresent(all)
	return sum
}

// read reads the figures of all workers, and returns what went wrong with each.
func (f *fleet) read() []error {
	return f.each(partTimeout, func(ctx context.Context, p *slot, c *client) error {
		r := new(figures.Reading)
		if err := c.do(ctx, http.MethodGet, "/v1/stats", nil, r); err != nil {
			return err
		}
		p.note(c, r)
		return nil
	})
}

// keepReading reads periodically until ctx ends, and sends the current setup to workers that have
// an older one.
func (f *fleet) keepReading(ctx context.Context) {
	tick := time.NewTicker(readEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			f.read()
			f.catchUp()
		case <-ctx.Done():
			return
		}
	}
}

// note stores a reading if its process still runs.
func (p *slot) note(c *client, r *figures.Reading) {
	p.mu.Lock()
	defer p.mu.Unlock()
	// Two concurrent readings may arrive in the wrong order. A counter must not go back.
	if p.now != nil && p.now.client == c && r.Number(figures.KeyUptime) >= p.last.Number(figures.KeyUptime) {
		p.last = r
	}
}

// addTo adds the worker's figures to those of all, and returns its own row. err is the error of the
// latest request to it.
func (p *slot) addTo(sum *figures.Reading, err error) figures.Worker {
	p.mu.Lock()
	defer p.mu.Unlock()
	sum.AddTotals(p.past)
	sum.AddTotals(p.last)
	row := figures.Worker{
		Number: p.number, State: figures.WorkerRestarting, Restarts: p.restarts,
		MessagesSent: uint64(p.past.Number(figures.KeyMessagesSent) + p.last.Number(figures.KeyMessagesSent)),
		CPU:          seconds(p.past.Number(figures.KeyCPU) + p.last.Number(figures.KeyCPU)),
	}
	if p.now == nil {
		switch {
		case p.s.draining.Load():
			row.State = figures.WorkerEnded
		case p.restarts == 0:
			row.State = figures.WorkerStarting
		}
		if p.waiting > 0 {
			row.Note = "it died early and waits " + p.waiting.String() + " for its next start"
		}
		return row
	}
	row.PID, row.Uptime = p.now.pid(), time.Since(p.now.started)
	switch {
	case !p.now.serves():
		row.State = figures.WorkerStarting
		return row
	case err != nil:
		row.State, row.Note = figures.WorkerSilent, words(err)
		return row
	case p.last.Number(figures.KeyDraining) != 0:
		row.State = figures.WorkerDraining
	default:
		row.State = figures.WorkerServing
	}
	if p.last.Number(figures.KeyBusConnected) == 0 {
		row.Note = "bus: " + p.last.Text(figures.KeyBusReason)
	}
	sum.AddPresent(p.last)
	row.Connections, row.OpenFiles = int(p.last.Number(figures.KeyConnections)), int(p.last.Number(figures.KeyOpenFiles))
	row.PrivateBytes = int64(p.last.Number(figures.KeyPrivateBytes))
	return row
}

func seconds(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }
