// The negotiation of permessage-deflate (RFC 7692, sections 5 and 7.1), server side.

package frame

import "strconv"

// deflateAnswer accepts an offer. Both directions are without context takeover: a window for each
// of 100,000 connections is more memory than there is, and a message that is compressed once must
// fit all of them.
const deflateAnswer = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

// NegotiateDeflate answers the offers in a client's Sec-WebSocket-Extensions header: several header
// lines are joined by commas. It takes the first offer that is legal and returns the header value
// to answer with, and the window in which messages to this client are compressed: WindowFull, or
// WindowNarrow for a client that asks for a smaller one (server_max_window_bits of 8 to 14). An
// offer that is illegal or unknown is declined and the next one considered (RFC 7692, 5.1), so a
// bad offer never fails the handshake. NoWindow means that none is left: the connection is then
// uncompressed. offers is not kept; the response is the caller's.
func NegotiateDeflate(offers []byte) (response []byte, window Window) {
	s := scanner{rest: offers}
	for !s.done() {
		if bits, good := s.offer(); good {
			return appendAnswer(nil, bits), windowOf(bits)
		}
		s.skipOffer()
	}
	return nil, NoWindow
}

// appendAnswer accepts an offer with that server_max_window_bits; 0: without.
func appendAnswer(dst []byte, bits int) []byte {
	dst = append(dst, deflateAnswer...)
	if bits != 0 {
		// RFC 7692, 7.1.2.1: the answer has the same or a smaller value. Some clients know no 8, so
		// they get the value that they named, though the window in use is smaller.
		dst = strconv.AppendInt(append(dst, "; server_max_window_bits="...), int64(bits), 10)
	}
	return dst
}

// windowOf is the window for a client that asks for at most bits; 0: it does not ask.
func windowOf(bits int) Window {
	if bits == 0 || bits >= int(WindowFull) {
		return WindowFull
	}
	return WindowNarrow
}

// scanner reads the grammar of RFC 6455, section 9.1.
type scanner struct{ rest []byte }

// offer reads one offer and reports whether it can be taken; bits is its server_max_window_bits, 0
// without.
func (s *scanner) offer() (bits int, good bool) {
	if string(s.token()) != "permessage-deflate" {
		return 0, false
	}
	var seen parameters
	for s.take(';') {
		name := s.token()
		var value []byte
		given := s.take('=')
		if given {
			if value = s.value(); len(value) == 0 {
				return 0, false
			}
		}
		if !seen.add(string(name), value, given) {
			return 0, false
		}
	}
	return seen.serverBits, s.atComma()
}

// parameters are those that an offer has named. RFC 7692, 7.1: decline an offer with a parameter
// that is not defined, has an invalid value, or comes more than once.
type parameters struct {
	serverTakeover, clientTakeover, serverWindow, clientWindow bool

	serverBits int
}

// add takes one parameter and reports whether the offer can still be accepted.
func (seen *parameters) add(name string, value []byte, given bool) bool {
	switch name {
	case "server_no_context_takeover":
		return first(&seen.serverTakeover) && !given
	case "client_no_context_takeover":
		return first(&seen.clientTakeover) && !given
	case "server_max_window_bits":
		// RFC 7692, 7.1.2.1: the value is mandatory and binds us.
		seen.serverBits = windowBits(value)
		return first(&seen.serverWindow) && seen.serverBits != 0
	case "client_max_window_bits":
		// RFC 7692, 7.1.2.2: a hint, value optional. We can inflate with every window, so nothing
		// is asked of the client.
		return first(&seen.clientWindow) && (!given || windowBits(value) != 0)
	default:
		return false
	}
}

// first sets a flag and reports whether it was clear.
func first(flag *bool) bool {
	was := *flag
	*flag = true
	return !was
}

// windowBits reads "8" to "15", without leading zeros; 0 for anything else.
func windowBits(value []byte) int {
	switch {
	case len(value) == 1 && (value[0] == '8' || value[0] == '9'):
		return int(value[0] - '0')
	case len(value) == 2 && value[0] == '1' && value[1] >= '0' && value[1] <= '5':
		return 10 + int(value[1]-'0')
	default:
		return 0
	}
}

// done skips empty list elements, which RFC 9110, 5.6.1 allows, and reports whether nothing is
// left.
func (s *scanner) done() bool {
	for s.take(',') {
	}
	return len(s.rest) == 0
}

// atComma reports whether the offer ends here.
func (s *scanner) atComma() bool {
	s.space()
	return len(s.rest) == 0 || s.rest[0] == ','
}

// skipOffer goes to the next comma outside of a quoted string.
func (s *scanner) skipOffer() {
	quoted := false
	for i := 0; i < len(s.rest); i++ {
		switch c := s.rest[i]; {
		case c == '"':
			quoted = !quoted
		case c == '\\' && quoted:
			i++
		case c == ',' && !quoted:
			s.rest = s.rest[i:]
			return
		}
	}
	s.rest = nil
}

// space skips optional white space.
func (s *scanner) space() {
	for len(s.rest) > 0 && (s.rest[0] == ' ' || s.rest[0] == '\t') {
		s.rest = s.rest[1:]
	}
}

// take skips the separator c, with white space before it, and reports whether it was there.
func (s *scanner) take(c byte) bool {
	s.space()
	if len(s.rest) == 0 || s.rest[0] != c {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

// token reads a token; empty if there is none.
func (s *scanner) token() []byte {
	s.space()
	n := 0
	for n < len(s.rest) && tokenByte(s.rest[n]) {
		n++
	}
	token := s.rest[:n]
	s.rest = s.rest[n:]
	return token
}

// value reads a token, or a quoted string whose content is one (RFC 6455, 9.1); empty if there is
// neither.
func (s *scanner) value() []byte {
	if !s.take('"') {
		return s.token()
	}
	var value []byte
	for i := 0; i < len(s.rest); i++ {
		switch c := s.rest[i]; {
		case c == '"':
			s.rest = s.rest[i+1:]
			return value
		case c == '\\' && i+1 < len(s.rest):
			i++
			value = append(value, s.rest[i])
		default:
			value = append(value, c)
		}
	}
	s.rest = nil // it never ends: nothing behind it can be an offer
	return nil
}

// tokenByte reports whether c may be in a token (RFC 9110, 5.6.2).
func tokenByte(c byte) bool {
	switch {
	case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z':
		return true
	}
	switch c {
	case '!', '#', '$', '%', '&', '\'', '*', '+', '-', '.', '^', '_', '`', '|', '~':
		return true
	}
	return false
}
