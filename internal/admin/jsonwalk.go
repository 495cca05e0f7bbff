// Walking a JSON document in place, without decoding what is not looked at. Everything here takes
// bytes that json.Valid has accepted, and so needs to tell only where values end.

package admin

import (
	"bytes"
	"iter"
)

// elements yields the elements of a valid JSON array, as slices of it.
func elements(array []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		p := skipSpace(array[1:])
		for p[0] != ']' {
			var value []byte
			value, p = cutValue(p)
			if !yield(value) {
				return
			}
			p = skipComma(p)
		}
	}
}

// members yields the keys, in their quotes, and the values of a valid JSON object, as slices of it.
func members(object []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(key, value []byte) bool) {
		p := skipSpace(object[1:])
		for p[0] != '}' {
			var key, value []byte
			key, p = cutValue(p)
			p = skipSpace(skipSpace(p)[1:]) // the colon
			value, p = cutValue(p)
			if !yield(key, value) {
				return
			}
			p = skipComma(p)
		}
	}
}

func skipSpace(p []byte) []byte { return bytes.TrimLeft(p, " \t\r\n") }

// skipComma goes to the next element or to the closing bracket.
func skipComma(p []byte) []byte {
	p = skipSpace(p)
	if p[0] == ',' {
		p = skipSpace(p[1:])
	}
	return p
}

// cutValue cuts the value that p begins with off p.
func cutValue(p []byte) (value, rest []byte) {
	n := 0
	switch p[0] {
	case '"':
		n = stringLen(p)
	case '{', '[':
		n = nestedLen(p)
	default:
		n = bytes.IndexAny(p, " \t\r\n,]}")
		if n < 0 {
			n = len(p)
		}
	}
	return p[:n:n], p[n:]
}

// stringLen is the length of the string that p begins with, quotes included.
func stringLen(p []byte) int {
	for i := 1; ; i++ {
		switch p[i] {
		case '\\':
			i++ // whatever is escaped does not end the string
		case '"':
			return i + 1
		}
	}
}

// nestedLen is the length of the object or array that p begins with.
func nestedLen(p []byte) int {
	depth := 0
	for i := 0; ; {
		switch p[i] {
		case '"':
			i += stringLen(p[i:])
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		i++
		if depth == 0 {
			return i
		}
	}
}

// loneSurrogate says whether a valid JSON string has a \u escape that is half of a surrogate pair
// without its other half next to it.
func loneSurrogate(value []byte) bool {
	high := false // the escape just before was a high surrogate
	for i := 0; i < len(value); {
		surrogate := byte(0)
		n := 1
		if value[i] == '\\' {
			n = 2
			if value[i+1] == 'u' {
				n = 6
				surrogate = surrogateHalf(value[i+2 : i+6])
			}
		}
		if high != (surrogate == 'l') {
			return true
		}
		high = surrogate == 'h'
		i += n
	}
	return false
}

// surrogateHalf is 'h' for D800 to DBFF, 'l' for DC00 to DFFF, and 0 otherwise.
func surrogateHalf(hex []byte) byte {
	if hex[0]|0x20 != 'd' {
		return 0
	}
	switch hex[1] {
	case '8', '9', 'a', 'b', 'A', 'B':
		return 'h'
	case 'c', 'd', 'e', 'f', 'C', 'D', 'E', 'F':
		return 'l'
	}
	return 0
}
