// What waits to be sent, and the one goroutine that sends it.

package natsbus

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"c100k/internal/bus"
)

// outgoing is a message on its way out.
type outgoing struct {
	bus.Message
	sequence uint64
	question bool
}

func (o *outgoing) cost() int { return len(o.Topic) + len(o.Payload) + outgoingOverheadBytes }

// reply is an answer on its way to the node that asked.
type reply struct {
	to       uint64
	sequence uint64
	tally    bus.Tally
	lost     bool
}

// direct is a message on its way to one node.
type direct struct {
	outgoing
	to uint64
}

// load is what the writer takes at once.
type load struct {
	messages    []outgoing
	directs     []direct
	gone        []string
	hello, beat bool
	replies     []reply
	latest      uint64 // sequence of the last message there is
}

func (l *load) empty() bool {
	return len(l.messages) == 0 && len(l.directs) == 0 && len(l.gone) == 0 && !l.hello && !l.beat && len(l.replies) == 0
}

// outbox is the queue of the writer. Any goroutine.
type outbox struct {
	kick chan struct{} // holds a token when there may be something to send

	mu     sync.Mutex // guards the fields below
	closed bool
	next   load
	bytes  int // of messages that wait or are being sent; over OutboxBytesMax only with one message alone
}

// put stamps m with the next number and takes it, if there is room. A question is begun under the
// same lock, so that it is known before it can be answered; if it is over at once, its ask is
// returned.
func (o *outbox) put(m bus.Message, a *asks, done func(bus.Answer)) (over *ask, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := outgoing{Message: m, sequence: o.next.latest + 1}
	switch {
	case o.closed:
		return nil, bus.ErrClosed
	case o.bytes > 0 && o.bytes+out.cost() > OutboxBytesMax:
		return nil, bus.ErrFull
	}
	if done != nil {
		over = a.begin(out.sequence, time.Now(), done)
		out.question = over == nil
	}
	o.next.latest = out.sequence
	o.bytes += out.cost()
	o.next.messages = append(o.next.messages, out)
	o.wake()
	return over, nil
}

// direct takes m for one node, if there is room.
func (o *outbox) direct(to uint64, m bus.Message) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := direct{outgoing: outgoing{Message: m}, to: to}
	switch {
	case o.closed:
		return bus.ErrClosed
	case o.bytes > 0 && o.bytes+out.cost() > OutboxBytesMax:
		return bus.ErrFull
	}
	o.bytes += out.cost()
	o.next.directs = append(o.next.directs, out)
	o.wake()
	return nil
}

func (o *outbox) wake() {
	select {
	case o.kick <- struct{}{}:
	default:
	}
}

// answer queues an answer. Beyond AnswersMax it is lost: the node that asked takes us for silent.
func (o *outbox) answer(r reply) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.closed && len(o.next.replies) < AnswersMax {
		o.next.replies = append(o.next.replies, r)
		o.wake()
	}
}

// present queues a sign of life; hello asks the others for theirs.
func (o *outbox) present(hello bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if hello {
		o.next.hello = true
	} else {
		o.next.beat = true
	}
	o.wake()
}

// gone queues the news that a node has died.
func (o *outbox) gone(name string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.closed:
		return bus.ErrClosed
	case len(o.next.gone) >= PeersMax:
		return bus.ErrFull
	}
	o.next.gone = append(o.next.gone, name)
	o.wake()
	return nil
}

// take empties the outbox. The bytes of messages count until sent is called for them.
func (o *outbox) take() load {
	o.mu.Lock()
	defer o.mu.Unlock()
	l := o.next
	o.next = load{latest: l.latest}
	return l
}

func (o *outbox) sent(bytes int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.bytes -= bytes
}

func (o *outbox) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
}

// write is the writer: the only goroutine that may wait for NATS. It ends after Close, with a
// goodbye.
func (b *Bus) write() {
	defer close(b.written)
	var p packet
	for {
		select {
		case <-b.out.kick:
		case <-b.stop:
			b.send(b.out.take(), &p)
			p.begin(b.id)
			p.buf = appendPresence(p.buf, recordBye, b.out.take().latest, b.name)
			_ = b.publish(subjectAll, &p)
			_ = b.conn.FlushTimeout(closeTimeout) // bounded, and too late to do anything about it
			return
		}
		for l := b.out.take(); !l.empty(); l = b.out.take() {
			b.send(l, &p)
		}
	}
}

// packet is one that is being written, and what is in it.
type packet struct {
	buf      []byte
	messages int // records that are messages
	bytes    int // their cost
}

func (p *packet) begin(sender uint64) {
	if cap(p.buf) > 2*PacketBytesMax {
		p.buf = nil // one large message must not be paid for until the end
	}
	*p = packet{buf: appendPacketHeader(p.buf[:0], sender)}
}

func (p *packet) empty() bool { return len(p.buf) == packetHeaderBytes }

// send sends all of l: messages first, so that the presence behind them has counted them.
func (b *Bus) send(l load, p *packet) {
	b.sendMessages(&l, p)
	for _, name := range l.gone {
		b.makeRoom(subjectAll, p, 2+len(name))
		p.buf = appendGone(p.buf, name)
	}
	if l.hello || l.beat {
		b.makeRoom(subjectAll, p, packetHeaderBytes+NameBytesMax)
		typ := recordBeat
		if l.hello {
			typ = recordHello
		}
		p.buf = appendPresence(p.buf, typ, l.latest, b.name)
	}
	_ = b.publish(subjectAll, p) // it counts what is lost
	b.sendDirects(l.directs, p)
	b.sendReplies(l.replies, p)
}

func (b *Bus) sendDirects(directs []direct, p *packet) {
	for i := range directs {
		d := &directs[i]
		subject := subjectOf(d.to)
		b.makeRoom(subject, p, messageBytes(&d.Message))
		p.buf = appendDirect(p.buf, &d.Message)
		p.messages++
		p.bytes += d.cost()
		if i+1 == len(directs) || directs[i+1].to != d.to {
			_ = b.publish(subject, p)
		}
		d.outgoing = outgoing{} // so that the payload goes as soon as it can
	}
}

func (b *Bus) sendMessages(l *load, p *packet) {
	p.begin(b.id)
	for i := range l.messages {
		m := &l.messages[i]
		b.makeRoom(subjectAll, p, messageBytes(&m.Message))
		typ := recordMessage
		if m.question {
			typ = recordQuestion
		}
		p.buf = appendMessage(p.buf, typ, m.sequence, &m.Message)
		p.messages++
		p.bytes += m.cost()
		*m = outgoing{} // so that the payload goes as soon as it can
	}
}

// makeRoom sends what p has if size bytes more would be too much for one packet.
func (b *Bus) makeRoom(subject string, p *packet, size int) {
	if len(p.buf)+size > min(PacketBytesMax, int(b.maxPayload.Load())) {
		_ = b.publish(subject, p)
	}
}

func (b *Bus) sendReplies(replies []reply, p *packet) {
	slices.SortStableFunc(replies, func(x, y reply) int { return cmp.Compare(x.to, y.to) })
	for i, r := range replies {
		subject := subjectOf(r.to)
		b.makeRoom(subject, p, answerBytesMax)
		if r.lost {
			p.buf = appendLost(p.buf, r.sequence)
		} else {
			p.buf = appendAnswer(p.buf, r.sequence, r.tally)
		}
		if i+1 == len(replies) || replies[i+1].to != r.to {
			_ = b.publish(subject, p)
		}
	}
}

// answerBytesMax is more than an answer needs: its type, and four numbers.
const answerBytesMax = 1 + 4*10

// publish hands p to NATS, if there is anything in it, and begins the next one. An error is counted
// for each message in it.
func (b *Bus) publish(subject string, p *packet) error {
	if p.empty() {
		return nil
	}
	err := b.conn.Publish(subject, p.buf)
	if err != nil {
		b.unsent.Add(uint64(p.messages))
	} else {
		b.sent.Add(uint64(p.messages))
	}
	if p.bytes > 0 {
		b.out.sent(p.bytes)
	}
	p.begin(b.id)
	return err
}
