// What comes in, and the clock: signs of life, and the ends of waits.

package bus

import (
	"fmt"
	"time"
)

// Receive takes a packet apart that was sent to all. The carrier calls it on one goroutine, with
// bytes that nobody changes any more; it does not wait for deliver. What the node itself has sent
// may be among it.
func (n *Core) Receive(packet []byte) {
	sender, records, err := n.open(packet)
	if err != nil {
		n.complain(err)
		return
	}
	if sender == n.id {
		n.receiveProbe(records)
		return
	}
	p, changed := n.peers.hear(sender, time.Now())
	if p == nil {
		n.complain(errTooManyNodes)
		return
	}
	for len(records) > 0 {
		var r record
		if r, records, err = nextRecord(records); err != nil {
			n.complain(err)
			break
		}
		if n.obey(p, &r) {
			changed = true
		}
	}
	if changed {
		n.nodesChanged()
	}
	n.hand(p)
}

// obey does what a record says; it tells whether a node has come or gone.
func (n *Core) obey(p *peer, r *record) (changed bool) {
	switch r.typ {
	case recordMessage, recordQuestion:
		n.collect(p, r)
	case recordHello:
		n.missed.Add(n.peers.presence(p, r.name, r.sequence))
		n.out.present(false)
	case recordBeat:
		n.missed.Add(n.peers.presence(p, r.name, r.sequence))
	case recordBye:
		n.missed.Add(n.peers.presence(p, r.name, r.sequence))
		n.peers.bye(p.id)
		return true
	case recordGone:
		return n.peers.gone(string(r.name))
	}
	return false
}

// collect puts a message into the batch for Run.
func (n *Core) collect(p *peer, r *record) {
	missed, fresh := n.peers.message(p, r.sequence)
	n.missed.Add(missed)
	if !fresh {
		return
	}
	a := Arrival{Message: Message{Topic: string(r.topic), Kind: r.kind, Payload: r.payload, From: p.id}}
	n.asked = append(n.asked, 0)
	if r.typ == recordQuestion {
		to, sequence := p.id, r.sequence
		a.Answered = func(t Tally) { n.out.answer(reply{to: to, sequence: sequence, tally: t}) }
		n.asked[len(n.asked)-1] = sequence
	}
	n.batch = append(n.batch, a)
}

// hand gives the batch to Run. What there is no room for is lost, and the node that asked hears it
// at once.
func (n *Core) hand(p *peer) {
	lost := n.inbox.Put(n.batch)
	n.missed.Add(uint64(lost))
	for _, sequence := range n.asked[len(n.batch)-lost:] {
		if sequence != 0 {
			n.out.answer(reply{to: p.id, sequence: sequence, lost: true})
		}
	}
	clear(n.batch)
	n.batch, n.asked = n.batch[:0], n.asked[:0]
}

// receiveProbe looks for probes in a packet of this node.
func (n *Core) receiveProbe(records []byte) {
	for len(records) > 0 {
		r, rest, err := nextRecord(records)
		if err != nil {
			n.complain(err) // somebody else has sent it with our id
			return
		}
		if r.typ == recordProbe {
			n.probes.returned(r.sequence, time.Now())
		}
		records = rest
	}
}

// open returns the sender and the records of a packet.
func (n *Core) open(packet []byte) (sender uint64, records []byte, err error) {
	if n.receiveMax > 0 && len(packet) > n.receiveMax {
		err = fmt.Errorf("packet of %d bytes; with the limit of messages on this node they have at most %d", len(packet), n.receiveMax)
	} else {
		sender, records, err = readPacketHeader(packet)
	}
	if err != nil {
		n.Foreign(len(packet))
	}
	return sender, records, err
}

// Foreign notes that bytes have come that are of no node: a stranger writes to the bus. The node's
// probes wait behind them, so they are given time. A carrier calls it for the parts of what is not
// complete and already larger than ReceiveMax; any goroutine.
func (n *Core) Foreign(bytes int) { n.foreign.Add(uint64(bytes)) }

// ReceiveMax is the size of the largest packet that this node does not ignore, in bytes; 0 is any.
func (n *Core) ReceiveMax() int { return n.receiveMax }

// ReceiveOwn takes a packet apart that was sent to this node alone. The carrier calls it on one
// goroutine, which may be another one than that of Receive.
func (n *Core) ReceiveOwn(packet []byte) {
	sender, records, err := n.open(packet)
	var directs []Arrival
	for err == nil && len(records) > 0 {
		var r record
		if r, records, err = nextRecord(records); err != nil {
			break
		}
		switch r.typ {
		case recordAnswer, recordLost:
			if q := n.asks.answered(sender, r.sequence, r.tally, r.typ == recordLost); q != nil {
				tell(q)
			}
		case recordProbe:
			if sender == n.id {
				n.probes.returned(r.sequence, time.Now())
			}
		case recordDirect:
			directs = append(directs, Arrival{Message: Message{Topic: string(r.topic), Kind: r.kind, Payload: r.payload, From: sender}})
		default:
			err = errMalformed
		}
	}
	n.missed.Add(uint64(n.inbox.Put(directs)))
	if err != nil {
		n.complain(err)
	}
}

// nodesChanged tells those who ask, and Join, that a node has come or gone.
func (n *Core) nodesChanged() {
	n.nodesMu.Lock()
	ids := n.peers.there()
	n.nodes.Store(int64(len(ids)))
	over := n.asks.setNodes(ids)
	n.nodesMu.Unlock()
	tell(over...)
	select {
	case n.changed <- struct{}{}:
	default:
	}
}

// complain logs what should not be on our subjects: once, for it may come a thousand times a
// second.
func (n *Core) complain(err error) {
	n.complained.Do(func() { n.log.Warn("the bus ignores a packet; this is said once", "err", err) })
}

// keepTime sends the beats and ends what has waited too long.
func (n *Core) keepTime() {
	tick := time.NewTicker(tickInterval)
	defer tick.Stop()
	last, beaten := time.Now(), time.Now()
	strangers := uint64(0) // of n.foreign, for what the probes were given time
	defer close(n.timed)
	for {
		select {
		case <-n.stop:
			return
		case <-tick.C:
		}
		now := time.Now()
		tell(n.asks.expire(now)...)
		// A node that stood still, or was cut off, has not heard the others for a reason that is none of
		// theirs.
		if now.Sub(last) > BeatInterval || !n.connected() {
			n.peers.excuse(now)
			n.probes.excuse(now)
		} else if foreign := n.foreign.Load(); foreign-strangers >= foreignBytesMin {
			strangers = foreign
			n.probes.delayed(now)
		} else if n.probes.check(now) {
			n.log.Warn("messages that this node sends do not come back: the bus makes a new connection")
			n.carrier.Reconnect()
		}
		if n.peers.expire(now) {
			n.nodesChanged()
		}
		if now.Sub(beaten) >= BeatInterval {
			beaten = now
			n.logNews(now)
			n.out.present(false)
		}
		if n.connected() {
			if number := n.probes.next(now); number != 0 {
				n.out.probe(number)
			}
		}
		last = now
	}
}
