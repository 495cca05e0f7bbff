// A move: a client's connection on its way to another worker, and the packet that it is on a link.

package workers

import (
	"errors"
	"net/netip"

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
	packetFirstAt  = packetClientAt + 16

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
	return append(append(dst, client[:]...), m.First...)
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
	client := [16]byte(p[packetClientAt:packetFirstAt])
	switch {
	case p[packetFlagsAt]&packetClient != 0:
		m.Client = netip.AddrFrom16(client).Unmap()
	case client != [16]byte{}:
		return nil, errPacket
	}
	m.First = append([]byte(nil), p[packetFirstAt:]...)
	return m, nil
}
