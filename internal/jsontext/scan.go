// The scanner: where in a JSON text a value ends, and what is wrong with it.

package jsontext

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

// Fault says in English what is wrong with a JSON text; empty when nothing is.
type Fault string

// The faults.
const (
	FaultEnd       Fault = "it ends too early"
	FaultValue     Fault = "a value is expected"
	FaultName      Fault = "a name in double quotes is expected"
	FaultColon     Fault = `":" is expected`
	FaultComma     Fault = `"," or the end of the array or object is expected`
	FaultControl   Fault = "a control character stands in a string"
	FaultEscape    Fault = "an unknown escape sequence"
	FaultNumber    Fault = "a malformed number"
	FaultDepth     Fault = "it is nested too deeply"
	FaultTrailing  Fault = "something follows the value"
	FaultSurrogate Fault = "half of a surrogate pair"
)

// SkipSpace returns the index of the first byte from i on that is not white space (RFC 8259, 2).
func SkipSpace(p []byte, i int) int {
	for i < len(p) && (p[i] == ' ' || p[i] == '\t' || p[i] == '\n' || p[i] == '\r') {
		i++
	}
	return i
}

// SkipValue scans the value that begins at p[i] and returns where it ends; with a Fault, where that
// stands. depth is the number of arrays and objects around the value.
func SkipValue(p []byte, i, depth int) (int, Fault) {
	if i >= len(p) {
		return i, FaultEnd
	}
	switch c := p[i]; {
	case c == '"':
		return skipString(p, i)
	case c == '{':
		return skipObject(p, i, depth+1)
	case c == '[':
		return skipArray(p, i, depth+1)
	case c == '-' || '0' <= c && c <= '9':
		return skipNumber(p, i)
	case c == 't':
		return skipLiteral(p, i, "true")
	case c == 'f':
		return skipLiteral(p, i, "false")
	case c == 'n':
		return skipLiteral(p, i, "null")
	}
	return i, FaultValue
}

func skipLiteral(p []byte, i int, word string) (int, Fault) {
	if len(p)-i >= len(word) && string(p[i:i+len(word)]) == word {
		return i + len(word), ""
	}
	return i, FaultValue
}

func skipArray(p []byte, i, depth int) (int, Fault) {
	if depth > DepthMax {
		return i, FaultDepth
	}
	i = SkipSpace(p, i+1)
	if i < len(p) && p[i] == ']' {
		return i + 1, ""
	}
	for {
		var bad Fault
		if i, bad = SkipValue(p, SkipSpace(p, i), depth); bad != "" {
			return i, bad
		}
		var end bool
		if i, end, bad = SkipComma(p, i, ']'); bad != "" || end {
			return i, bad
		}
	}
}

func skipObject(p []byte, i, depth int) (int, Fault) {
	if depth > DepthMax {
		return i, FaultDepth
	}
	i = SkipSpace(p, i+1)
	if i < len(p) && p[i] == '}' {
		return i + 1, ""
	}
	for {
		_, _, next, bad := SkipName(p, i)
		if bad != "" {
			return next, bad
		}
		if i, bad = SkipValue(p, next, depth); bad != "" {
			return i, bad
		}
		var end bool
		if i, end, bad = SkipComma(p, i, '}'); bad != "" || end {
			return i, bad
		}
	}
}

// SkipName scans a member's name and the colon behind it: p[from:to] is the name between its
// quotes, next is where its value begins.
func SkipName(p []byte, i int) (from, to, next int, bad Fault) {
	i = SkipSpace(p, i)
	if i >= len(p) {
		return 0, 0, i, FaultEnd
	}
	if p[i] != '"' {
		return 0, 0, i, FaultName
	}
	end, bad := skipString(p, i)
	if bad != "" {
		return 0, 0, end, bad
	}
	next = SkipSpace(p, end)
	if next >= len(p) {
		return 0, 0, next, FaultEnd
	}
	if p[next] != ':' {
		return 0, 0, next, FaultColon
	}
	return i + 1, end - 1, SkipSpace(p, next+1), ""
}

// SkipComma scans what stands behind an element: a comma, or the closing bracket, in which case end
// is true.
func SkipComma(p []byte, i int, closing byte) (next int, end bool, bad Fault) {
	i = SkipSpace(p, i)
	switch {
	case i >= len(p):
		return i, false, FaultEnd
	case p[i] == closing:
		return i + 1, true, ""
	case p[i] != ',':
		return i, false, FaultComma
	}
	return i + 1, false, ""
}

// skipString scans the string that begins with the quote at p[i].
func skipString(p []byte, i int) (int, Fault) {
	i++
	for {
		i = plainRun(p, i)
		if i >= len(p) {
			return i, FaultEnd
		}
		switch p[i] {
		case '"':
			return i + 1, ""
		case '\\':
			n, bad := escapeLen(p[i:])
			if bad != "" {
				return i, bad
			}
			i += n
		default:
			return i, FaultControl // RFC 8259, 7: U+0000 to U+001F MUST be escaped.
		}
	}
}

// plainRun returns the index of the first byte from i on that is special inside a string: a quote,
// a backslash, a control character.
func plainRun(p []byte, i int) int {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	for i+8 <= len(p) {
		// Eight bytes at a time: "is zero" and "is less than 0x20" for each byte of a word. A
		// borrow can only make a byte above the first special one look special, so the lowest hit
		// is right.
		x := binary.LittleEndian.Uint64(p[i:])
		quote, slash := x^(ones*'"'), x^(ones*'\\')
		hit := ((x-ones*0x20)&^x | (quote-ones)&^quote | (slash-ones)&^slash) & tops
		if hit != 0 {
			return i + bits.TrailingZeros64(hit)/8
		}
		i += 8
	}
	for i < len(p) && p[i] >= 0x20 && p[i] != '"' && p[i] != '\\' {
		i++
	}
	return i
}

// escapeLen returns the length of the escape sequence that p begins with.
func escapeLen(p []byte) (int, Fault) {
	if len(p) < 2 {
		return 0, FaultEnd
	}
	switch p[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2, ""
	case 'u':
		if len(p) < 6 {
			return 0, FaultEnd
		}
		if hexUnit(p[2:6]) < 0 {
			return 0, FaultEscape
		}
		return 6, ""
	}
	return 0, FaultEscape
}

// hexUnit returns the value of four hexadecimal digits, or -1.
func hexUnit(p []byte) rune {
	var v rune
	for _, c := range p[:4] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return -1
		}
		v = v<<4 | rune(c)
	}
	return v
}

// skipNumber scans -?(0|[1-9][0-9]*)(.[0-9]+)?([eE][+-]?[0-9]+)? (RFC 8259, 6).
func skipNumber(p []byte, i int) (int, Fault) {
	if p[i] == '-' {
		i++
	}
	from := i
	if i = skipDigits(p, i); i == from || p[from] == '0' && i > from+1 {
		return i, FaultNumber // no digit, or a leading zero
	}
	if i < len(p) && p[i] == '.' {
		from = i + 1
		if i = skipDigits(p, from); i == from {
			return i, FaultNumber
		}
	}
	if i < len(p) && (p[i] == 'e' || p[i] == 'E') {
		i++
		if i < len(p) && (p[i] == '+' || p[i] == '-') {
			i++
		}
		from = i
		if i = skipDigits(p, from); i == from {
			return i, FaultNumber
		}
	}
	return i, ""
}

func skipDigits(p []byte, i int) int {
	for i < len(p) && '0' <= p[i] && p[i] <= '9' {
		i++
	}
	return i
}

// Unescape decodes the inside of a string that skipString accepted. The result is a slice of p,
// which is overwritten: a decoded string is never longer than its escapes. Half a surrogate pair
// has no UTF-8 and is a Fault.
func Unescape(p []byte) ([]byte, Fault) {
	i := plainRun(p, 0)
	if i == len(p) {
		return p, "" // the common case: nothing is escaped
	}
	out := p[:i]
	for i < len(p) {
		if p[i] != '\\' {
			next := plainRun(p, i)
			out = append(out, p[i:next]...)
			i = next
			continue
		}
		r, n := unescapeRune(p[i:])
		if n == 0 {
			return nil, FaultSurrogate
		}
		out = utf8.AppendRune(out, r)
		i += n
	}
	return out, ""
}

// unescapeRune decodes the escape sequence that p begins with (one or, for a surrogate pair, two)
// and returns its length, 0 for half a pair.
func unescapeRune(p []byte) (rune, int) {
	switch p[1] {
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
		r := hexUnit(p[2:])
		if !utf16.IsSurrogate(r) {
			return r, 6
		}
		if len(p) >= 12 && p[6] == '\\' && p[7] == 'u' {
			if r = utf16.DecodeRune(r, hexUnit(p[8:])); r != utf8.RuneError {
				return r, 12
			}
		}
		return 0, 0
	}
	return rune(p[1]), 2 // " \ /
}
