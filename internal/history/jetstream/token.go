// Topics as tokens of subjects.

package jetstream

const hexDigits = "0123456789ABCDEF"

// plain tells whether a byte of a topic stands for itself in a subject: not what NATS divides
// subjects with, nor what is a wildcard, white space or beyond ASCII.
func plain(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == ':' || c == '/'
}

// appendToken appends a topic as one token of a subject.
func appendToken(dst []byte, topic string) []byte {
	for i := range len(topic) {
		if c := topic[i]; plain(c) {
			dst = append(dst, c)
		} else {
			dst = append(dst, '=', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return dst
}

// parseToken is the inverse of appendToken; ok is false for what it does not make.
func parseToken(token string) (topic string, ok bool) {
	clean := true
	for i := range len(token) {
		clean = clean && plain(token[i])
	}
	if clean {
		return token, token != ""
	}
	b := make([]byte, 0, len(token))
	for i := 0; i < len(token); i++ {
		c := token[i]
		switch {
		case plain(c):
			b = append(b, c)
		case c == '=' && i+2 < len(token):
			high, low := unhex(token[i+1]), unhex(token[i+2])
			if c = high<<4 | low; high > 15 || low > 15 || plain(c) {
				return "", false
			}
			b = append(b, c)
			i += 2
		default:
			return "", false
		}
	}
	return string(b), true
}

func unhex(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}
