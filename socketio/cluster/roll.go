// The roll: which other servers answer.

package cluster

import (
	"slices"
	"time"

	"c100k/internal/siowire"
)

// roll knows how many subscribers of a namespace do not answer, by the probe that ended last. Under
// the mu of its adapter.
type roll struct {
	probed bool // a probe has ended
	total  int  // other servers that answered it
	gap    int  // subscribers that did not

	// Subscribers that have never answered are no servers: programs that only listen. Their number is
	// the lowest gap of the last silentFor, at least.
	lowest, lowestBefore int
	lowestSince          time.Time

	seen   map[string]time.Time // servers by UID, and when they last answered
	needed time.Time            // when a request was last made
	timer  *time.Timer          // of the next probe; nil: none is due
}

// watch makes the namespace ask who is there, for some time from now on.
func (a *adapter) watch() {
	a.mu.Lock()
	a.roll.needed = time.Now()
	idle := a.roll.timer == nil && !a.closed.Load()
	if idle {
		a.roll.timer = time.AfterFunc(0, a.probe)
	}
	a.mu.Unlock()
}

// probe asks who is there, and comes back later.
func (a *adapter) probe() {
	a.mu.Lock()
	if a.closed.Load() || time.Since(a.roll.needed) > probeFor {
		a.roll = roll{needed: a.roll.needed}
		a.mu.Unlock()
		return
	}
	a.roll.timer = time.AfterFunc(probeEvery, a.probe)
	m := a.c.form.probe(a, randomID())
	r := &request{id: m.RequestID, kind: siowire.SocketIDs, probe: true, receivers: -1}
	a.requests[r.id] = r
	r.timer = time.AfterFunc(probeTimeout, func() { a.probeEnded(r) })
	a.mu.Unlock()
	// A probe that cannot be sent says nothing about the servers.
	err := a.send(&m, nil, func(receivers int, err error) {
		a.mu.Lock()
		r.receivers, r.sent = countable(receivers), err == nil
		a.check(r)
		a.mu.Unlock()
	})
	if err != nil {
		a.mu.Lock()
		a.drop(r)
		a.mu.Unlock()
	}
}

// probeEnded counts the answers to a probe, and ends the requests that waited for servers which do
// not answer.
func (a *adapter) probeEnded(r *request) {
	a.mu.Lock()
	if !a.drop(r) || !r.sent {
		a.mu.Unlock()
		return
	}
	a.roll.take(r)
	var over []*request
	for _, waiting := range a.requests {
		if done := a.check(waiting); done != nil {
			over = append(over, done)
		}
	}
	a.mu.Unlock()
	for _, r := range over {
		r.end()
	}
}

// take records the answers to a probe.
func (o *roll) take(r *request) {
	now := time.Now()
	o.total = r.heard()
	if r.receivers >= 0 {
		o.gap = max(r.receivers-1-o.total, 0)
		o.answered(r)
	}
	o.probed = true
	for uid, at := range o.seen {
		if now.Sub(at) > silentFor {
			delete(o.seen, uid)
		}
	}
}

// answered notes how many subscribers have not answered a request that is over, or a probe. Those
// that have are servers, however late they were another time.
func (o *roll) answered(r *request) {
	if r.receivers < 0 {
		return
	}
	now, gap := time.Now(), max(r.receivers-1-r.heard(), 0)
	switch {
	case o.lowestSince.IsZero():
		o.lowest, o.lowestBefore, o.lowestSince = gap, gap, now
	case now.Sub(o.lowestSince) > silentFor/2:
		o.lowestBefore, o.lowest, o.lowestSince = o.lowest, gap, now
	}
	o.lowest = min(o.lowest, gap)
}

// heard records that a server has answered.
func (o *roll) heard(uid string) {
	if o.seen == nil {
		o.seen = map[string]time.Time{}
	}
	if _, known := o.seen[uid]; known || len(o.seen) < serversMax {
		o.seen[uid] = time.Now()
	}
}

// expected returns how many servers will answer a request that was sent to so many subscribers;
// known is false if that cannot be told yet.
func (o *roll) expected(receivers int) (n int, known bool) {
	if receivers >= 0 {
		// Where a subscriber has gone since the last probe, it may have been the one that did not answer.
		return max(receivers-1-o.gap, min(o.total, receivers-1), 0), true
	}
	return o.total, o.probed
}

// missing returns how many servers have not answered a request.
func (o *roll) missing(r *request) int {
	if r.receivers < 0 {
		return len(o.silent(r))
	}
	listeners := min(o.lowest, o.lowestBefore)
	if !o.probed {
		listeners = 0
	}
	return max(r.receivers-1-listeners-r.heard(), 0)
}

// silent returns the servers with a UID that have not answered a request, the one that was silent
// the longest first.
func (o *roll) silent(r *request) []string {
	var list []string
	for uid := range o.seen {
		if !slices.Contains(r.named, uid) && !slices.Contains(r.absent, uid) {
			list = append(list, uid)
		}
	}
	slices.SortFunc(list, func(a, b string) int { return o.seen[a].Compare(o.seen[b]) })
	return list
}

func (o *roll) stop() {
	if o.timer != nil {
		o.timer.Stop()
	}
}
