// Requests that wait for the answers of other servers.

package cluster

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"c100k/internal/siowire"
	"c100k/socketio"
)

// request is one that waits. Its fields belong to the mu of its adapter, until done is called.
type request struct {
	id   string
	kind siowire.Type
	done func(r *request)

	probe     bool // it asks who is there
	sent      bool
	receivers int // subscribers that the request was sent to, this server included; -1: not known
	named     []string
	absent    []string // servers that do not have the namespace
	unnamed   int      // answers of servers that do not say who they are
	failed    []string
	bytes     int // of answers
	timer     *time.Timer

	// The result.
	sockets []*socketio.RemoteSocket
	answers []socketio.Args
	err     error
}

// count returns how many servers have answered that have the namespace.
func (r *request) count() int { return len(r.named) + r.unnamed }

// heard returns how many servers have answered.
func (r *request) heard() int { return r.count() + len(r.absent) }

// ask sends a request to all other servers. done is called once, on any goroutine, when all have
// answered, or after the timeout.
func (a *adapter) ask(m *siowire.Message, timeout time.Duration, done func(r *request)) (*request, error) {
	if m.RequestID == "" {
		m.RequestID = randomID()
	}
	r := &request{id: m.RequestID, kind: m.Type, done: done, receivers: -1}
	a.watch()
	a.mu.Lock()
	if len(a.requests) >= requestsMax {
		a.mu.Unlock()
		return nil, socketio.ErrBusy
	}
	a.requests[r.id] = r
	r.timer = time.AfterFunc(timeout, func() { a.expire(r) })
	a.mu.Unlock()
	err := a.send(m, nil, func(receivers int, err error) { a.sent(r, receivers, err) })
	if err != nil {
		a.mu.Lock()
		a.drop(r)
		a.mu.Unlock()
		return nil, err
	}
	return r, nil
}

// sent records how many servers got a request.
func (a *adapter) sent(r *request, receivers int, err error) {
	if err != nil {
		a.cancel(r, err)
		return
	}
	a.mu.Lock()
	r.sent, r.receivers = true, countable(receivers)
	over := a.check(r)
	a.mu.Unlock()
	over.end()
}

// countable is the number of subscribers that a request was sent to, where that says how many
// servers there are. This server is one of them; where nobody has got the request, its own
// subscription is being made anew, and those of others may be too.
func countable(receivers int) int {
	if receivers < 1 {
		return -1
	}
	return receivers
}

// drop removes a request and reports whether it was there. Under mu.
func (a *adapter) drop(r *request) bool {
	if a.requests[r.id] != r {
		return false
	}
	delete(a.requests, r.id)
	r.timer.Stop()
	return true
}

// check removes a request if all servers have answered. The caller calls end of the result when it
// has unlocked mu. Under mu.
func (a *adapter) check(r *request) *request {
	if r.probe {
		if r.sent && r.receivers >= 0 && r.heard() >= r.receivers-1 && a.drop(r) {
			a.roll.take(r)
		}
		return nil
	}
	want, known := a.roll.expected(r.receivers)
	if !r.sent || !known || r.heard() < want || !a.drop(r) {
		return nil
	}
	a.judge(r)
	return r
}

// judge sets the error of a request that is over: if servers are missing, who they are. Under mu.
func (a *adapter) judge(r *request) {
	a.roll.answered(r)
	missing := a.roll.missing(r)
	if missing == 0 && len(r.failed) == 0 {
		return
	}
	var who []string
	for _, uid := range a.roll.silent(r) {
		if len(who) < missing {
			who = append(who, uid)
		}
	}
	if n := missing - len(who); n > 0 {
		who = append(who, fmt.Sprintf("%d without a name", n))
	}
	who = append(who, r.failed...)
	r.err = fmt.Errorf("%w: %d of %d have not: %s", socketio.ErrPartial, missing+len(r.failed), r.count()+missing+len(r.failed), strings.Join(who, ", "))
}

// end calls done of a request that was removed; nil: there is none. Nobody waits for a probe.
func (r *request) end() {
	if r != nil && !r.probe {
		r.done(r)
	}
}

// expire ends a request after its timeout.
func (a *adapter) expire(r *request) {
	a.mu.Lock()
	if !a.drop(r) {
		a.mu.Unlock()
		return
	}
	if !r.sent {
		r.err = fmt.Errorf("%w: the request could not be sent in time", socketio.ErrPartial)
	} else if want, known := a.roll.expected(r.receivers); !known {
		r.err = fmt.Errorf("%w: the number of servers is not known", socketio.ErrPartial)
	} else if a.judge(r); r.err == nil && r.heard() < want {
		r.err = fmt.Errorf("%w: %d of %d have not in time", socketio.ErrPartial, want-r.heard(), want)
	}
	a.mu.Unlock()
	r.end()
}

// cancel ends a request with what has come, and an error.
func (a *adapter) cancel(r *request, err error) {
	a.mu.Lock()
	if !a.drop(r) {
		a.mu.Unlock()
		return
	}
	r.err = fmt.Errorf("%w: %w", socketio.ErrPartial, err)
	a.mu.Unlock()
	r.end()
}

// endAll ends all requests, when the adapter closes.
func (a *adapter) endAll() {
	a.mu.Lock()
	var all []*request
	for _, r := range a.requests {
		all = append(all, r)
	}
	for id, q := range a.acks {
		q.timer.Stop()
		delete(a.acks, id)
	}
	a.roll.stop()
	a.mu.Unlock()
	for _, r := range all {
		a.cancel(r, socketio.ErrClosed)
	}
}

// answered takes an answer of another server. Answers to nothing, and second answers of a server,
// are ignored.
func (a *adapter) answered(m *siowire.Message) {
	a.mu.Lock()
	r := a.requests[m.RequestID]
	if r == nil || m.UID == a.uid || m.UID != "" && (slices.Contains(r.named, m.UID) || len(r.named) >= serversMax) {
		a.mu.Unlock()
		return
	}
	a.mu.Unlock()
	// Sockets are decoded without the lock: there may be many.
	var sockets []*socketio.RemoteSocket
	var answer socketio.Args
	var err error
	size := len(m.Payload)
	switch {
	case m.Failed != "":
	case r.kind == siowire.FetchSockets:
		sockets, size, err = a.sockets(m)
	case r.kind == siowire.ServerSideEmit:
		if m.Type != siowire.ServerSideEmitAnswer {
			err = siowire.ErrType
			break
		}
		answer, err = oneArg(m)
	case m.Type == siowire.ServerSideEmitAnswer:
		err = siowire.ErrType
	}
	if err != nil {
		a.c.refuse(a, err)
		return
	}
	a.mu.Lock()
	if a.requests[r.id] != r {
		a.mu.Unlock()
		return
	}
	if m.UID != "" {
		r.named = append(r.named, m.UID)
		a.roll.heard(m.UID)
	} else {
		r.unnamed++
	}
	switch {
	case m.Failed != "":
		r.failed = append(r.failed, fmt.Sprintf("%s (%.100s)", m.UID, m.Failed))
	case r.bytes+size > answersBytesMax:
		r.failed = append(r.failed, m.UID+" (too many sockets)")
	case r.kind == siowire.FetchSockets:
		r.sockets = append(r.sockets, sockets...)
		r.bytes += size
	case r.kind == siowire.ServerSideEmit:
		r.answers = append(r.answers, answer)
		r.bytes += size
	}
	over := a.check(r)
	a.mu.Unlock()
	over.end()
}

// sockets decodes the sockets of an answer.
func (a *adapter) sockets(m *siowire.Message) (list []*socketio.RemoteSocket, size int, err error) {
	if m.Sockets == nil {
		return nil, 0, siowire.ErrFormat
	}
	list = make([]*socketio.RemoteSocket, 0, len(m.Sockets))
	for _, text := range m.Sockets {
		s, err := a.local.ParseSocket(text)
		if err != nil {
			return nil, 0, err
		}
		list = append(list, s)
		size += len(text)
	}
	return list, size, nil
}

// oneArg returns the argument of an answer: servers of Node send one.
func oneArg(m *siowire.Message) (socketio.Args, error) {
	if m.Payload == nil {
		return socketio.Args{}, nil
	}
	return socketio.ParseArgs(append(append([]byte{'['}, m.Payload...), ']'), m.Attachments)
}
