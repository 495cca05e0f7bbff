// Moves: clients' connections on their way to another worker. The parent passes them from link to
// link. Those that wait for a link are in a bounded queue, from which one goroutine sends, so that
// nothing that hands a connection over ever waits.

package workers

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"c100k/server"
)

// The first byte of a packet on a link.
const (
	packetDial byte = iota // the descriptor is a connection to the HTTP server; nothing follows
	packetMove             // it is a client's connection on its way
	packetBack             // it was, and comes back to the worker that sent it
	packetBeat             // a sign of life of a worker; no descriptor, and nothing follows
)

// move is a client's connection on its way. The links carry it in two steps, for each worker's
// leads to the parent.
type move struct {
	server.Handover
	back   bool // it could not be handed over, and returns
	worker int  // whom it is for; of one that returns, whom it was for
}

// Where things stand in the packet of a move. An address is 16 bytes, of IPv4 in its mapped form,
// and zeros where there is none.
const (
	packetWorkerAt = 1
	packetLoopAt   = 2
	packetFlagsAt  = 3
	packetClientAt = 4
	packetTLSAt    = packetClientAt + 16 // how many bytes of Handover.TLS follow, and then First
	packetFirstAt  = packetTLSAt + 4

	packetBytesMax = packetFirstAt + server.HandoverBytesMax
)

// The flags of a packet.
const (
	packetForwarded = 1 << iota
	packetClient    // there is an address

	packetFlags = packetForwarded | packetClient
)

// appendMove appends the packet of a move whose loop and worker fit into a byte each.
func appendMove(dst []byte, m *move) []byte {
	kind, flags := packetMove, byte(0)
	if m.back {
		kind = packetBack
	}
	if m.Forwarded {
		flags |= packetForwarded
	}
	var client [16]byte
	if m.Client.IsValid() {
		flags |= packetClient
		client = m.Client.As16()
	}
	dst = append(dst, kind, byte(m.worker), byte(m.Loop), flags)
	dst = binary.BigEndian.AppendUint32(append(dst, client[:]...), uint32(len(m.TLS)))
	return append(append(dst, m.TLS...), m.First...)
}

var errPacket = errors.New("no packet of a link")

// parseMove reads the packet of a move, and keeps nothing of it. The descriptor is not in it.
func parseMove(p []byte) (*move, error) {
	if len(p) <= packetFirstAt || len(p) > packetBytesMax || p[packetFlagsAt]&^packetFlags != 0 {
		return nil, errPacket
	}
	m := &move{back: p[0] == packetBack, worker: int(p[packetWorkerAt])}
	if !m.back && p[0] != packetMove || m.worker >= server.WorkersMax {
		return nil, errPacket
	}
	m.Loop, m.Forwarded = int(p[packetLoopAt]), p[packetFlagsAt]&packetForwarded != 0
	client := [16]byte(p[packetClientAt:packetTLSAt])
	secured := binary.BigEndian.Uint32(p[packetTLSAt:])
	if uint64(secured) >= uint64(len(p)-packetFirstAt) {
		return nil, errPacket
	}
	switch {
	case p[packetFlagsAt]&packetClient != 0:
		m.Client = netip.AddrFrom16(client).Unmap()
	case client != [16]byte{}:
		return nil, errPacket
	}
	kept := append([]byte(nil), p[packetFirstAt:]...)
	if m.First = kept[secured:]; secured > 0 {
		m.TLS = kept[:secured:secured]
	}
	return m, nil
}

// moves are those that wait for one link. Any goroutine.
type moves struct {
	link  *Link
	queue chan outgoing
	ended chan struct{} // closed when the goroutine has ended

	mu     sync.Mutex // guards the field below, and that nothing is queued once it is set
	closed bool
}

// outgoing is a move that waits.
type outgoing struct {
	*move
	until time.Time
	gone  func(sent bool)
}

// newMoves starts the goroutine, which ends with close.
func newMoves(l *Link) *moves {
	q := &moves{link: l, queue: make(chan outgoing, movesWaitingMax), ended: make(chan struct{})}
	go q.run()
	return q
}

// add queues a move, whose descriptor is then the queue's. gone is called once, by another
// goroutine: with true when the descriptor is on its way and closed here, with false when it could
// not be sent and is the caller's again. False, having done nothing, if the queue is full or
// closed.
func (q *moves) add(m *move, gone func(sent bool)) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	select {
	case q.queue <- outgoing{m, time.Now().Add(moveTimeout), gone}:
		return true
	default:
		return false
	}
}

// run sends what is queued, and gives back what cannot be sent.
func (q *moves) run() {
	defer close(q.ended)
	var packet []byte
	for o := range q.queue {
		packet = appendMove(packet[:0], o.move)
		sent := time.Now().Before(o.until) && q.link.pass(packet, o.FD, o.until) == nil
		if sent {
			unix.Close(o.FD)
		}
		o.gone(sent)
	}
}

// close gives back what waits. The link is closed already, so that nothing waits for it.
func (q *moves) close() {
	q.mu.Lock()
	if !q.closed {
		q.closed = true
		close(q.queue)
	}
	q.mu.Unlock()
	<-q.ended
}

// relay hands a connection on to the worker that it is for, or gives it back to the one that it
// comes from.
func (s *Supervisor) relay(from *slot, m *move) {
	if m.back || m.worker >= len(s.slots) || m.worker == from.number {
		unix.Close(m.FD) // no worker that is well sends this
		return
	}
	to := s.slots[m.worker].process()
	if to == nil || !to.answers() || !to.link.moves.add(m, func(sent bool) {
		if !sent {
			from.giveBack(m)
		}
	}) {
		from.giveBack(m)
	}
}

// giveBack returns a connection that nobody has taken. Where its worker does not take it either,
// the client gets the next best answer.
func (p *slot) giveBack(m *move) {
	m.back = true
	if now := p.process(); now == nil || !now.answers() || !now.link.moves.add(m, func(sent bool) {
		if !sent {
			m.Refuse()
		}
	}) {
		m.Refuse()
	}
}
