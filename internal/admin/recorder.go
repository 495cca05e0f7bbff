// The figures of the last ten minutes, and GET /v1/figures: a sample a second for those who watch.

package admin

import (
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"c100k/internal/figures"
)

// sample is what the dashboard draws of one moment. Totals only grow.
type sample struct {
	Time     int64    `json:"t"` // Unix milliseconds
	Conns    float64  `json:"conns"`
	Topics   float64  `json:"topics"`
	In       float64  `json:"in"`  // messages, total
	Out      float64  `json:"out"` // likewise; those of topics included
	InBytes  float64  `json:"in_bytes"`
	OutBytes float64  `json:"out_bytes"`
	Outbox   float64  `json:"outbox"` // bytes that wait to be sent
	Memory   float64  `json:"memory"`
	CPU      float64  `json:"cpu"`     // seconds, total
	Busy     float64  `json:"busy"`    // seconds of all loops, total
	Slow     float64  `json:"slow"`    // clients that took too little, total
	Closed   float64  `json:"closed"`  // total
	Refused  float64  `json:"refused"` // total
	Fanout50 *float64 `json:"fanout_p50"`
	Fanout99 *float64 `json:"fanout_p99"` // milliseconds, since the sample before; null: there were none
	Turn99   *float64 `json:"turn_p99"`
	Draining bool     `json:"draining"`
	Short    bool     `json:"short"` // of memory
}

// Recorder keeps samples of the figures of a node, and gives each to those who watch. Any
// goroutine.
type Recorder struct {
	read func() *figures.Reading

	mu            sync.Mutex // guards the fields below
	kept          [][]byte   // samples as JSON, oldest first
	times         []time.Time
	watchers      map[chan []byte]struct{}
	woken         chan struct{}
	fanout, turns figures.HistogramSnapshot // of the sample before
}

// NewRecorder makes one that reads by read.
func NewRecorder(read func() *figures.Reading) *Recorder {
	return &Recorder{read: read, watchers: map[chan []byte]struct{}{}, woken: make(chan struct{}, 1)}
}

// Run takes samples until done is closed: often while somebody watches.
func (r *Recorder) Run(done <-chan struct{}) {
	for {
		r.take(time.Now())
		wait := RecordIdle
		if r.watched() {
			wait = RecordEvery
		}
		next := time.NewTimer(wait)
		select {
		case <-next.C:
		case <-r.woken: // somebody begins to watch
			next.Stop()
		case <-done:
			next.Stop()
			return
		}
	}
}

func (r *Recorder) watched() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.watchers) > 0
}

// take takes one sample.
func (r *Recorder) take(now time.Time) {
	reading := r.read() // which may ask other processes
	r.mu.Lock()
	defer r.mu.Unlock()
	text, err := json.Marshal(r.sample(reading, now))
	if err != nil {
		return // a figure that is no number; the next one may be
	}
	r.kept, r.times = append(r.kept, text), append(r.times, now)
	for len(r.kept) > RecordMax || now.Sub(r.times[0]) > RecordAge {
		r.kept, r.times = r.kept[1:], r.times[1:]
	}
	for w := range r.watchers {
		select {
		case w <- text:
		default: // it does not read; each sample stands for itself
		}
	}
}

func (r *Recorder) sample(f *figures.Reading, now time.Time) *sample {
	s := &sample{
		Time: now.UnixMilli(), Conns: f.Number(figures.KeyConnections), Topics: f.Number("topics"),
		In: f.Number("messages.received_total"), Out: f.Number(figures.KeyMessagesSent),
		InBytes: f.Number("bytes.received_total"), OutBytes: f.Number("bytes.sent_total"),
		Outbox: f.Number("queues.outbox_bytes"), Memory: f.Number(figures.KeyPrivateBytes), CPU: f.Number(figures.KeyCPU),
		Busy: sum(f.At("loops[].busy_seconds_total").Family), Slow: sum(f.At("slow_consumer_total").Family),
		Refused:  sum(f.At("handshakes_rejected_total").Family) + sum(f.At("connections.refused_total").Family),
		Draining: f.Number(figures.KeyDraining) != 0, Short: f.Number("held.short") != 0,
	}
	for _, reasons := range f.At(figures.KeyClosed).Families {
		s.Closed += sum(reasons)
	}
	fanout, turns := f.At("publish_fanout_seconds").Histogram, f.At("loop_turn_seconds").Histogram
	s.Fanout50, s.Fanout99 = quantile(&r.fanout, &fanout, 0.5), quantile(&r.fanout, &fanout, 0.99)
	s.Turn99 = quantile(&r.turns, &turns, 0.99)
	r.fanout, r.turns = fanout, turns
	return s
}

func sum(family map[string]float64) (n float64) {
	for _, v := range family {
		n += v
	}
	return n
}

// quantile is that of what was observed between two snapshots, in milliseconds: the bound of the
// bucket that it is in; nil without an observation.
func quantile(before, after *figures.HistogramSnapshot, q float64) *float64 {
	since := make([]float64, len(after.Counts))
	all := 0.0
	for i, n := range after.Counts {
		since[i] = float64(n)
		if i < len(before.Counts) && before.Counts[i] <= n {
			since[i] -= float64(before.Counts[i])
		}
		all += since[i]
	}
	if all == 0 || len(after.Bounds) == 0 {
		return nil
	}
	i, rank := 0, q*all
	for ; i < len(since)-1 && rank > since[i]; i++ {
		rank -= since[i]
	}
	ms := after.Bounds[min(i, len(after.Bounds)-1)] * 1000
	return &ms
}

// watch begins to watch: what is kept, and each sample from now on, until stop is called.
func (r *Recorder) watch() (kept [][]byte, samples chan []byte, stop func()) {
	samples = make(chan []byte, recordQueued)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.watchers[samples] = struct{}{}
	select {
	case r.woken <- struct{}{}:
	default:
	}
	return r.kept[:len(r.kept):len(r.kept)], samples, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.watchers, samples)
	}
}

// figures answers GET /v1/figures.
func (a *api) figures(w http.ResponseWriter, r *http.Request, _ string) {
	_, problem := query(r)
	if problem == nil && a.recorder == nil {
		problem = NewProblem(http.StatusNotFound, "no_such_path", "this node records no figures")
	}
	if problem != nil {
		problem.Write(w)
		return
	}
	if r.Method == http.MethodHead {
		writeBody(w, "text/event-stream", http.StatusOK, nil)
		return
	}
	kept, samples, stop := a.recorder.watch()
	defer stop()
	s := newEventStream(w)
	all := make([]json.RawMessage, len(kept))
	for i := range kept {
		all[i] = kept[i]
	}
	if s.send("history", all) != nil {
		return
	}
	for {
		select {
		case text := <-samples:
			if s.send("", json.RawMessage(text)) != nil {
				return
			}
		case <-r.Context().Done():
			return
		}
	}
}
