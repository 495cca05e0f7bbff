// What comes in, and the clock: signs of life, and the ends of waits.

package natsbus

import (
	"time"

	"github.com/nats-io/nats.go"

	"c100k/internal/bus"
)

// receive takes a packet apart that was sent to all. It runs on one goroutine of the NATS client,
// and does not wait for deliver.
func (b *Bus) receive(m *nats.Msg) {
	sender, records, err := readPacketHeader(m.Data)
	if err != nil {
		b.complain(err)
		return
	}
	if sender == b.id { // on a new connection NATS may bring back what the old one sent
		return
	}
	p, changed := b.peers.hear(sender, time.Now())
	if p == nil {
		b.complain(errTooManyNodes)
		return
	}
	for len(records) > 0 {
		var r record
		if r, records, err = nextRecord(records); err != nil {
			b.complain(err)
			break
		}
		if b.obey(p, &r) {
			changed = true
		}
	}
	if changed {
		b.nodesChanged()
	}
	b.hand(p)
}

// obey does what a record says; it tells whether a node has come or gone.
func (b *Bus) obey(p *peer, r *record) (changed bool) {
	switch r.typ {
	case recordMessage, recordQuestion:
		b.collect(p, r)
	case recordHello:
		b.missed.Add(b.peers.presence(p, r.name, r.sequence))
		b.out.present(false)
	case recordBeat:
		b.missed.Add(b.peers.presence(p, r.name, r.sequence))
	case recordBye:
		b.missed.Add(b.peers.presence(p, r.name, r.sequence))
		b.peers.bye(p.id)
		return true
	case recordGone:
		return b.peers.gone(string(r.name))
	}
	return false
}

// collect puts a message into the batch for Run.
func (b *Bus) collect(p *peer, r *record) {
	missed, fresh := b.peers.message(p, r.sequence)
	b.missed.Add(missed)
	if !fresh {
		return
	}
	a := bus.Arrival{Message: bus.Message{Topic: string(r.topic), Kind: r.kind, Payload: r.payload, From: p.id}}
	b.asked = append(b.asked, 0)
	if r.typ == recordQuestion {
		to, sequence := p.id, r.sequence
		a.Answered = func(t bus.Tally) { b.out.answer(reply{to: to, sequence: sequence, tally: t}) }
		b.asked[len(b.asked)-1] = sequence
	}
	b.batch = append(b.batch, a)
}

// hand gives the batch to Run. What there is no room for is lost, and the node that asked hears it
// at once.
func (b *Bus) hand(p *peer) {
	lost := b.inbox.Put(b.batch)
	b.missed.Add(uint64(lost))
	for _, sequence := range b.asked[len(b.batch)-lost:] {
		if sequence != 0 {
			b.out.answer(reply{to: p.id, sequence: sequence, lost: true})
		}
	}
	clear(b.batch)
	b.batch, b.asked = b.batch[:0], b.asked[:0]
}

// receiveOwn takes a packet apart that was sent to this node alone. It runs on another goroutine of
// the NATS client than receive.
func (b *Bus) receiveOwn(m *nats.Msg) {
	sender, records, err := readPacketHeader(m.Data)
	var directs []bus.Arrival
	for err == nil && len(records) > 0 {
		var r record
		if r, records, err = nextRecord(records); err != nil {
			break
		}
		switch r.typ {
		case recordAnswer, recordLost:
			if q := b.asks.answered(sender, r.sequence, r.tally, r.typ == recordLost); q != nil {
				tell(q)
			}
		case recordDirect:
			directs = append(directs, bus.Arrival{Message: bus.Message{Topic: string(r.topic), Kind: r.kind, Payload: r.payload, From: sender}})
		default:
			err = errMalformed
		}
	}
	b.missed.Add(uint64(b.inbox.Put(directs)))
	if err != nil {
		b.complain(err)
	}
}

// nodesChanged tells those who ask, and Join, that a node has come or gone.
func (b *Bus) nodesChanged() {
	b.nodesMu.Lock()
	ids := b.peers.there()
	b.nodes.Store(int64(len(ids)))
	over := b.asks.setNodes(ids)
	b.nodesMu.Unlock()
	tell(over...)
	select {
	case b.changed <- struct{}{}:
	default:
	}
}

// complain logs what should not be on our subjects: once, for it may come a thousand times a
// second.
func (b *Bus) complain(err error) {
	b.complained.Do(func() { b.log.Warn("the bus ignores a packet; this is said once", "err", err) })
}

// keepTime sends the beats and ends what has waited too long.
func (b *Bus) keepTime() {
	tick := time.NewTicker(tickInterval)
	defer tick.Stop()
	last, beaten := time.Now(), time.Now()
	for {
		select {
		case <-b.stop:
			return
		case <-tick.C:
		}
		now := time.Now()
		tell(b.asks.expire(now)...)
		// A node that stood still, or was cut off, has not heard the others for a reason that is none of
		// theirs.
		if now.Sub(last) > BeatInterval || !b.connected() {
			b.peers.excuse(now)
		}
		if b.peers.expire(now) {
			b.nodesChanged()
		}
		if now.Sub(beaten) >= BeatInterval {
			beaten = now
			b.out.present(false)
		}
		last = now
	}
}
