// The questions of this node that wait for answers.

package bus

import (
	"slices"
	"sync"
	"time"
)

// ask is one question.
type ask struct {
	sequence uint64
	due      time.Time
	left     []uint64 // nodes that have not answered
	answer   Answer
	done     func(Answer)
	over     bool
}

// asks are the questions that wait, and the nodes of whom the next one is asked: under one lock, so
// that a question is either asked of the nodes without one that leaves, or waits when it leaves.
// Any goroutine; done is never called under the lock.
type asks struct {
	mu         sync.Mutex // guards the fields below
	nodes      []uint64   // replaced, never changed
	bySequence map[uint64]*ask
	queue      []*ask // by due; those that are over leave it when they are at the front
}

// begin adds a question. If there is nobody to ask, or too many questions wait already, it is over
// at once: it is returned, and the caller must call its done.
func (a *asks) begin(sequence uint64, now time.Time, done func(Answer)) (over *ask) {
	a.mu.Lock()
	defer a.mu.Unlock()
	q := &ask{sequence: sequence, due: now.Add(AskTimeout), done: done}
	if len(a.nodes) == 0 || len(a.bySequence) >= AsksMax {
		q.answer.Silent = len(a.nodes)
		return q
	}
	if a.bySequence == nil {
		a.bySequence = make(map[uint64]*ask)
	}
	q.left = slices.Clone(a.nodes)
	a.bySequence[sequence] = q
	a.dropOver()
	a.queue = append(a.queue, q)
	return nil
}

// dropOver takes questions that are over off the front of the queue.
func (a *asks) dropOver() {
	n := 0
	for n < len(a.queue) && a.queue[n].over {
		a.queue[n] = nil
		n++
	}
	a.queue = a.queue[n:]
}

// finish takes q out.
func (a *asks) finish(q *ask) {
	q.over = true
	q.answer.Silent += len(q.left)
	q.left = nil
	delete(a.bySequence, q.sequence)
}

// answered takes a node's answer; lost says that the node has not delivered the message. It returns
// the question if it is over: the caller must call its done. A node that is not waited for, because
// it had only just come, counts too.
func (a *asks) answered(node, sequence uint64, t Tally, lost bool) (over *ask) {
	a.mu.Lock()
	defer a.mu.Unlock()
	q := a.bySequence[sequence]
	if q == nil {
		return nil
	}
	if i := slices.Index(q.left, node); i >= 0 {
		q.left = slices.Delete(q.left, i, i+1)
	}
	if lost {
		q.answer.Silent++
	} else {
		q.answer.Nodes++
		q.answer.Add(t)
	}
	if len(q.left) > 0 {
		return nil
	}
	a.finish(q)
	return q
}

// setNodes says which nodes are there. Questions no longer wait for the others; it returns those
// that have all their answers now.
func (a *asks) setNodes(nodes []uint64) (over []*ask) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.nodes = nodes
	for _, q := range a.bySequence {
		before := len(q.left)
		q.left = slices.DeleteFunc(q.left, func(id uint64) bool { return !slices.Contains(nodes, id) })
		q.answer.Silent += before - len(q.left)
		if len(q.left) == 0 {
			a.finish(q)
			over = append(over, q)
		}
	}
	return over
}

// expire returns the questions that have waited long enough.
func (a *asks) expire(now time.Time) (over []*ask) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for a.dropOver(); len(a.queue) > 0 && !a.queue[0].due.After(now); a.dropOver() {
		over = append(over, a.queue[0])
		a.finish(a.queue[0])
	}
	return over
}

// close returns all questions. The outbox, which lets no other begin, has been closed before.
func (a *asks) close() (over []*ask) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, q := range a.bySequence {
		a.finish(q)
		over = append(over, q)
	}
	a.queue = nil
	return over
}

// tell calls done of questions that are over.
func tell(over ...*ask) {
	for _, q := range over {
		q.done(q.answer)
	}
}
