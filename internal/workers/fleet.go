// The fleet: all workers as one node behind the admin API.

package workers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"c100k/broadcast"
	"c100k/internal/admin"
	"c100k/internal/bus"
	"c100k/internal/version"
	"c100k/netpoll"
)

// fleet is the admin.Node of a Supervisor. Workers are asked at the same time, and one that does not answer is left out of the
// answer. Any goroutine.
type fleet struct{ s *Supervisor }

var (
	errDraining  = errors.New("draining")
	errNobody    = errors.New("no worker serves")
	errUnheard   = errors.New("the bus does not answer")
	errNotServed = errors.New("does not serve at present")
)

// each calls f for each worker that serves, at the same time, and returns what went wrong, by worker.
func (f *fleet) each(timeout time.Duration, call func(ctx context.Context, p *slot, c *client) error) []error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	errs := make([]error, len(f.s.slots))
	var all sync.WaitGroup
	for i, p := range f.s.slots {
		all.Go(func() {
			process := p.process()
			if process == nil || !process.serves() {
				errs[i] = errNotServed
				return
			}
			errs[i] = call(ctx, p, process.client)
		})
	}
	all.Wait()
	return errs
}

// Publish sends a message to the subscribers of all workers, over the bus.
func (f *fleet) Publish(topic string, kind broadcast.Kind, payload []byte) (broadcast.Result, error) {
	answered := make(chan bus.Answer, 1)
	m := bus.Message{Topic: topic, Kind: uint8(kind), Payload: payload}
	if err := f.s.bus.Ask(context.Background(), m, func(a bus.Answer) { answered <- a }); err != nil {
		return broadcast.Result{}, err
	}
	select {
	case a := <-answered:
		return broadcast.Result{Matched: a.Matched, Queued: a.Queued, Dropped: a.Dropped}, nil
	case <-time.After(2 * bus.AskTimeout):
		return broadcast.Result{}, errUnheard // the bus promises an end before that
	}
}

// page is the answer of a worker's GET /v1/topics.
type page struct {
	Topics []admin.Topic `json:"topics"`
	Next   string        `json:"next"`
}

// Topics merges the workers' lists.
func (f *fleet) Topics(prefix, after string, most int) []admin.Topic {
	lists := make([][]admin.Topic, len(f.s.slots))
	f.each(askTimeout, func(ctx context.Context, p *slot, c *client) (err error) {
		lists[p.number], err = topicsOf(ctx, c, prefix, after, most)
		return err
	})
	return mergeTopics(lists)
}

// topicsOf reads as many topics of a worker as are asked for, page by page.
func topicsOf(ctx context.Context, c *client, prefix, after string, most int) (list []admin.Topic, err error) {
	for {
		query := url.Values{"prefix": {prefix}, "limit": {strconv.Itoa(min(most-len(list), admin.TopicsPageMax))}}
		if after != "" {
			query.Set("cursor", after)
		}
		var got page
		if err := c.do(ctx, http.MethodGet, "/v1/topics?"+query.Encode(), nil, &got); err != nil {
			return nil, err
		}
		list = append(list, got.Topics...)
		if after = got.Next; after == "" || len(list) >= most {
			return list, nil
		}
	}
}

// mergeTopics adds up topics of the same name.
func mergeTopics(lists [][]admin.Topic) []admin.Topic {
	all := slices.Concat(lists...)
	slices.SortStableFunc(all, func(x, y admin.Topic) int { return strings.Compare(x.Name, y.Name) })
	merged := all[:0]
	for _, t := range all {
		if n := len(merged); n > 0 && merged[n-1].Name == t.Name {
			merged[n-1].Subscribers += t.Subscribers
			addCounts(&merged[n-1].Transports, t.Transports)
			continue
		}
		merged = append(merged, t)
	}
	return merged
}

// Topic is one topic over all workers.
func (f *fleet) Topic(name string) (admin.Topic, bool) {
	lists := make([][]admin.Topic, len(f.s.slots))
	f.each(askTimeout, func(ctx context.Context, p *slot, c *client) error {
		var t admin.Topic
		if err := c.do(ctx, http.MethodGet, "/v1/topics/"+segment(name), nil, &t); err != nil {
			return err // also a 404: nobody there is subscribed
		}
		lists[p.number] = []admin.Topic{t}
		return nil
	})
	merged := mergeTopics(lists)
	if len(merged) == 0 {
		return admin.Topic{}, false
	}
	return merged[0], true
}

// segment is a name as one segment of a path. Dots are escaped too: "." and ".." would be taken for directories.
func segment(name string) string { return strings.ReplaceAll(url.PathEscape(name), ".", "%2E") }

// CloseConnection asks the worker whose loop the connection is on.
func (f *fleet) CloseConnection(id netpoll.ID) bool {
	number := id.Loop() / f.s.config.Load().Loops
	if number >= len(f.s.slots) {
		return false
	}
	process := f.s.slots[number].process()
	if process == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	return process.client.do(ctx, http.MethodDelete, "/v1/connections/"+id.String(), nil, nil) == nil
}

// Drain drains all workers.
func (f *fleet) Drain() error {
	f.s.beginDrain()
	return nil
}

// Ready is nil while one worker at least serves and none drains.
func (f *fleet) Ready() error {
	if f.s.draining.Load() {
		return errDraining
	}
	for _, p := range f.s.slots {
		if process := p.process(); process != nil && process.serves() {
			return nil
		}
	}
	return errNobody
}

// reload gives all workers a change, and says in the log what each has answered. The error names those that did not take it.
func (f *fleet) reload(change *Change) error {
	errs := f.each(askTimeout, func(ctx context.Context, _ *slot, c *client) error {
		return c.do(ctx, http.MethodPost, "/worker/reload", change, nil)
	})
	for i, err := range errs {
		switch {
		case errors.Is(err, errNotServed):
			f.s.log.Info("worker starts with the new configuration", "worker", i)
			errs[i] = nil
		case err != nil:
			errs[i] = fmt.Errorf("worker %d keeps the old configuration: %w", i, err)
		default:
			f.s.log.Debug("worker has the new configuration", "worker", i)
		}
	}
	return errors.Join(errs...)
}

// Stats adds the workers' figures up.
func (f *fleet) Stats() admin.Stats {
	fresh := f.read()
	build := version.Get()
	s := admin.Stats{
		Version: build.Version, Revision: build.Revision, GoVersion: build.Go,
		Started: f.s.began, UptimeSeconds: time.Since(f.s.began).Seconds(), Draining: f.s.draining.Load(),
	}
	for i, p := range f.s.slots {
		s.Workers = append(s.Workers, p.addTo(&s, fresh[i]))
	}
	slices.SortFunc(s.Loops, func(x, y admin.Loop) int { return x.Loop - y.Loop })
	return s
}

// read reads the figures of all workers, and says what went wrong with each.
func (f *fleet) read() []error {
	return f.each(partTimeout, func(ctx context.Context, p *slot, c *client) error {
		var s admin.Stats
		if err := c.do(ctx, http.MethodGet, "/v1/stats", nil, &s); err != nil {
			return err
		}
		p.note(c, &s)
		return nil
	})
}

// keepReading reads from time to time, until ctx ends.
func (f *fleet) keepReading(ctx context.Context) {
	tick := time.NewTicker(readEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			f.read()
		case <-ctx.Done():
			return
		}
	}
}
