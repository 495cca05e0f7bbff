// From crypto/tls to the record layer: what a handshake has logged and sent becomes a session.

package tlsconn

import (
	"bytes"
	"crypto/cipher"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
)

// keyLog is the KeyLogWriter of one handshake: NSS key log lines, of a label, the client random and
// the secret.
type keyLog struct {
	client, server                   []byte // traffic secrets of TLS 1.3
	clientHandshake, serverHandshake []byte // those of its handshake
	master                           []byte // of TLS 1.2; of a resumed session it comes with the ticket
	next                             interface{ Write([]byte) (int, error) }
}

// Write takes a line. next is the writer of the program's configuration, if it has one.
func (k *keyLog) Write(line []byte) (int, error) {
	label, rest, _ := bytes.Cut(bytes.TrimSuffix(line, []byte("\n")), []byte(" "))
	if into := k.secret(string(label)); into != nil {
		_, text, _ := bytes.Cut(rest, []byte(" "))
		secret, err := hex.AppendDecode(nil, text)
		if err != nil {
			return 0, errors.New("tlsconn: a line of the key log is malformed")
		}
		*into = secret
	}
	if k.next != nil {
		return k.next.Write(line)
	}
	return len(line), nil
}

// secret is where the secret with a label belongs; nil for one that is not needed.
func (k *keyLog) secret(label string) *[]byte {
	switch label {
	case "CLIENT_TRAFFIC_SECRET_0":
		return &k.client
	case "SERVER_TRAFFIC_SECRET_0":
		return &k.server
	case "CLIENT_HANDSHAKE_TRAFFIC_SECRET":
		return &k.clientHandshake
	case "SERVER_HANDSHAKE_TRAFFIC_SECRET":
		return &k.serverHandshake
	case "CLIENT_RANDOM":
		return &k.master
	}
	return nil
}

// errMismatch is for a handshake of crypto/tls that did what this package does not expect. The
// connection ends: a guess could send data under a nonce that was used.
var errMismatch = errors.New("tlsconn: the records of the handshake do not match its secrets")

// derive makes the session of a handshake that crypto/tls has ended well. wrote is all that it has
// written; read all that it has read, and lastRead the last record of that.
func derive(state *tls.ConnectionState, keys *keyLog, client bool, wrote, read, lastRead []byte) (s session, err error) {
	s.suite = suiteOf(state.CipherSuite)
	if s.suite == 0 || s.kind().version != state.Version {
		return s, fmt.Errorf("tlsconn: cipher suite %#04x of version %#04x", state.CipherSuite, state.Version)
	}
	if client {
		s.flags = flagClient
	}
	written, err := records(wrote)
	if err != nil {
		return s, err
	}
	if state.Version == version13 {
		return s, s.derive13(keys, client, written, read, lastRead)
	}
	return s, s.derive12(keys, client, written, read, lastRead)
}

// records splits what was written into records.
func records(p []byte) (all [][]byte, err error) {
	for len(p) > 0 {
		if len(p) < headerBytes {
			return nil, errMismatch
		}
		n := headerBytes + int(binary.BigEndian.Uint16(p[3:]))
		if len(p) < n {
			return nil, errMismatch
		}
		all, p = append(all, p[:n:n]), p[n:]
	}
	return all, nil
}

// sealedOf counts the records of type application_data.
func sealedOf(all [][]byte) (n int) {
	for _, r := range all {
		if r[0] == typeData {
			n++
		}
	}
	return n
}

// derive13 is derive for TLS 1.3. What crypto/tls has read last must be sealed with the peer's
// handshake secret: then none of its application records was read. What it has written last is
// sealed either with ours, and then no application record was written; or it is a ticket, the
// number of which is known when it opens under our application secret.
//
// A key takes two derivations and an AEAD, so the likely case is tried first: a server writes one
// ticket, a client none.
func (s *session) derive13(keys *keyLog, client bool, written [][]byte, read, lastRead []byte) error {
	k := s.kind()
	ours, theirs, ourHandshake, theirHandshake := keys.server, keys.client, keys.serverHandshake, keys.clientHandshake
	if client {
		ours, theirs, ourHandshake, theirHandshake = theirs, ours, theirHandshake, ourHandshake
	}
	for _, secret := range [][]byte{ours, theirs, ourHandshake, theirHandshake} {
		if len(secret) != k.hashBytes {
			return errMismatch
		}
	}
	reads, err := records(read)
	if err != nil || len(written) == 0 {
		return errMismatch
	}
	var handshake half
	handshake.setSecret(k, theirHandshake)
	if !s.opens13(&handshake, handshake.newAEAD(k), sealedOf(reads)-1, lastRead) {
		return errMismatch
	}
	s.read.setSecret(k, theirs)
	s.write.setSecret(k, ours)
	sealed := sealedOf(written)
	last := written[len(written)-1]
	finished := func() bool {
		handshake.setSecret(k, ourHandshake)
		return s.opens13(&handshake, handshake.newAEAD(k), sealed-1, last)
	}
	if client && finished() {
		return nil
	}
	aead := s.write.newAEAD(k)
	for n := range min(sealed, ticketsMax) {
		if s.opens13(&s.write, aead, n, last) {
			s.write.seq = uint64(n) + 1
			return nil
		}
	}
	if !client && finished() {
		return nil
	}
	return errMismatch
}

// opens13 tells whether record is the one with number seq under a half, whose AEAD is a.
func (s *session) opens13(h *half, a cipher.AEAD, seq int, record []byte) bool {
	if seq < 0 || len(record) < headerBytes {
		return false
	}
	trial := session{suite: s.suite, read: *h}
	trial.read.seq = uint64(seq)
	_, _, alert := trial.open(new(scratch), &side{aead: a}, slices.Clone(record))
	return alert == alertNone
}

// derive12 is derive for TLS 1.2. Each side has sent one protected record, its Finished message,
// and it was the last.
func (s *session) derive12(keys *keyLog, client bool, written [][]byte, read, lastRead []byte) error {
	reads, err := records(read)
	if err != nil || len(written) == 0 {
		return errMismatch
	}
	fromClient, fromServer := reads, written
	if client {
		fromClient, fromServer = written, reads
	}
	clientRandom, ok := randomOf(fromClient, messageClientHello)
	serverRandom, okServer := randomOf(fromServer, messageServerHello)
	if !ok || !okServer {
		return errMismatch
	}
	theirs, ours, err := keys12(s.kind(), keys.master, clientRandom, serverRandom)
	if err != nil {
		return err
	}
	if client {
		theirs, ours = ours, theirs
	}
	s.read, s.write = theirs, ours
	if !s.opens12(&theirs, lastRead) || !s.opens12(&ours, written[len(written)-1]) {
		return errMismatch
	}
	s.read.seq, s.write.seq = 1, 1
	return nil
}

// opens12 tells whether record is the first one of a direction, and a handshake message.
func (s *session) opens12(h *half, record []byte) bool {
	if len(record) < headerBytes || record[0] != typeHandshake {
		return false
	}
	trial := session{suite: s.suite, read: *h}
	_, _, a := trial.open(new(scratch), new(once), slices.Clone(record))
	return a == alertNone
}

// randomOf finds the random of the hello that a side begins with. Both hellos have it behind a
// version: RFC 5246, 7.4.1.
func randomOf(all [][]byte, message byte) ([]byte, bool) {
	const at, size = 4 + 2, 32
	var start []byte
	for _, r := range all {
		if r[0] != typeHandshake {
			break
		}
		if start = append(start, r[headerBytes:]...); len(start) >= at+size {
			return start[at : at+size], start[0] == message
		}
	}
	return nil, false
}

// once makes an AEAD for each use.
type once struct{}

func (*once) get(s *session, h *half) cipher.AEAD { return h.newAEAD(s.kind()) }
func (*once) drop(*half)                          {}
