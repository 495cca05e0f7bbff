// The arguments of an event or acknowledgement as they were received.

package socketio

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
)

// Args are the arguments of an event, or of an acknowledgement, as a client sent them: JSON and
// binary. A handler may use its Args until it returns; Clone makes a copy that it can keep. The
// zero value has no arguments.
type Args struct {
	raw         []json.RawMessage
	attachments [][]byte
}

// Len is the number of arguments.
func (a Args) Len() int { return len(a.raw) }

// Clone returns a copy that stays valid after the handler has returned.
func (a Args) Clone() Args {
	return Args{raw: cloneArgs(a.raw), attachments: a.attachments} // attachments were copied when they arrived
}

// JSON returns argument i, counted from 0, as JSON text. Binary data in it is written as base64
// strings. The result is nil if there is no such argument.
func (a Args) JSON(i int) json.RawMessage {
	if i >= len(a.raw) {
		return nil
	}
	t := a.binaryText(i)
	return t.inlined(t.whole())
}

// Bytes returns argument i if the whole argument is binary; otherwise ok is false.
func (a Args) Bytes(i int) (data []byte, ok bool) {
	if i >= len(a.raw) || len(a.attachments) == 0 || a.raw[i][0] != '{' {
		return nil, false
	}
	t := a.binaryText(i)
	return t.attachment(t.whole())
}

// Decode decodes argument i into the value that v points to, as encoding/json does. Binary data
// becomes a []byte at any depth: in a variable or field of type []byte or of a named type of it, in
// an any, in lists and maps of these. It is an error if binary data meets another type. Types with
// a method UnmarshalJSON, json.RawMessage among them, get it as a base64 string. A missing argument
// leaves the value unchanged.
func (a Args) Decode(i int, v any) error {
	p := reflect.ValueOf(v)
	if p.Kind() != reflect.Pointer || p.IsNil() {
		return fmt.Errorf("socketio: Decode into a %T: want a pointer", v)
	}
	return a.decode(i, p.Elem())
}

// text returns argument i as encoding/json decodes it into a string; "" if there is no such
// argument.
func (a Args) text(i int) (text string, err error) {
	if i >= len(a.raw) {
		return "", nil
	}
	// A packet is valid JSON in UTF-8. So a string without escapes needs no further check.
	if raw := a.raw[i]; raw[0] == '"' && bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1]), nil
	}
	t := a.binaryText(i)
	err = t.decode(t.whole(), reflect.ValueOf(&text).Elem())
	return text, err
}

// decode decodes argument i into v, which can be set.
func (a Args) decode(i int, v reflect.Value) error {
	if i >= len(a.raw) {
		return nil
	}
	switch v.Type() {
	case stringType:
		text, err := a.text(i)
		if err == nil {
			v.SetString(text)
		}
		return err
	case rawType:
		v.SetBytes(bytes.Clone(a.JSON(i)))
		return nil
	}
	t := a.binaryText(i)
	return t.decode(t.whole(), v)
}

// tree returns argument i as encoding/json decodes it into an any, with a []byte for each
// placeholder.
func (a Args) tree(i int) (tree any, err error) {
	t := a.binaryText(i)
	return t.tree(t.whole())
}
