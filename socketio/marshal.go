// Encoding of Go values that may hold binary data: what encoding/json does, except that a []byte
// becomes an attachment, at any depth.

package socketio

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"c100k/internal/jsontext"
)

// hopsMax bounds the pointers and interfaces between two nested values. Without it a pointer that
// refers to itself would never end.
const hopsMax = 100

// marshal appends a value of any type. Types that cannot hold binary data, and types with a method
// for encoding, are left to encoding/json. depth is the number of arrays and objects around it.
func (v *values) marshal(x reflect.Value, depth int) error {
	for hops := 0; ; hops++ {
		if !x.IsValid() {
			v.json = append(v.json, "null"...)
			return nil
		}
		g := typeOf(x.Type())
		switch kind := x.Kind(); {
		case g.addrMarshals && x.CanAddr():
			return v.plain(x.Addr().Interface(), depth)
		case !g.holdsBinary:
			return v.plain(x.Interface(), depth)
		case g.binary:
			v.attach(bytes.Clone(x.Bytes()))
			return nil
		case kind != reflect.Pointer && kind != reflect.Interface:
			return v.composite(g, x, depth+1)
		}
		if hops == hopsMax {
			return fmt.Errorf("%w: a %v refers to itself", ErrDepth, g.t)
		}
		x = x.Elem()
	}
}

// composite appends an array or object that is the given number of levels deep.
func (v *values) composite(g *goType, x reflect.Value, depth int) error {
	if depth > jsontext.DepthMax {
		return ErrDepth
	}
	switch x.Kind() {
	case reflect.Map:
		return v.object(x, depth)
	case reflect.Struct:
		return v.members(g, x, depth)
	case reflect.Slice:
		if x.IsNil() {
			v.json = append(v.json, "null"...)
			return nil
		}
	}
	v.json = append(v.json, '[')
	for i := range x.Len() {
		if i > 0 {
			v.json = append(v.json, ',')
		}
		if err := v.marshal(x.Index(i), depth); err != nil {
			return err
		}
	}
	v.json = append(v.json, ']')
	return nil
}

// members appends a struct.
func (v *values) members(g *goType, x reflect.Value, depth int) error {
	v.json = append(v.json, '{')
	first := len(v.json)
	fields := g.structFields()
	for i := range fields {
		f := &fields[i]
		value, ok := f.of(x)
		if !ok || f.omits(value) {
			continue
		}
		if len(v.json) > first {
			v.json = append(v.json, ',')
		}
		v.json = append(v.json, f.prefix...)
		if err := v.member(f, value, depth); err != nil {
			return fmt.Errorf("field %q: %w", f.name, err)
		}
	}
	v.json = append(v.json, '}')
	return nil
}

// member appends the value of a field. One with the option string is written as a string.
func (v *values) member(f *field, x reflect.Value, depth int) error {
	at := len(v.json)
	if err := v.marshal(x, depth); err != nil || !f.quoted || string(v.json[at:]) == "null" || typeOf(x.Type()).marshals {
		return err
	}
	text := string(v.json[at:])
	v.json = jsontext.AppendString(v.json[:at], text)
	return nil
}

// object appends a map, sorted by key.
func (v *values) object(x reflect.Value, depth int) error {
	if x.IsNil() {
		v.json = append(v.json, "null"...)
		return nil
	}
	type member struct {
		key   string
		value reflect.Value
	}
	members := make([]member, 0, x.Len())
	for entries := x.MapRange(); entries.Next(); {
		key, err := keyText(entries.Key())
		if err != nil {
			return err
		}
		members = append(members, member{key, entries.Value()})
	}
	slices.SortFunc(members, func(a, b member) int { return strings.Compare(a.key, b.key) })
	v.json = append(v.json, '{')
	for i, m := range members {
		if i > 0 {
			v.json = append(v.json, ',')
		}
		v.json = append(jsontext.AppendString(v.json, validText(m.key)), ':')
		if err := v.marshal(m.value, depth); err != nil {
			return fmt.Errorf("member %q: %w", m.key, err)
		}
	}
	v.json = append(v.json, '}')
	return nil
}

// keyText is the key of a map as encoding/json writes it.
func keyText(key reflect.Value) (string, error) {
	if key.Kind() == reflect.String {
		return key.String(), nil
	}
	if m, ok := key.Interface().(encoding.TextMarshaler); ok {
		if key.Kind() == reflect.Pointer && key.IsNil() {
			return "", nil
		}
		text, err := m.MarshalText()
		return string(text), err
	}
	switch {
	case key.CanInt():
		return strconv.FormatInt(key.Int(), 10), nil
	case key.CanUint():
		return strconv.FormatUint(key.Uint(), 10), nil
	}
	return "", &json.UnsupportedTypeError{Type: reflect.MapOf(key.Type(), anyType)}
}

// plain appends a value without binary data, as JSON.stringify would: without escapes for HTML. The
// most frequent types do not go through encoding/json.
func (v *values) plain(x any, depth int) error {
	switch a := x.(type) {
	case string:
		v.json = jsontext.AppendString(v.json, validText(a))
		return nil
	case bool:
		v.json = strconv.AppendBool(v.json, a)
		return nil
	case int:
		v.json = strconv.AppendInt(v.json, int64(a), 10)
		return nil
	case int64:
		v.json = strconv.AppendInt(v.json, a, 10)
		return nil
	case float64:
		if a == math.Trunc(a) && math.Abs(a) < 1<<53 && (a != 0 || !math.Signbit(a)) {
			v.json = strconv.AppendInt(v.json, int64(a), 10)
			return nil
		}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(x); err != nil {
		return err
	}
	text := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	if !utf8.Valid(text) { // a MarshalJSON may write anything between quotes
		text = bytes.ToValidUTF8(text, []byte("\ufffd"))
	}
	if _, wrong := jsontext.SkipValue(text, 0, depth); wrong != "" {
		return ErrDepth // encoding/json writes valid JSON: only its depth can be wrong
	}
	return v.takeBinary(text)
}
