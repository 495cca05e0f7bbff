// The character classes of RFC 9110, 9112 and 3986.

package edge

// class is a set of the grammar elements in which a byte is allowed.
type class uint8

const (
	inToken  class = 1 << iota // RFC 9110, 5.6.2: tchar
	inText                     // RFC 9110, 5.5: field-vchar, SP and HTAB
	inPath                     // RFC 3986, 3.3: pchar and "/"
	inQuery                    // RFC 3986, 3.4
	inHost                     // RFC 3986, 3.2.2: reg-name, without pct-encoded
	inDigits                   // DIGIT
	inBase64                   // RFC 4648, section 4, without the padding
)

// classes holds the sets of every byte.
var classes = buildClasses()

func buildClasses() (t [256]class) {
	const (
		digits     = "0123456789"
		letters    = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		unreserved = digits + letters + "-._~"
		subDelims  = "!$&'()*+,;="
	)
	add := func(c class, set string) {
		for i := range len(set) {
			t[set[i]] |= c
		}
	}
	add(inToken, digits+letters+"!#$%&'*+-.^_`|~")
	add(inDigits, digits)
	add(inBase64, digits+letters+"+/")
	add(inHost, unreserved+subDelims)
	add(inPath, unreserved+subDelims+":@/%")
	add(inQuery, unreserved+subDelims+":@/?%")
	// RFC 3986 wants these escaped, but the URL standard, and so every browser, sends them as they
	// are: "?filter[name]=a|b" is a common query. None of them can end a request target.
	add(inPath, "|[]")
	add(inQuery, "|[]{}\\^`")
	for b := 0x20; b < 0x100; b++ {
		if b != 0x7f {
			t[b] |= inText
		}
	}
	t['\t'] |= inText
	return t
}

// is tells whether all bytes of p are in c.
func is(p []byte, c class) bool {
	for _, b := range p {
		if classes[b]&c == 0 {
			return false
		}
	}
	return true
}

// isToken tells whether p is a token: RFC 9110, 5.6.2.
func isToken(p []byte) bool { return len(p) > 0 && is(p, inToken) }

// ValidField says whether a header field may be sent: the name is a token, and the value has no
// control character (RFC 9110, 5.1 and 5.5). Any goroutine.
func ValidField(name, value string) bool {
	return isToken([]byte(name)) && is([]byte(value), inText)
}

// lower is b in lower case.
func lower(b byte) byte {
	if 'A' <= b && b <= 'Z' {
		return b + ('a' - 'A')
	}
	return b
}

// equalFold compares p with want, which is in lower case, and ignores the case of ASCII letters.
func equalFold(p []byte, want string) bool {
	if len(p) != len(want) {
		return false
	}
	for i, b := range p {
		if lower(b) != want[i] {
			return false
		}
	}
	return true
}

// unhex is the value of a hexadecimal digit, or -1.
func unhex(b byte) int {
	switch {
	case '0' <= b && b <= '9':
		return int(b - '0')
	case 'a' <= b && b <= 'f':
		return int(b-'a') + 10
	case 'A' <= b && b <= 'F':
		return int(b-'A') + 10
	}
	return -1
}

func isSpace(b byte) bool { return b == ' ' || b == '\t' }

// trim removes optional white space at both ends: RFC 9110, 5.6.3.
func trim(p []byte) []byte {
	for len(p) > 0 && isSpace(p[0]) {
		p = p[1:]
	}
	for len(p) > 0 && isSpace(p[len(p)-1]) {
		p = p[:len(p)-1]
	}
	return p
}

// nextElement splits the first element off a comma-separated list: RFC 9110, 5.6.1. Both results
// are slices of list; rest is nil after the last element. An element may be empty.
func nextElement(list []byte) (element, rest []byte) {
	for i, b := range list {
		if b == ',' {
			return trim(list[:i]), list[i+1:]
		}
	}
	return trim(list), nil
}
