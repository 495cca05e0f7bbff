// What processes tell each other of their tables.
//
// A message is a kind, an exchange's number and, in the last message of an exchange, the sum of
// the sender's table, and then entries: a topic, a subject, the number of connections (0: gone) and
// what others see of the user. Entries are whole states, so that one that comes twice does no harm.

package presence

import (
	"encoding/binary"
	"encoding/json"
	"unicode/utf8"

	"c100k/broadcast"
)

// Kinds of messages.
const (
	kindChanges byte = 'c' // entries that have changed; the last one of an exchange has flagLast
	kindWhole   byte = 'w' // a part of a table that was asked for
	kindAsk     byte = 'a' // asks for the whole table
)

const (
	flagFirst byte = 1 << iota
	flagLast
)

// headBytes is the kind, the flags, the number and the sum.
const headBytes = 1 + 1 + 8 + 8

// arrival is a message of another process.
type arrival struct {
	from    uint64
	payload []byte
}

// Receive takes a message of another process: a bus.Receiver. It does not block; a message for
// which there is no room is lost, and made up for.
func (t *Table) Receive(from uint64, payload []byte, _ func([]byte)) {
	select {
	case t.inbox <- arrival{from, payload}:
	default:
	}
}

// exchange tells the others what has changed, and forgets those that are gone.
func (t *Table) exchange() {
	there := map[uint64]bool{0: true}
	for _, p := range t.channel.Peers() {
		there[p.ID] = true
	}
	for id, p := range t.peers {
		if !there[id] {
			t.drop(id, p)
		}
	}
	t.seq++
	w := writer{kind: kindChanges, seq: t.seq, sum: t.own.sum, send: func(p []byte) { _ = t.channel.Publish(p) }}
	w.begin(0)
	for k := range t.dirty {
		w.entry(k, t.own.at(k))
	}
	w.end()
	clear(t.dirty)
}

// drop forgets the entries of a process.
func (t *Table) drop(id uint64, p *peer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for name, members := range p.topics {
		for sub := range members {
			t.set(p, key{name, sub}, member{})
		}
	}
	delete(t.peers, id)
}

// sendWhole sends the whole table to one that has asked for it.
func (t *Table) sendWhole(to uint64) {
	w := writer{kind: kindWhole, seq: t.seq, sum: t.own.sum, send: func(p []byte) { _ = t.channel.Send(to, p) }}
	w.begin(flagFirst)
	for name, members := range t.own.topics {
		for sub, m := range members {
			w.entry(key{name, sub}, *m)
		}
	}
	w.end()
}

// receive takes a message in.
func (t *Table) receive(a arrival) {
	if t.channel == nil || len(a.payload) < headBytes {
		return
	}
	kind, flags := a.payload[0], a.payload[1]
	seq, sum := binary.BigEndian.Uint64(a.payload[2:]), binary.BigEndian.Uint64(a.payload[10:])
	if kind == kindAsk {
		t.sendWhole(a.from)
		return
	}
	t.mu.Lock()
	p := t.peers[a.from]
	if p == nil {
		p = &peer{topics: map[string]map[string]*member{}}
		t.peers[a.from] = p
	}
	switch {
	case kind == kindChanges && seq > p.seq:
		readEntries(a.payload[headBytes:], func(k key, m member) { t.set(p, k, m) })
		if flags&flagLast != 0 {
			p.seq = seq
		}
	case kind == kindWhole:
		t.receiveWhole(p, flags, seq, a.payload[headBytes:])
	}
	wrong := flags&flagLast != 0 && p.sum != sum
	if flags&flagLast != 0 && !wrong {
		p.asked = 0
	}
	t.mu.Unlock()
	if now := t.opt.Now(); wrong && (p.asked == 0 || now-p.asked >= askAgainAfter) {
		p.asked = now
		_ = t.channel.Send(a.from, append([]byte{kindAsk}, make([]byte, headBytes-1)...))
	}
}

// receiveWhole gathers a table, and puts it in place of the one before when it is complete.
func (t *Table) receiveWhole(p *peer, flags byte, seq uint64, entries []byte) {
	if flags&flagFirst != 0 {
		p.whole, p.wholeN = map[string]map[string]*member{}, 0
	}
	if p.whole == nil {
		return // its beginning was lost
	}
	readEntries(entries, func(k key, m member) {
		if p.wholeN++; m.conns > 0 && p.wholeN <= PeerMembersMax {
			if p.whole[k.topic] == nil {
				p.whole[k.topic] = map[string]*member{}
			}
			p.whole[k.topic][k.sub] = &m
		}
	})
	if flags&flagLast == 0 {
		return
	}
	for name, members := range p.topics {
		for sub := range members {
			if _, there := p.whole[name][sub]; !there {
				t.set(p, key{name, sub}, member{})
			}
		}
	}
	for name, members := range p.whole {
		for sub, m := range members {
			t.set(p, key{name, sub}, *m)
		}
	}
	p.whole, p.seq = nil, max(p.seq, seq)
}

// writer packs entries into messages.
type writer struct {
	kind     byte
	seq, sum uint64
	buf      []byte
	send     func([]byte)
}

func (w *writer) begin(flags byte) {
	w.buf = append(make([]byte, 0, chunkBytes/8), w.kind, flags)
	w.buf = binary.BigEndian.AppendUint64(w.buf, w.seq)
	w.buf = binary.BigEndian.AppendUint64(w.buf, w.sum)
}

func (w *writer) entry(k key, m member) {
	if len(w.buf) >= chunkBytes {
		w.send(w.buf)
		w.begin(0)
	}
	w.buf = appendEntry(w.buf, k, m)
}

func (w *writer) end() {
	w.buf[1] |= flagLast
	w.send(w.buf)
}

func appendEntry(dst []byte, k key, m member) []byte {
	for _, text := range [...]string{k.topic, k.sub, m.info} {
		dst = append(binary.AppendUvarint(dst, uint64(len(text))), text...)
	}
	return binary.AppendUvarint(dst, uint64(m.conns))
}

// readEntries calls f for each entry of p, until one that cannot be. What it gives to f does not
// keep p.
func readEntries(p []byte, f func(key, member)) {
	for len(p) > 0 {
		var texts [3]string
		for i, most := range [...]int{broadcast.TopicBytesMax, subBytesMax, infoBytesMax} {
			n, size := binary.Uvarint(p)
			if size <= 0 || n > uint64(most) || n > uint64(len(p)-size) {
				return
			}
			texts[i] = string(p[size : size+int(n)])
			p = p[size+int(n):]
		}
		conns, size := binary.Uvarint(p)
		if size <= 0 || conns > 1<<31-1 {
			return
		}
		p = p[size:]
		if broadcast.ValidTopic(texts[0]) != nil || !utf8.ValidString(texts[1]) || texts[2] != "" && !json.Valid([]byte(texts[2])) {
			return
		}
		f(key{texts[0], texts[1]}, member{info: texts[2], conns: uint32(conns)})
	}
}
