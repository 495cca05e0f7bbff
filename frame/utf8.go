// UTF-8 validation of a text that arrives in pieces, cut anywhere. It fails at the first impossible
// byte.

package frame

// utf8Check validates a text that arrives in pieces. The zero value stands at a character boundary.
type utf8Check struct {
	need   uint8 // continuation bytes that the character begun still needs
	lo, hi uint8 // range of the next one (RFC 3629, 4: it excludes overlong forms, surrogates and what lies beyond U+10FFFF)
}

// complete reports whether the text may end here.
func (u *utf8Check) complete() bool { return u.need == 0 }

// write takes the next piece and reports whether the text so far can still become valid.
func (u *utf8Check) write(p []byte) bool {
	for u.need > 0 && len(p) > 0 {
		if !u.next(p[0]) {
			return false
		}
		p = p[1:]
	}
	cut := len(p) - unfinished(p)
	if !validUTF8(p[:cut]) {
		return false
	}
	for _, b := range p[cut:] {
		if !u.next(b) {
			return false
		}
	}
	return true
}

// next takes one byte.
func (u *utf8Check) next(b byte) bool {
	if u.need == 0 {
		return u.lead(b)
	}
	if b < u.lo || b > u.hi {
		return false
	}
	u.need--
	u.lo, u.hi = 0x80, 0xbf
	return true
}

// lead takes a character's first byte. The ranges are the table of RFC 3629, section 4.
func (u *utf8Check) lead(b byte) bool {
	u.lo, u.hi = 0x80, 0xbf
	switch {
	case b < 0x80:
		return true
	case b < 0xc2: // a continuation byte, or an overlong form
		return false
	case b < 0xe0:
		u.need = 1
	case b < 0xf0:
		u.need = 2
		if b == 0xe0 {
			u.lo = 0xa0
		}
		if b == 0xed {
			u.hi = 0x9f
		}
	case b < 0xf5:
		u.need = 3
		if b == 0xf0 {
			u.lo = 0x90
		}
		if b == 0xf4 {
			u.hi = 0x8f
		}
	default:
		return false
	}
	return true
}

// unfinished returns how many bytes at the end of p belong to a character that goes on behind it.
func unfinished(p []byte) int {
	for n := 1; n <= 3 && n <= len(p); n++ {
		b := p[len(p)-n]
		if b < 0x80 {
			return 0
		}
		if b < 0xc0 {
			continue
		}
		if b >= 0xf0 && n < 4 || b >= 0xe0 && n < 3 || n < 2 {
			return n
		}
		return 0
	}
	return 0
}
