// The one goroutine that sends.

package bus

import (
	"cmp"
	"slices"
)

// write is the writer: the only goroutine that may wait for the broker. It ends after Close, with a
// goodbye.
func (n *Core) write() {
	defer close(n.written)
	w := writer{node: n}
	for {
		select {
		case <-n.out.kick:
		case <-n.stop:
			l := n.out.take()
			w.load(&l)
			l = n.out.take()
			w.append(0, presenceBytesMax, func(dst []byte) []byte {
				return appendPresence(dst, recordBye, l.latest, n.name)
			})
			w.send()
			n.carrier.Flush(CloseTimeout) // bounded, and too late to do anything about it
			return
		}
		for l := n.out.take(); !l.empty(); l = n.out.take() {
			w.load(&l)
		}
	}
}

// writer packs records into packets, and packets into batches.
type writer struct {
	node  *Core
	batch []Packet // the last one may still grow
	bytes int      // of the batch
	spare [][]byte // buffers of packets that were sent
}

// spareMax bounds the buffers that are kept, in packets.
const spareMax = batchBytesMax / PacketBytesMax

// presenceBytesMax is more than a hello, a beat, a bye or the news of one needs.
const presenceBytesMax = packetHeaderBytes + 2 + NameBytesMax

// answerBytesMax is more than an answer needs: its type, and four numbers.
const answerBytesMax = 1 + 4*10

// load sends all of l: messages first, so that the presence behind them has counted them.
func (w *writer) load(l *load) {
	for i := range l.messages {
		m := &l.messages[i]
		typ := recordMessage
		if m.question {
			typ = recordQuestion
		}
		w.message(0, m, func(dst []byte) []byte { return appendMessage(dst, typ, m.sequence, &m.Message) })
	}
	for _, name := range l.gone {
		w.append(0, presenceBytesMax, func(dst []byte) []byte { return appendGone(dst, name) })
	}
	if l.hello || l.beat {
		typ := recordBeat
		if l.hello {
			typ = recordHello
		}
		w.append(0, presenceBytesMax, func(dst []byte) []byte { return appendPresence(dst, typ, l.latest, w.node.name) })
	}
	for i := range l.directs {
		d := &l.directs[i]
		w.message(d.to, &d.outgoing, func(dst []byte) []byte { return appendDirect(dst, &d.Message) })
	}
	w.replies(l.replies)
	w.send()
	if l.probe != 0 {
		_ = w.node.carrier.Probe(appendProbe(appendPacketHeader(nil, w.node.id), l.probe)) // it is lost, and counted so
	}
}

// message appends a message, and clears m, so that the payload can be freed.
func (w *writer) message(to uint64, m *outgoing, record func(dst []byte) []byte) {
	p := w.append(to, messageBytes(&m.Message), record)
	p.messages++
	p.cost += m.cost()
	*m = outgoing{}
}

func (w *writer) replies(replies []reply) {
	slices.SortStableFunc(replies, func(x, y reply) int { return cmp.Compare(x.to, y.to) })
	for _, r := range replies {
		w.append(r.to, answerBytesMax, func(dst []byte) []byte {
			if r.lost {
				return appendLost(dst, r.sequence)
			}
			return appendAnswer(dst, r.sequence, r.tally)
		})
	}
}

// append appends a record of at most size bytes to the last packet of the batch, if that goes to
// the same place and has room, or else to a new one.
func (w *writer) append(to uint64, size int, record func(dst []byte) []byte) *Packet {
	most, _ := w.node.carrier.PayloadBytesMax()
	last := len(w.batch) - 1
	if last < 0 || w.batch[last].To != to || len(w.batch[last].Bytes)+size > min(PacketBytesMax, most) {
		if w.bytes+size > batchBytesMax {
			w.send()
		}
		var buf []byte
		if k := len(w.spare); k > 0 {
			buf, w.spare = w.spare[k-1], w.spare[:k-1]
		}
		buf = slices.Grow(buf[:0], packetHeaderBytes+size)
		w.batch = append(w.batch, Packet{To: to, Bytes: appendPacketHeader(buf, w.node.id)})
		last = len(w.batch) - 1
	}
	p := &w.batch[last]
	before := len(p.Bytes)
	p.Bytes = record(p.Bytes)
	w.bytes += len(p.Bytes) - before
	return p
}

// send hands the batch to the broker, and counts what becomes of it.
func (w *writer) send() {
	if len(w.batch) == 0 {
		return
	}
	n := w.node
	n.carrier.Send(w.batch)
	cost := 0
	for i := range w.batch {
		p := &w.batch[i]
		cost += p.cost
		if p.Err != nil {
			n.unsent.Add(uint64(p.messages))
			continue // a carrier that gave up may still hold the bytes
		}
		n.sent.Add(uint64(p.messages))
		if cap(p.Bytes) <= 2*PacketBytesMax && len(w.spare) < spareMax { // a large one must not be paid for until the end
			w.spare = append(w.spare, p.Bytes)
		}
	}
	if cost > 0 {
		n.out.sent(cost)
	}
	clear(w.batch)
	w.batch, w.bytes = w.batch[:0], 0
}
