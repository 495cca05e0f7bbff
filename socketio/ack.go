// Acknowledgements that are waited for.

package socketio

import (
	"sync"
	"sync/atomic"
	"time"
)

// waiting is an acknowledgement that a socket owes. done is called once, on the event loop; its
// error says that the answer does not fit.
type waiting struct {
	done func(answer Args, failure error) error
}

// expectAck notes an acknowledgement that the client will owe.
func (s *Socket) expectAck(id uint64, w waiting) error {
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
		own.acks = make(map[uint64]waiting, 1)
	}
	own.acks[id] = w
	return nil
}

// takeAck forgets an acknowledgement, and returns what was waiting for it.
func (s *Socket) takeAck(id uint64) (w waiting, ok bool) {
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

// acknowledged takes the answer of the client. Of two answers the first counts, and one that nobody
// waits for is ignored. Loop.
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

// expired fails an acknowledgement whose time is over. Loop.
func (s *Socket) expired(id uint64) {
	if w, ok := s.takeAck(id); ok {
		if err := w.done(Args{}, ErrTimeout); err != nil {
			s.fail(err)
		}
	}
}

// reply is the acknowledgement of an event, with room for the packet that it becomes: one piece of
// memory for both. Any goroutine.
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
	return r.socket.reactor.do(order{socket: r.socket, out: &r.out})
}

// noAnswer is the Ack of an event that wants none.
func noAnswer(...any) error { return nil }

// broadcastAckDefault is how long a broadcast waits for acknowledgements that was not told by
// Timeout.
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

	mu     sync.Mutex // guards the fields below
	passes int        // deliveries that are under way
	owing  map[*Socket]struct{}
	asked  int // sockets that have been sent the event
	over   bool
	timer  *time.Timer
}

// newBroadcastAck begins to take acknowledgements; passed must be called once for the passes that
// it begins with: 1.
func newBroadcastAck(nsp *Namespace, timeout time.Duration, acks Acks) *broadcastAck {
	b := &broadcastAck{id: nsp.ackIDs.Add(1) - 1, nsp: nsp, acks: acks, passes: 1, owing: map[*Socket]struct{}{}}
	nsp.acks.put(b)
	if c, ok := acks.(*collection); ok {
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

// begin counts a delivery that passed will end.
func (b *broadcastAck) begin() {
	b.mu.Lock()
	b.passes++
	b.mu.Unlock()
}

// passed ends a delivery: no socket is added by it any more.
func (b *broadcastAck) passed() {
	b.mu.Lock()
	b.passes--
	asked, known := b.asked, b.passes == 0 && !b.over
	complete := known && len(b.owing) == 0
	b.mu.Unlock()
	if complete {
		b.end()
	}
	if known {
		b.acks.Clients(asked)
	}
}

// owes notes that the socket is being sent the event.
func (b *broadcastAck) owes(s *Socket) {
	b.mu.Lock()
	b.owing[s] = struct{}{}
	b.asked++
	b.mu.Unlock()
}

// answer takes a socket's acknowledgement, if it owes one.
func (b *broadcastAck) answer(s *Socket, answer Args) {
	b.mu.Lock()
	_, owed := b.owing[s]
	owed = owed && !b.over
	delete(b.owing, s)
	complete := owed && b.passes == 0 && len(b.owing) == 0
	b.mu.Unlock()
	if complete {
		b.end()
	}
	if owed {
		b.acks.Answer(answer)
	}
}

// end forgets the broadcast: nothing is told any more of what still comes.
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
