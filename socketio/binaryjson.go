// Binary data in JSON: the form in which a node's topics carry binary data inside an object, for
// clients of every protocol. {"$binary":"AQID"} stands for three bytes. Pure; any goroutine.

package socketio

import (
	"bytes"
	"encoding/base64"

	"c100k/internal/jsontext"
	"c100k/internal/sio"
)

// binaryName is the name of the only member of such an object. Written with an escape it is an
// ordinary name.
const binaryName = "$binary"

func init() {
	sio.BinaryJSON = func(args any, i int) ([]byte, string) {
		a := args.(Args)
		return binaryJSON(a, i)
	}
	sio.SplitBinaryJSON = splitBinaryJSON
}

// binaryJSON returns argument i, which exists, with an object {"$binary":…} for each attachment in
// it. The reason is not empty if that would not come back as it was sent.
func binaryJSON(a Args, i int) (p []byte, reason string) {
	t := a.binaryText(i)
	whole := t.whole()
	found := t.within(whole)
	if len(found) > AttachmentsMax {
		return nil, "a message has at most 10 pieces of binary data"
	}
	if bytes.Contains(t.p, []byte(`"`+binaryName+`"`)) {
		var s binaryScan
		if s.value(t.p, jsontext.SkipSpace(t.p, 0)); len(s.found) > 0 {
			return nil, `an object with "$binary" as its only member stands for binary data`
		}
	}
	return t.replaced(whole, `{"`+binaryName+`":"`, `"}`), ""
}

// splitBinaryJSON replaces the objects {"$binary":…} in a valid JSON text by placeholders, and
// returns their data. If there are more than a packet can have, or none, it returns p.
func splitBinaryJSON(p []byte) (text []byte, attachments [][]byte) {
	if !bytes.Contains(p, []byte(`"`+binaryName+`"`)) {
		return p, nil
	}
	var s binaryScan
	s.value(p, jsontext.SkipSpace(p, 0))
	if len(s.found) == 0 || len(s.found) > AttachmentsMax {
		return p, nil
	}
	done := 0
	for i, at := range s.found {
		text = appendPlaceholder(append(text, p[done:at.from]...), i)
		done = at.to
	}
	return append(text, p[done:]...), s.data
}

// binaryScan finds the objects {"$binary":…} in a JSON text. It stops at one more than a packet can
// have.
type binaryScan struct {
	found []part
	data  [][]byte
}

// value scans the value at i and returns its end.
func (s *binaryScan) value(p []byte, i int) (end int) {
	end, wrong := jsontext.SkipValue(p, i, 0)
	if wrong != "" || len(s.found) > AttachmentsMax || !bytes.Contains(p[i:end], []byte(binaryName)) {
		return end
	}
	switch p[i] {
	case '[':
		at := jsontext.SkipSpace(p, i+1)
		for last := p[at] == ']'; !last; {
			at, last, _ = jsontext.SkipComma(p, s.value(p, jsontext.SkipSpace(p, at)), ']')
		}
	case '{':
		if data, is := binaryObject(p[i:end]); is {
			s.found, s.data = append(s.found, part{i, end}), append(s.data, data)
			return end
		}
		at := i + 1
		for last := p[jsontext.SkipSpace(p, at)] == '}'; !last; {
			_, _, value, _ := jsontext.SkipName(p, at)
			at, last, _ = jsontext.SkipComma(p, s.value(p, value), '}')
		}
	}
	return end
}

// binaryObject returns the data of an object {"$binary":…}. An object whose text is not base64 (RFC
// 4648, 4, with padding), or that has another member, is none.
func binaryObject(p []byte) (data []byte, is bool) {
	from, to, value, wrong := jsontext.SkipName(p, 1)
	if wrong != "" || string(p[from:to]) != binaryName || p[value] != '"' {
		return nil, false
	}
	end, _ := jsontext.SkipValue(p, value, 0)
	if _, last, wrong := jsontext.SkipComma(p, end, '}'); wrong != "" || !last {
		return nil, false
	}
	data, err := base64.StdEncoding.Strict().AppendDecode([]byte{}, p[value+1:end-1])
	return data, err == nil && !bytes.ContainsAny(p[value+1:end-1], "\r\n")
}
