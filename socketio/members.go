// The sockets of one loop, by connection; and the ids of sockets, which name the connection.

package socketio

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"sync"

	"c100k/netpoll"
)

// members are the sockets of one loop that are in a namespace: a hash table of chains, which grows
// by one chain at a time, so that no insertion moves more than a few sockets.
type members struct {
	mu     sync.Mutex // guards the fields below, and Socket.next
	chains []*Socket  // by hash of the connection
	low    int        // the largest power of two below len(chains), at least 1
	count  int
}

// chainSockets is how many sockets a chain has on average.
const chainSockets = 2

// at returns the index of the chain of a connection. Under mu.
func (m *members) at(conn netpoll.ID) int {
	h := uint64(conn) * 0x9e3779b97f4a7c15 // Fibonacci hashing: ids differ in few bits
	h ^= h >> 32
	if i := int(h) & (2*m.low - 1); i < len(m.chains) {
		return i
	}
	return int(h) & (m.low - 1)
}

// add adds a socket.
func (m *members) add(s *Socket) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.count++; m.count > chainSockets*len(m.chains) {
		m.split()
	}
	i := m.at(s.session)
	s.next, m.chains[i] = m.chains[i], s
}

// split adds a chain, and moves the sockets that belong there from the chain that had them. Under
// mu.
func (m *members) split() {
	m.chains = append(m.chains, nil)
	if len(m.chains) == 1 {
		m.low = 1
		return
	}
	if len(m.chains) > 2*m.low {
		m.low *= 2
	}
	from := len(m.chains) - 1 - m.low
	next := m.chains[from]
	m.chains[from] = nil
	for next != nil {
		s := next
		next = s.next
		i := m.at(s.session)
		s.next, m.chains[i] = m.chains[i], s
	}
}

// remove removes a socket, if it is there.
func (m *members) remove(s *Socket) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.chains) == 0 {
		return
	}
	for p := &m.chains[m.at(s.session)]; *p != nil; p = &(*p).next {
		if *p == s {
			*p, s.next = s.next, nil
			m.count--
			return
		}
	}
}

// find returns the socket of a connection in a namespace; nil if there is none.
func (m *members) find(nsp *Namespace, conn netpoll.ID) *Socket {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.chains) == 0 {
		return nil
	}
	s := m.chains[m.at(conn)]
	for s != nil && (s.session != conn || s.nsp != nsp) {
		s = s.next
	}
	return s
}

// appendAll appends the sockets of a namespace.
func (m *members) appendAll(list []*Socket, nsp *Namespace) []*Socket {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.chains {
		for ; s != nil; s = s.next {
			if s.nsp == nsp {
				list = append(list, s)
			}
		}
	}
	return list
}

// idBytes is the length of an id before base64: the eight bytes of the connection's ID, and seven
// random bytes, which make it unique for each namespace, connection and process.
const idBytes = 15

// newID returns a new id for a socket of a connection.
func newID(conn netpoll.ID) string {
	var p [idBytes]byte
	binary.BigEndian.PutUint64(p[:], uint64(conn))
	rand.Read(p[8:]) // never fails
	return base64.URLEncoding.EncodeToString(p[:])
}

// connOf returns the connection that an id names; ok is false if the id does not have the form of
// newID.
func connOf(id string) (netpoll.ID, bool) {
	if len(id) != base64.URLEncoding.EncodedLen(idBytes) {
		return 0, false
	}
	var p [idBytes]byte
	if _, err := base64.URLEncoding.Decode(p[:], []byte(id)); err != nil {
		return 0, false
	}
	return netpoll.ID(binary.BigEndian.Uint64(p[:])), true
}
