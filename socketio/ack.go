// Pending acknowledgements: of one socket, and of a broadcast.

package socketio

import (
	"sync"
	"sync/atomic"
	"time"
)

// pendingAck is an acknowledgement that a client has not sent yet. done is called once, on the
// event loop. It returns an error if the answer does not fit the function that takes it.
type pendingAck struct {
	done func(answer Args, failure error) error
}

// expectAck registers an acknowledgement that the client is asked for.
func (s *Socket) expectAck(id uint64, w pendingAck) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != socketConnected {
		return ErrDisconnected
	}
	own := s.ownState()
	switch {
	case len(own.acks) >= AcksPerSocketMax:
		return ErrAcks
	case own.acks == nil:
		own.acks = make(map[uint64]pendingAck, 1)
	}
	own.acks[id] = w
	return nil
}

// takeAck removes a pending acknowledgement and returns it.
func (s *Socket) takeAck(id uint64) (w pendingAck, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.own == nil {
		return w, false
	}
	if w, ok = s.own.acks[id]; ok {
		delete(s.own.acks, id)
		if len(s.own.acks) == 0 {
			s.own.acks = nil // a map that was large stays large
		}
	}
	return w, ok
}

// acknowledged handles an answer of the client. If there are two, the second is ignored, as is one
// that was not asked for. Loop only.
func (s *Socket) acknowledged(id uint64, answer Args) {
	if w, ok := s.takeAck(id); ok {
		if err := w.done(answer, nil); err != nil {
			s.fail(err)
		}
		return
	}
	if b := s.nsp.acks.get(id); b != nil {
		b.answer(s, answer.Clone())
	}
}

// expired ends an acknowledgement with ErrTimeout. Loop only.
func (s *Socket) expired(id uint64) {
	if w, ok := s.takeAck(id); ok {
		if err := w.done(Args{}, ErrTimeout); err != nil {
			s.fail(err)
		}
	}
}

// reply is the acknowledgement of a client's event, and space for the packet that it becomes: one
// allocation for both. Any goroutine.
type reply struct {
	socket *Socket
	id     uint64
	called atomic.Bool
	out    outgoing
}

// answer makes the function by which a handler acknowledges an event.
func (s *Socket) answer(id uint64) Ack {
	r := &reply{socket: s, id: id}
	return r.send
}

// send is the Ack.
func (r *reply) send(args ...any) (err error) {
	if r.called.Swap(true) {
		return nil
	}
	nsp := r.socket.nsp
	if r.out, err = encodeAck(nsp.server.opt.Parser, nsp.name, r.id, args); err != nil {
		return err
	}
	return r.socket.reactor.submit(command{socket: r.socket, out: &r.out})
}

// noAnswer is the Ack of an event for which the client wants no acknowledgement.
func noAnswer(...any) error { return nil }

// broadcastAckDefault is how long a broadcast without a Timeout waits for acknowledgements.
const broadcastAckDefault = 10 * time.Second

// broadcastAcks are a namespace's broadcasts that wait for acknowledgements.
type broadcastAcks struct {
	mu   sync.Mutex // guards the field below
	byID map[uint64]*broadcastAck
}

func (a *broadcastAcks) get(id uint64) *broadcastAck {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.byID[id]
}

func (a *broadcastAcks) put(b *broadcastAck) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.byID == nil {
		a.byID = map[uint64]*broadcastAck{}
	}
	a.byID[b.id] = b
}

func (a *broadcastAcks) drop(id uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.byID, id)
}

// broadcastAck takes the acknowledgements of one broadcast on this server. Any goroutine.
type broadcastAck struct {
	// Immutable.
	id   uint64
	nsp  *Namespace
	acks Acks

	mu         sync.Mutex // guards the fields below
	deliveries int        // deliveries that are under way
	unanswered map[*Socket]struct{}
	sent       int // sockets that have been sent the event
	over       bool
	timer      *time.Timer
}

// newBroadcastAck begins to take acknowledgements, with one delivery under way: the caller calls
// deliveryDone once.
func newBroadcastAck(nsp *Namespace, timeout time.Duration, acks Acks) *broadcastAck {
	b := &broadcastAck{id: nsp.ackIDs.Add(1) - 1, nsp: nsp, acks: acks, deliveries: 1, unanswered: map[*Socket]struct{}{}}
	nsp.acks.put(b)
	if c, ok := acks.(*ackCollector); ok {
		c.stopWith(b.end) // it has the timeout itself
	} else {
		b.mu.Lock()
		b.timer = time.AfterFunc(ackTimeout(timeout), b.end)
		b.mu.Unlock()
	}
	return b
}

func ackTimeout(d time.Duration) time.Duration {
	if d <= 0 {
		return broadcastAckDefault
	}
	return d
}

// addDelivery counts a delivery; deliveryDone ends it.
func (b *broadcastAck) addDelivery() {
	b.mu.Lock()
	b.deliveries++
	b.mu.Unlock()
}

// deliveryDone ends a delivery: it adds no more sockets.
func (b *broadcastAck) deliveryDone() {
	b.mu.Lock()
	b.deliveries--
	sent, known := b.sent, b.deliveries == 0 && !b.over
	complete := known && len(b.unanswered) == 0
	b.mu.Unlock()
	if complete {
		b.end()
	}
	if known {
		b.acks.Clients(sent)
	}
}

// addSocket registers a socket that is sent the event.
func (b *broadcastAck) addSocket(s *Socket) {
	b.mu.Lock()
	b.unanswered[s] = struct{}{}
	b.sent++
	b.mu.Unlock()
}

// answer takes the acknowledgement of a socket that was sent the event.
func (b *broadcastAck) answer(s *Socket, answer Args) {
	b.mu.Lock()
	_, unanswered := b.unanswered[s]
	unanswered = unanswered && !b.over
	delete(b.unanswered, s)
	complete := unanswered && b.deliveries == 0 && len(b.unanswered) == 0
	b.mu.Unlock()
	if complete {
		b.end()
	}
	if unanswered {
		b.acks.Answer(answer)
	}
}

// end removes the broadcast. Answers that come later are ignored.
func (b *broadcastAck) end() {
	b.mu.Lock()
	b.over = true
	timer := b.timer
	b.mu.Unlock()
	if timer != nil {
		timer.Stop()
	}
	b.nsp.acks.drop(b.id)
}
