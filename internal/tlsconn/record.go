// Records: sealing, opening, and what those that carry no data mean.

package tlsconn

import (
	"crypto/cipher"
	"crypto/tls"
	"encoding/binary"
	"slices"
)

const (
	version12 = tls.VersionTLS12
	version13 = tls.VersionTLS13

	headerBytes = 5
	tagBytes    = 16
	explicitLen = 8

	// overheadMax is what a record has beside its plain bytes at most.
	overheadMax = headerBytes + explicitLen + 1 + tagBytes
)

// The types of records: RFC 8446, 5.1.
const (
	typeCCS       byte = 20
	typeAlert     byte = 21
	typeHandshake byte = 22
	typeData      byte = 23
)

// The types of handshake messages that the record layer meets.
const (
	messageHelloRequest     = 0
	messageClientHello      = 1
	messageServerHello      = 2
	messageNewSessionTicket = 4
	messageKeyUpdate        = 24
)

// session is the record layer's state of one connection. No pointers: see Layer.
type session struct {
	read, write half

	hold  uint32 // index in Layer.holds: input that is not opened, or the handshake; 0: none
	about uint32 // index in Layer.abouts; 0: none

	updatesAt uint32 // second of the last KeyUpdate of the peer
	updates   uint8  // KeyUpdates that count against updatesBurst
	useless   uint8  // records in a row without data
	suite     uint8  // 1 + index in suites; 0 before the end of the handshake
	flags     sessionFlags
}

type sessionFlags uint8

const (
	flagClient  sessionFlags = 1 << iota // we are the client
	flagAsked                            // we have asked for a KeyUpdate that has not come
	flagEnded                            // no more records: an alert was sent, or the peer's has come
	flagShaking                          // the handshake is under way
	flagBegun                            // what comes before TLS has passed; of a client: the first byte of the server was judged
	flagStopped                          // reading was stopped during the handshake
	flagCounted                          // the end of the handshake is counted
)

// kind is the suite of a session whose handshake is over.
func (s *session) kind() *suite { return &suites[s.suite-1] }

// ciphers gives out the AEADs of sessions. Two implementations: the cache of a Layer, and the pair
// of a Conn.
type ciphers interface {
	// get is the AEAD of one half of s. It is valid until the next call.
	get(s *session, h *half) cipher.AEAD
	// drop forgets it: the key has changed.
	drop(h *half)
}

// scratch is where nonces and additional data are made: as local variables they would escape
// through the interface of the AEAD, an allocation a record.
type scratch struct {
	nonce [12]byte
	extra [13]byte
}

// nonceOf makes the nonce of the next record.
func (x *scratch) nonceOf(s *suite, h *half) []byte {
	x.nonce = h.iv
	if s.explicit {
		binary.BigEndian.PutUint64(x.nonce[4:], h.seq)
		return x.nonce[:]
	}
	low := binary.BigEndian.Uint64(x.nonce[4:])
	binary.BigEndian.PutUint64(x.nonce[4:], low^h.seq)
	return x.nonce[:]
}

// extra12 makes the additional data of TLS 1.2: RFC 5246, 6.2.3.3.
func (x *scratch) extra12(h *half, typ byte, n int) []byte {
	binary.BigEndian.PutUint64(x.extra[:], h.seq)
	x.extra[8], x.extra[9], x.extra[10] = typ, 3, 3
	binary.BigEndian.PutUint16(x.extra[11:], uint16(n))
	return x.extra[:]
}

// sealPieces appends pieces to dst as records of data, as few as possible.
func (s *session) sealPieces(x *scratch, c ciphers, dst []byte, pieces [][]byte) []byte {
	left := 0
	for _, p := range pieces {
		left += len(p)
	}
	i, off := 0, 0
	for left > 0 {
		dst = s.renewWrite(x, c, dst)
		size := min(left, plainBytesMax)
		left -= size
		at := len(dst)
		dst = s.begin(dst, size)
		for size > 0 {
			p := pieces[i][off:]
			if len(p) > size {
				p = p[:size]
				off += size
			} else {
				i, off = i+1, 0
			}
			dst = append(dst, p...)
			size -= len(p)
		}
		dst = s.finish(x, c, dst, at, typeData)
	}
	return dst
}

// renewWrite appends a KeyUpdate where the key has sealed as many records as it may: RFC 8446, 5.5.
// TLS 1.2 has no way to renew a key.
func (s *session) renewWrite(x *scratch, c ciphers, dst []byte) []byte {
	if s.write.seq >= recordsMax && s.kind().version == version13 {
		return s.sealUpdate(x, c, dst, false)
	}
	return dst
}

// sealUpdate appends a KeyUpdate and goes on with the next key. ask has the peer do the same.
func (s *session) sealUpdate(x *scratch, c ciphers, dst []byte, ask bool) []byte {
	request := byte(0)
	if ask {
		request = 1
	}
	dst = s.seal(x, c, dst, typeHandshake, []byte{messageKeyUpdate, 0, 0, 1, request})
	c.drop(&s.write)
	s.write.update(s.kind())
	return dst
}

// sealAlert appends an alert.
func (s *session) sealAlert(x *scratch, c ciphers, dst []byte, a alert) []byte {
	return s.seal(x, c, dst, typeAlert, []byte{a.level(), byte(a)})
}

// seal appends one record; p has at most plainBytesMax bytes.
func (s *session) seal(x *scratch, c ciphers, dst []byte, typ byte, p []byte) []byte {
	at := len(dst)
	return s.finish(x, c, append(s.begin(dst, len(p)), p...), at, typ)
}

// begin appends the header of a record whose plain bytes, size of them, the caller appends, and
// makes room for all of it.
func (s *session) begin(dst []byte, size int) []byte {
	dst = slices.Grow(dst, size+overheadMax)
	dst = append(dst, typeData, 3, 3, 0, 0)
	if s.kind().explicit {
		dst = binary.BigEndian.AppendUint64(dst, s.write.seq)
	}
	return dst
}

// finish seals the record that begins at dst[at:].
func (s *session) finish(x *scratch, c ciphers, dst []byte, at int, typ byte) []byte {
	k := s.kind()
	body := at + headerBytes
	if k.explicit {
		body += explicitLen
	}
	var extra []byte
	if k.version == version13 {
		dst = append(dst, typ) // RFC 8446, 5.2: TLSInnerPlaintext
		extra = dst[at : at+headerBytes]
	} else {
		dst[at] = typ
		extra = x.extra12(&s.write, typ, len(dst)-body)
	}
	binary.BigEndian.PutUint16(dst[at+3:], uint16(len(dst)-at-headerBytes+tagBytes))
	dst = c.get(s, &s.write).Seal(dst[:body], x.nonceOf(k, &s.write), dst[body:], extra)
	s.write.seq++
	return dst
}

// recordSize is the size of the record that p begins with, header included; 0 if p is shorter than
// a header. The alert is alertNone unless the header is one of no record.
func (s *session) recordSize(p []byte) (int, alert) {
	if len(p) < headerBytes {
		return 0, alertNone
	}
	n := int(binary.BigEndian.Uint16(p[3:]))
	k := s.kind()
	switch typ := p[0]; {
	case k.version == version13 && typ != typeData:
		// RFC 8446, 5: "any other [...] MUST be treated as an unexpected record type"; all records
		// are protected by now, so their outer type is application_data.
		return 0, alertUnexpectedMessage
	case typ != typeData && typ != typeAlert && typ != typeHandshake:
		return 0, alertUnexpectedMessage
	case k.version == version13 && n > sealedBytesMax13, n > sealedBytesMax12:
		return 0, alertRecordOverflow
	case k.version != version13 && (p[1] != 3 || p[2] != 3):
		return 0, alertProtocolVersion
	}
	return headerBytes + n, alertNone
}

// open opens a whole record in place.
func (s *session) open(x *scratch, c ciphers, record []byte) (typ byte, plain []byte, a alert) {
	k := s.kind()
	body := record[headerBytes:]
	if k.version == version13 {
		if len(body) < 1+tagBytes {
			return 0, nil, alertBadRecordMAC
		}
		plain, err := c.get(s, &s.read).Open(body[:0], x.nonceOf(k, &s.read), body, record[:headerBytes])
		if err != nil {
			return 0, nil, alertBadRecordMAC
		}
		s.read.seq++
		return inner(plain)
	}
	nonce := x.nonceOf(k, &s.read)
	if k.explicit {
		if len(body) < explicitLen {
			return 0, nil, alertBadRecordMAC
		}
		copy(nonce[4:], body)
		body = body[explicitLen:]
	}
	if len(body) < tagBytes {
		return 0, nil, alertBadRecordMAC
	}
	extra := x.extra12(&s.read, record[0], len(body)-tagBytes)
	plain, err := c.get(s, &s.read).Open(body[:0], nonce, body, extra)
	if err != nil {
		return 0, nil, alertBadRecordMAC
	}
	s.read.seq++
	if len(plain) > plainBytesMax {
		return 0, nil, alertRecordOverflow
	}
	return record[0], plain, alertNone
}

// inner takes a TLSInnerPlaintext apart: RFC 8446, 5.2 and 5.4.
func inner(p []byte) (typ byte, plain []byte, a alert) {
	if len(p) > plainBytesMax+1 {
		return 0, nil, alertRecordOverflow
	}
	i := len(p) - 1
	for i >= 0 && p[i] == 0 {
		i--
	}
	if i < 0 {
		return 0, nil, alertUnexpectedMessage
	}
	return p[i], p[:i], alertNone
}

// event is what a record means to the owner of a session.
type event uint8

const (
	eventNothing event = iota
	eventData          // plain bytes for the layer above
	eventClosed        // the peer's close_notify
	eventAlert         // another alert of the peer that ends the connection
	eventUpdated       // the peer has a new key
	eventAnswer        // the same, and it asks for a new key of ours
	eventTicket        // a session ticket for a client
)

// take takes the content of a record that was opened. now is in seconds.
func (s *session) take(typ byte, p []byte, c ciphers, now uint32) (event, alert) {
	switch typ {
	case typeData:
		if len(p) > 0 {
			s.useless = 0
			return eventData, alertNone
		}
		return s.ignore()
	case typeAlert:
		return s.takeAlert(p)
	case typeHandshake:
		if s.kind().version != version13 {
			return eventNothing, s.takeHandshake12(p)
		}
		return s.takeHandshake(p, c, now)
	}
	return eventNothing, alertUnexpectedMessage
}

// ignore counts a record that carries nothing.
func (s *session) ignore() (event, alert) {
	if s.useless++; s.useless > uselessMax {
		return eventNothing, alertUnexpectedMessage
	}
	return eventNothing, alertNone
}

func (s *session) takeAlert(p []byte) (event, alert) {
	if len(p) != 2 {
		return eventNothing, alertDecodeError
	}
	level, a := p[0], alert(p[1])
	switch {
	case a == alertCloseNotify:
		return eventClosed, alertNone
	case s.kind().version == version13 && a == alertUserCanceled, s.kind().version != version13 && level == levelWarning:
		return s.ignore()
	}
	// RFC 8446, 6: other alerts are errors, whatever their level.
	return eventAlert, alertNone
}

// takeHandshake12 refuses renegotiation.
func (s *session) takeHandshake12(p []byte) alert {
	want := byte(messageClientHello)
	if s.flags&flagClient != 0 {
		want = messageHelloRequest
	}
	if len(p) > 0 && p[0] == want {
		return alertNoRenegotiation
	}
	return alertUnexpectedMessage
}

// takeHandshake takes the messages that may follow a handshake of TLS 1.3: KeyUpdate, and for a
// client tickets. A message may not be split over records here: no library does it.
func (s *session) takeHandshake(p []byte, c ciphers, now uint32) (ev event, a alert) {
	if len(p) == 0 {
		return eventNothing, alertUnexpectedMessage // RFC 8446, 5.1: no empty fragments of handshakes
	}
	for len(p) > 0 {
		if len(p) < 4 {
			return eventNothing, alertDecodeError
		}
		n := int(p[1])<<16 | int(p[2])<<8 | int(p[3])
		if n > len(p)-4 {
			return eventNothing, alertDecodeError
		}
		typ, message := p[0], p[4:4+n]
		p = p[4+n:]
		switch {
		case typ == messageKeyUpdate:
			// RFC 8446, 5.1: a message that precedes a change of keys ends its record.
			if len(p) > 0 {
				return eventNothing, alertUnexpectedMessage
			}
			return s.takeUpdate(message, c, now)
		case typ == messageNewSessionTicket && s.flags&flagClient != 0:
			ev = eventTicket
			if _, a := s.ignore(); a != alertNone {
				return eventNothing, a
			}
		default:
			return eventNothing, alertUnexpectedMessage
		}
	}
	return ev, alertNone
}

// takeUpdate takes the peer's KeyUpdate: RFC 8446, 4.6.3.
func (s *session) takeUpdate(message []byte, c ciphers, now uint32) (event, alert) {
	if len(message) != 1 {
		return eventNothing, alertDecodeError
	}
	if message[0] > 1 {
		return eventNothing, alertIllegalParameter
	}
	earned := now - s.updatesAt
	s.updatesAt = now
	s.updates -= uint8(min(uint32(s.updates), earned))
	if s.updates++; s.updates > updatesBurst {
		return eventNothing, alertUnexpectedMessage
	}
	c.drop(&s.read)
	s.read.update(s.kind())
	s.flags &^= flagAsked
	if message[0] == 1 {
		return eventAnswer, alertNone
	}
	return eventUpdated, alertNone
}

// wantsUpdate tells whether the peer has used its key so long that we ask for another one. It is
// true once for each key.
func (s *session) wantsUpdate() bool {
	if s.read.seq < recordsMax || s.flags&flagAsked != 0 || s.kind().version != version13 {
		return false
	}
	s.flags |= flagAsked
	return true
}
