// Orders: what other goroutines want done on a loop. They are carried out in the order given.

package websocket

import (
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"c100k/frame"
	"c100k/netpoll"
)

// order is something to be done for a connection.
type order struct {
	id       netpoll.ID
	do       func(c *Conn) // nil: send, or close
	each     func(c *Conn) // not nil: for every connection, from index from on
	from     uint32
	prepared *Prepared
	m        Message
	code     int // not 0: close
	reason   string
}

// orders is the queue of one loop.
type orders struct {
	remote atomic.Pointer[netpoll.Remote]
	drain  func(l *netpoll.Loop)

	mu    sync.Mutex // guards the fields below
	queue []order
	data  []byte // of the messages of queue
	bytes int

	// What take has emptied before, to be filled again.
	spareQueue []order
	spareData  []byte
}

// give queues an order; the data of its message is copied. The error is ErrBusy or ErrClosed. Any
// goroutine.
func (q *orders) give(o order) error {
	size := orderBytes + len(o.m.Data)
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.bytes+size > orderBytesMax {
		return ErrBusy
	}
	// The loop is told under the lock, so that no order is left in a queue that nobody looks at.
	if len(q.queue) == 0 {
		if r := q.remote.Load(); r == nil || !r.Post(q.drain) {
			return ErrClosed
		}
	}
	if q.queue == nil {
		q.queue, q.spareQueue = q.spareQueue, nil
		q.data, q.spareData = q.spareData, nil
	}
	// When data grows, the orders before keep what they point to.
	at := len(q.data)
	q.data = append(q.data, o.m.Data...)
	o.m.Data = q.data[at:len(q.data):len(q.data)]
	q.queue = append(q.queue, o)
	q.bytes += size
	return nil
}

// take empties the queue.
func (q *orders) take() (taken []order, data []byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	taken, data = q.queue, q.data
	q.queue, q.data, q.bytes = nil, nil, 0
	return taken, data
}

// put gives the memory of what take returned back.
func (q *orders) put(taken []order, data []byte) {
	clear(taken)
	q.mu.Lock()
	defer q.mu.Unlock()
	if cap(taken) <= ordersKept {
		q.spareQueue = taken[:0]
	}
	if cap(data) <= orderDataKept {
		q.spareData = data[:0]
	}
}

// obey carries out what was ordered so far. Loop.
func (p *part) obey(*netpoll.Loop) {
	taken, data := p.orders.take()
	for i := 0; i < len(taken); {
		i = p.carryOut(taken, i)
	}
	p.orders.put(taken, data)
}

// carryOut carries out orders from i on, up to one whose function panics; next is what is left.
func (p *part) carryOut(taken []order, i int) (next int) {
	defer func() {
		if v := recover(); v != nil {
			p.abandon()
			p.panicked(taken[next-1].id, v)
		}
	}()
	for ; i < len(taken); i++ {
		next = i + 1
		o := &taken[i]
		if o.each != nil {
			p.visit(o)
			continue
		}
		n := p.loop.Lookup(o.id)
		if n == nil || n.Closing() || n.Role() != p.role {
			continue
		}
		c := p.at(n)
		switch {
		case o.do != nil:
			p.enter()
			o.do(c)
			p.exit()
		case o.code != 0:
			p.close(n, o.code, o.reason)
		case o.prepared != nil:
			c.SendPrepared(o.prepared)
		default:
			c.send(n, o.m.Kind.op(), o.m.Data, !o.m.NoCompress)
		}
	}
	return next
}

// visit calls an order's function for the next connections, and gives the order again for the rest.
func (p *part) visit(o *order) {
	i := o.from
	for visited := 0; i < p.last && visited < eachSlice; visited++ {
		i++
		c := *p.conns.At(i)
		if c == nil || c.conn() == nil {
			continue
		}
		o.id = c.id // whom a panic ends
		p.enter()
		o.each(c)
		p.exit()
	}
	if i < p.last {
		if err := p.orders.give(order{each: o.each, from: i}); err != nil {
			p.server.opt.Logger.Warn("Each has not reached all connections", slog.Int("loop", p.index), slog.Any("err", err))
		}
	}
}

// panicked ends the connection whose function has panicked, with 1011.
func (p *part) panicked(id netpoll.ID, v any) {
	p.server.opt.Logger.Error("a function for a connection panicked", slog.String("conn", id.String()),
		slog.Any("panic", v), slog.String("stack", string(debug.Stack())))
	if n := p.loop.Lookup(id); n != nil && !n.Closing() {
		p.End(p.loop, n, netpoll.ReasonPanic, frame.CodeInternal, "internal error")
	}
}
