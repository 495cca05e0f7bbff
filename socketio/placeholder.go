// Placeholders: objects in the JSON of a packet that stand for attachments. Pure; any goroutine.

package socketio

import (
	"strconv"

	"c100k/internal/jsontext"
)

// appendPlaceholder appends the placeholder of attachment number n.
func appendPlaceholder(dst []byte, n int) []byte {
	dst = strconv.AppendInt(append(dst, `{"_placeholder":true,"num":`...), int64(n), 10)
	return append(dst, '}')
}

// place is the position of a placeholder in a JSON text, and the number of its attachment.
type place struct{ from, to, num int }

// findPlaceholders returns the placeholders in the valid JSON text p, in order. An object is a
// placeholder if its member "_placeholder" is true. Its "num" must be a whole number below n;
// otherwise the packet is invalid.
func findPlaceholders(p []byte, n int) ([]place, fault) {
	s := placeholders{p: p, n: n}
	_, bad := s.value(jsontext.SkipSpace(p, 0))
	return s.found, bad
}

// placeholders is one scan of a text. It visits each byte once, at any depth.
type placeholders struct {
	p     []byte
	n     int
	found []place
}

// value scans the value at i and returns its end.
func (s *placeholders) value(i int) (end int, bad fault) {
	switch s.p[i] {
	case '[':
		return s.elements(i)
	case '{':
		return s.object(i)
	}
	end, wrong := jsontext.SkipValue(s.p, i, 0)
	if wrong != "" {
		return end, faultJSON
	}
	return end, ""
}

func (s *placeholders) elements(i int) (end int, bad fault) {
	i = jsontext.SkipSpace(s.p, i+1)
	if s.p[i] == ']' {
		return i + 1, ""
	}
	for last := false; !last; {
		if i, bad = s.value(jsontext.SkipSpace(s.p, i)); bad != "" {
			return i, bad
		}
		var wrong jsontext.Fault
		if i, last, wrong = jsontext.SkipComma(s.p, i, ']'); wrong != "" {
			return i, faultJSON
		}
	}
	return i, ""
}

func (s *placeholders) object(from int) (end int, bad fault) {
	i := jsontext.SkipSpace(s.p, from+1)
	if s.p[i] == '}' {
		return i + 1, ""
	}
	inside := len(s.found)
	marked, num := false, -1
	for last := false; !last; {
		nameFrom, nameTo, at, wrong := jsontext.SkipName(s.p, i)
		if wrong != "" {
			return i, faultJSON
		}
		if end, bad = s.value(at); bad != "" {
			return end, bad
		}
		switch string(memberName(s.p[nameFrom:nameTo])) { // the last of several members with one name counts
		case "_placeholder":
			marked = string(s.p[at:end]) == "true"
		case "num":
			num = smallNumber(s.p[at:end])
		}
		if i, last, wrong = jsontext.SkipComma(s.p, end, '}'); wrong != "" {
			return i, faultJSON
		}
	}
	if !marked {
		return i, ""
	}
	if num < 0 || num >= s.n {
		return i, faultPlaceholder
	}
	// Placeholders inside a placeholder are dropped with it.
	s.found = append(s.found[:inside], place{from, i, num})
	return i, ""
}

// memberName returns a member's name without escapes, or nil if it is too long to be one of the two
// names: an escaped letter has six bytes.
func memberName(raw []byte) []byte {
	var room [6 * len("_placeholder")]byte
	if len(raw) > len(room) {
		return nil
	}
	name, wrong := jsontext.Unescape(append(room[:0], raw...))
	if wrong != "" {
		return nil
	}
	return name
}

// smallNumber reads a number that JavaScript would accept as an index; -1 if it is none.
func smallNumber(raw []byte) int {
	v, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || v < 0 || v >= 1<<31 || v != float64(int(v)) {
		return -1
	}
	return int(v)
}
