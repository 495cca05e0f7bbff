// The gate: what a connection begins with, before anything is spent on a handshake.

package tlsconn

import "encoding/binary"

// verdict is what the gate thinks of the first bytes of a connection.
type verdict uint8

const (
	gateMore    verdict = iota // it takes more bytes to tell
	gateHello                  // a whole ClientHello
	gateHTTP                   // a request of HTTP in plain text
	gateHead                   // the same, of method HEAD: its answer has no body
	gateNoTLS                  // something else
	gateTooLong                // a ClientHello beyond helloBytesMax
	gateBad                    // records of TLS that do not begin with a ClientHello
)

// gate judges p, the beginning of a connection. It keeps nothing; each call starts from the
// beginning. The version is left to crypto/tls.
func gate(p []byte) verdict {
	if len(p) == 0 {
		return gateMore
	}
	if p[0] != typeHandshake {
		return gatePlain(p)
	}
	p = p[:min(len(p), helloBytesMax)]
	var start [4]byte // of the message
	have := 0         // bytes of the message that have come
	for rest := p; ; {
		if len(rest) < headerBytes {
			return gateMoreOf(p, rest)
		}
		n := int(binary.BigEndian.Uint16(rest[3:]))
		switch {
		case rest[0] != typeHandshake || rest[1] != 3 || n == 0:
			return gateBad
		case n > plainBytesMax:
			return gateTooLong
		}
		part := rest[headerBytes:min(len(rest), headerBytes+n)]
		if have < len(start) {
			copy(start[have:], part)
		}
		have += len(part)
		if have >= 1 && start[0] != messageClientHello {
			return gateBad
		}
		if have >= len(start) {
			size := len(start) + int(start[1])<<16 + int(start[2])<<8 + int(start[3])
			if size > helloBytesMax {
				return gateTooLong
			}
			if have >= size && len(rest) >= headerBytes+n {
				return gateHello
			}
		}
		if len(rest) < headerBytes+n {
			return gateMoreOf(p, nil)
		}
		rest = rest[headerBytes+n:]
	}
}

// gateMoreOf is gateMore within the bound. rest is the beginning of a header.
func gateMoreOf(p, rest []byte) verdict {
	switch {
	case len(rest) > 0 && rest[0] != typeHandshake, len(rest) > 1 && rest[1] != 3:
		return gateBad
	case len(p) >= helloBytesMax:
		return gateTooLong
	}
	return gateMore
}

// gatePlain judges what is no TLS.
func gatePlain(p []byte) verdict {
	const head = "HEAD "
	n := min(len(p), len(head))
	switch {
	case p[0] < 'A' || p[0] > 'Z':
		return gateNoTLS
	case string(p[:n]) != head[:n]:
		return gateHTTP
	case n < len(head):
		return gateMore
	}
	return gateHead
}
