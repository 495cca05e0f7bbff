// A trace of a node of several workers: what each tells, joined.

package workers

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"sync"

	"c100k/internal/admin"
	"c100k/internal/trace"
)

// Trace asks the workers, or that of a connection, and joins what they tell. A worker that ends or
// does not answer is named in the trace; it is not asked again.
func (f *fleet) Trace(ctx context.Context, q *trace.Query, out func(*admin.TraceEvent) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	asked := f.s.slots
	if q.Conn != 0 {
		asked = nil
		if owner, _, _ := f.ownerOf(q.Conn); owner != nil { // one that is silent is named below
			asked = []*slot{owner}
		}
	}
	j := &joint{out: out, waits: len(asked), cancel: cancel}
	if len(asked) == 0 {
		j.begin()
	}
	var all sync.WaitGroup
	for _, p := range asked {
		all.Go(func() {
			err := f.traceWorker(ctx, p, q, j)
			if ctx.Err() == nil {
				text := p.label() + ": its part of the trace has ended"
				if err != nil {
					text = p.label() + ": " + words(err)
				}
				j.tell(&admin.TraceEvent{Type: "missing", Text: text})
				j.begin()
			}
		})
	}
	<-ctx.Done()
	all.Wait()
	return j.failed
}

// joint joins the events of several workers. Any goroutine.
type joint struct {
	cancel context.CancelFunc

	mu     sync.Mutex // guards the fields below, and the calls of out
	out    func(*admin.TraceEvent) error
	waits  int // workers whose part has not begun
	begun  bool
	failed error
}

func (j *joint) tell(e *admin.TraceEvent) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.pass(e)
}

// pass passes an event on; the caller has the lock.
func (j *joint) pass(e *admin.TraceEvent) {
	if j.failed == nil {
		if j.failed = j.out(e); j.failed != nil {
			j.cancel()
		}
	}
}

// begin hears that one worker more has begun; when all have, the trace has.
func (j *joint) begin() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.waits--; j.waits <= 0 && !j.begun {
		j.begun = true
		j.pass(&admin.TraceEvent{Type: "begin"})
	}
}

// traceWorker passes on what one worker tells.
func (f *fleet) traceWorker(ctx context.Context, p *slot, q *trace.Query, j *joint) error {
	process := p.process()
	if process == nil || !process.serves() {
		return errNotServed
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/v1/trace?"+admin.TraceValues(q).Encode(), nil)
	if err != nil {
		return err
	}
	response, err := process.client.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return problemOf(response)
	}
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, traceLineBytesMax)
	for lines.Scan() {
		data, ok := bytes.CutPrefix(lines.Bytes(), []byte("data: "))
		if !ok {
			continue
		}
		e := new(admin.TraceEvent)
		if err := json.Unmarshal(data, e); err != nil {
			return err
		}
		if e.Type == "begin" {
			j.begin()
		} else {
			j.tell(e)
		}
	}
	return lines.Err()
}
