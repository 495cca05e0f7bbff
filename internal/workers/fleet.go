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
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"

	"c100k/broadcast"
	"c100k/internal/admin"
	"c100k/internal/auth"
	"c100k/internal/bus"
	"c100k/internal/figures"
	"c100k/netpoll"
	"c100k/server"
)

// fleet is the admin.Node of a Supervisor. Workers are asked at the same time, and one that does
// not answer is left out of the answer. Any goroutine.
type fleet struct{ s *Supervisor }

var (
	errDraining  = errors.New("draining")
	errNotServed = errors.New("does not serve at present")
)

// each calls f for each worker that serves, at the same time, and returns what went wrong, by
// worker.
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
			if errs[i] = process.signs.silence(); errs[i] != nil {
				return
			}
			ctx, done := process.signs.whileAlive(ctx)
			defer done()
			errs[i] = call(ctx, p, process.client)
			if silence := process.signs.silence(); errs[i] != nil && silence != nil {
				errs[i] = silence
			}
		})
	}
	all.Wait()
	return errs
}

// ReadNodes reads the figures of all nodes on the bus; workers of this node are one of them.
func (f *fleet) ReadNodes(done func(*figures.Nodes)) {
	figures.ReadNodes(f.s.figures, f.s.bus.Name(), f.Stats(), done)
}

// Publish sends a message to the subscribers of all workers, over the bus, and waits until they
// have been counted.
func (f *fleet) Publish(topic string, kind broadcast.Kind, payload []byte) (broadcast.Result, error) {
	counted := make(chan broadcast.Result, 1)
	if err := f.PublishLater(admin.Publication{Topic: topic, Kind: kind, Payload: payload}, func(o admin.Outcome) { counted <- o.Result }); err != nil {
		return broadcast.Result{}, err
	}
	return <-counted, nil // an Ask has a deadline
}

// PublishLater is Publish for callers that must not wait.
func (f *fleet) PublishLater(p admin.Publication, done func(admin.Outcome)) error {
	span := f.s.spans.Begin("publish", trace.SpanKindProducer, p.Parent) // nil while nothing is traced
	if span.Traced() {
		done = server.TracePublish(span, p.Topic, len(p.Payload), done)
	}
	err := f.publish(&p, f.s.published.count(done))
	if err != nil {
		f.s.published.failed.Add(1)
		span.Fail("refused")
		span.End()
	}
	return err
}

// publications count what was published at the admin port. Any goroutine.
type publications struct{ accepted, failed atomic.Uint64 }

// count counts an outcome, and passes it on.
func (c *publications) count(done func(admin.Outcome)) func(admin.Outcome) {
	return func(o admin.Outcome) {
		if o.Err != nil {
			c.failed.Add(1)
		} else {
			c.accepted.Add(1)
		}
		done(o)
	}
}

// publish publishes; with an error, done is not called.
func (f *fleet) publish(p *admin.Publication, done func(admin.Outcome)) error {
	if f.s.rules.Of(p.Topic) >= 0 {
		return f.publishStored(p, done)
	}
	m := bus.Message{Topic: p.Topic, Kind: uint8(p.Kind), Payload: p.Payload}
	if id := p.TraceID(); id != nil {
		m.Kind |= server.KindTraced
		m.Payload = slices.Concat(id[:], m.Payload)
	}
	return f.s.bus.Ask(context.Background(), m, func(a bus.Answer) {
		done(admin.Outcome{
			Result:  broadcast.Result{Matched: a.Matched, Queued: a.Queued, Dropped: a.Dropped},
			Partial: a.Silent > 0, Unreached: a.Silent,
		})
	})
}

// page is the answer of a worker's GET /v1/topics.
type page struct {
	Topics []admin.Topic `json:"topics"`
	Next   string        `json:"next"`
}

// Topics merges the workers' lists.
func (f *fleet) Topics(prefix, after string, most int) (list []admin.Topic, missing []string) {
	lists := make([][]admin.Topic, len(f.s.slots))
	errs := f.each(topicsTimeout, func(ctx context.Context, p *slot, c *client) (err error) {
		lists[p.number], err = topicsOf(ctx, c, prefix, after, most)
		return err
	})
	return mergeTopics(lists), f.unwell(errs)
}

// Busiest merges the workers' lists of the topics with the most subscribers.
func (f *fleet) Busiest(prefix string, most int) (list []admin.Topic, missing []string) {
	lists := make([][]admin.Topic, len(f.s.slots))
	errs := f.each(topicsTimeout, func(ctx context.Context, p *slot, c *client) error {
		query := url.Values{"prefix": {prefix}, "order": {"subscribers"}, "limit": {strconv.Itoa(most)}}
		var got page
		err := c.do(ctx, http.MethodGet, "/v1/topics?"+query.Encode(), nil, &got)
		lists[p.number] = got.Topics
		return err
	})
	return mergeTopics(lists), f.unwell(errs)
}

// topicsOf reads as many topics of a worker as are asked for, page by page.
func topicsOf(ctx context.Context, c *client, prefix, after string, most int) (list []admin.Topic, err error) {
	for {
		query := url.Values{"prefix": {prefix}, "limit": {strconv.Itoa(min(most-len(list), admin.TopicsPageMax))}}
		if after != "" {
			query.Set("after", after)
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
			for transport, subscribers := range t.Transports {
				merged[n-1].Transports[transport] += subscribers
			}
			continue
		}
		merged = append(merged, t)
	}
	return merged
}

// Topic is one topic over all workers.
func (f *fleet) Topic(name string) (admin.Topic, bool) {
	lists := make([][]admin.Topic, len(f.s.slots))
	errs := f.each(partTimeout, func(ctx context.Context, p *slot, c *client) error {
		var t admin.Topic
		err := c.do(ctx, http.MethodGet, "/v1/topics/"+segment(name), nil, &t)
		var told *problem
		switch {
		case err == nil:
			lists[p.number] = []admin.Topic{t}
		case errors.As(err, &told) && told.status == http.StatusNotFound:
			return nil // it has no subscriber there
		}
		return err
	})
	merged := mergeTopics(lists)
	if len(merged) == 0 {
		return admin.Topic{Missing: f.unwell(errs)}, false
	}
	merged[0].Missing = f.unwell(errs)
	return merged[0], true
}

// segment is a name as one segment of a path. Dots are escaped too: "." and ".." would be taken for
// directories.
func segment(name string) string { return strings.ReplaceAll(url.PathEscape(name), ".", "%2E") }

// CloseConnection asks the worker whose loop the connection is on.
func (f *fleet) CloseConnection(id netpoll.ID) (found bool, err error) {
	p, process, err := f.ownerOf(id)
	if process == nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), partTimeout)
	defer cancel()
	err = process.client.do(ctx, http.MethodDelete, "/v1/connections/"+id.String(), nil, nil)
	var told *problem
	switch {
	case err == nil:
		return true, nil
	case errors.As(err, &told) && told.status == http.StatusNotFound:
		return false, nil
	}
	return false, fmt.Errorf("%s: %s", p.label(), words(err))
}

// Revoke tells all workers. One that does not answer learns it from the others when it is back.
func (f *fleet) Revoke(list []auth.Revocation) error {
	return f.all(func(ctx context.Context, c *client) error {
		return c.do(ctx, http.MethodPost, "/v1/revocations", list, nil)
	})
}

// Revocations asks all workers, and takes the answer of the first: all have the same.
func (f *fleet) Revocations(after string, most int) (list []auth.Revocation, err error) {
	lists := make([][]auth.Revocation, len(f.s.slots))
	errs := f.each(partTimeout, func(ctx context.Context, p *slot, c *client) error {
		var page struct {
			Revocations []auth.Revocation `json:"revocations"`
			Next        string            `json:"next"`
		}
		err := c.do(ctx, http.MethodGet, "/v1/revocations?after="+url.QueryEscape(after), nil, &page)
		lists[p.number] = page.Revocations
		if n := len(page.Revocations); n > 0 && page.Next != "" {
			lists[p.number] = append(page.Revocations, page.Revocations[n-1]) // there is another page
		}
		return err
	})
	for i, err := range errs {
		if err == nil {
			return lists[i][:min(len(lists[i]), most)], nil
		}
	}
	return nil, errs[0]
}

// Unrevoke tells all workers.
func (f *fleet) Unrevoke(id string) (found bool, err error) {
	var here atomic.Bool
	err = f.all(func(ctx context.Context, c *client) error {
		err := c.do(ctx, http.MethodDelete, "/v1/revocations/"+segment(id), nil, nil)
		var told *problem
		if errors.As(err, &told) && told.status == http.StatusNotFound {
			return nil // it has heard it from another one, or there is none
		}
		if err == nil {
			here.Store(true)
		}
		return err
	})
	return here.Load(), err
}

// CloseUser tells all workers.
func (f *fleet) CloseUser(sub string) error {
	return f.all(func(ctx context.Context, c *client) error {
		return c.do(ctx, http.MethodDelete, "/v1/users/"+segment(sub)+"/connections", nil, nil)
	})
}

// all calls a function for each worker that serves; the error says which have not done it.
func (f *fleet) all(call func(ctx context.Context, c *client) error) error {
	remarks := f.unwell(f.each(partTimeout, func(ctx context.Context, _ *slot, c *client) error { return call(ctx, c) }))
	if len(remarks) > 0 {
		return errors.New(strings.Join(remarks, "; "))
	}
	return nil
}

// Drain drains all workers.
func (f *fleet) Drain() error {
	f.s.beginDrain()
	return nil
}

// Ready is nil while the node does not drain and at least one worker is ready. Problems of the
// others are remarks.
func (f *fleet) Ready() (remarks []string, err error) {
	if f.s.draining.Load() {
		return nil, errDraining
	}
	remarks = f.unwell(f.each(partTimeout, func(ctx context.Context, _ *slot, c *client) error {
		return c.do(ctx, http.MethodGet, "/readyz", nil, nil)
	}))
	if len(remarks) == len(f.s.slots) {
		return nil, errors.New(strings.Join(remarks, "; "))
	}
	return remarks, nil
}

// unwell describes the problems, one sentence for each worker.
func (f *fleet) unwell(errs []error) (remarks []string) {
	for i, err := range errs {
		if err != nil {
			remarks = append(remarks, f.s.slots[i].label()+": "+words(err))
		}
	}
	return remarks
}

// words is the text of an error without the details of the request.
func words(err error) string {
	var request *url.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "does not answer"
	case errors.As(err, &request):
		return request.Err.Error()
	}
	return err.Error()
}

// reload sends the current setup to all workers.
func (f *fleet) reload() {
	for i, err := range f.catchUp() {
		switch {
		case errors.Is(err, errNotServed):
			f.s.log.Info("worker starts with the new configuration", "worker", i)
		case err != nil:
			f.s.log.Warn("worker has not taken the new configuration and is told again", "worker", i, "err", err)
		default:
			f.s.log.Info("worker has the new configuration", "worker", i)
		}
	}
}

// catchUp sends the current setup to workers that have an older one: they were starting when it
// changed, or did not answer.
func (f *fleet) catchUp() []error {
	return f.each(partTimeout, func(ctx context.Context, p *slot, c *client) error {
		now := f.s.setup.Load()
		if p.given.Load() == now {
			return nil
		}
		change := &Change{Config: f.s.share(now), TLS: now.tls, Level: f.s.opt.LogLevel.Level()}
		if err := c.do(ctx, http.MethodPost, "/worker/reload", change, nil); err != nil {
			return err
		}
		p.given.Store(now)
		return nil
	})
}
