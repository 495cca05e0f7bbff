// The tickets of a client: what follows the handshake, and crypto/tls alone can understand.

package tlsconn

import (
	"bytes"
	"crypto/tls"
)

// ticket is a tls.Conn that is kept until the server's ticket has come: it gives the ticket to the
// ClientSessionCache.
type ticket struct {
	conn *tls.Conn
	pipe *pipe
}

// expect keeps the tls.Conn of a client that can make use of a ticket of TLS 1.3.
func (t *Layer) expect(s *session, sh *shake) {
	if s.flags&flagClient == 0 || s.kind().version != version13 || !sh.caches {
		return
	}
	sh.pipe.async = true
	sh.pipe.in = sh.pipe.in[:sh.pipe.end]
	t.holdOf(s).ticket = &ticket{sh.conn, &sh.pipe}
}

// forTicket is a copy of a sealed record that may be a ticket.
func (t *Layer) forTicket(s *session, record []byte) []byte {
	if s.hold == 0 || t.holds.At(s.hold).ticket == nil {
		return nil
	}
	return bytes.Clone(record)
}

// takeTicket has crypto/tls read a record that is a ticket.
func (t *Layer) takeTicket(s *session, sealed []byte) {
	if sealed == nil {
		return
	}
	k := t.holds.At(s.hold).ticket
	k.pipe.feed(sealed)
	var b [1]byte
	// It ends with errAgain behind the ticket. An error means that the ticket is of no use; the
	// connection does not need it.
	_, _ = k.conn.Read(b[:])
}

// noTicket forgets the tls.Conn: data has come, and servers send tickets before it.
func (t *Layer) noTicket(s *session) {
	if s.hold == 0 {
		return
	}
	h := t.holds.At(s.hold)
	if h.ticket == nil {
		return
	}
	if h.ticket = nil; len(h.in) == 0 {
		t.letGo(s)
	}
}
