// Go types of arguments: how encoding/json treats them, and whether they can hold binary data.

package socketio

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"unicode"

	"c100k/internal/jsontext"
)

var (
	binaryType = reflect.TypeFor[Binary]()
	rawType    = reflect.TypeFor[json.RawMessage]()
	anyType    = reflect.TypeFor[any]()
	stringType = reflect.TypeFor[string]()

	jsonMarshalerType   = reflect.TypeFor[json.Marshaler]()
	jsonUnmarshalerType = reflect.TypeFor[json.Unmarshaler]()
	textMarshalerType   = reflect.TypeFor[encoding.TextMarshaler]()
	textUnmarshalerType = reflect.TypeFor[encoding.TextUnmarshaler]()
	zeroerType          = reflect.TypeFor[interface{ IsZero() bool }]()
)

// goType is what the package knows of a type. Immutable, except for the fields of a struct, which
// are found when they are first needed.
type goType struct {
	t reflect.Type

	binary       bool // it is a []byte, or a named type of one
	holdsBinary  bool // a value of the type may have binary data in it that encoding/json would turn into text
	marshals     bool // encoding/json calls a method of the type to encode it
	addrMarshals bool // encoding/json calls a method of the pointer to it, if it has one
	unmarshals   bool // encoding/json calls a method of the pointer to decode it

	once   sync.Once
	fields []field // of a struct; see structFields
}

// goTypes caches goType by type. A program has a bounded number of types.
var goTypes sync.Map // reflect.Type to *goType

func typeOf(t reflect.Type) *goType {
	if known, ok := goTypes.Load(t); ok {
		return known.(*goType)
	}
	g := &goType{t: t, binary: isBytes(t), marshals: marshals(t), unmarshals: unmarshals(t)}
	g.addrMarshals = !g.marshals && t.Kind() != reflect.Pointer && marshals(reflect.PointerTo(t))
	g.holdsBinary = holdsBinary(t, map[reflect.Type]bool{})
	known, _ := goTypes.LoadOrStore(t, g)
	return known.(*goType)
}

func marshals(t reflect.Type) bool {
	return t != binaryType && (t.Implements(jsonMarshalerType) || t.Implements(textMarshalerType))
}

func unmarshals(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return t != binaryType && (p.Implements(jsonUnmarshalerType) || p.Implements(textUnmarshalerType))
}

// isBytes reports whether encoding/json writes a t as base64 text.
func isBytes(t reflect.Type) bool {
	if t == binaryType {
		return true
	}
	if t.Kind() != reflect.Slice || t.Elem().Kind() != reflect.Uint8 || marshals(t) {
		return false
	}
	return !marshals(reflect.PointerTo(t.Elem()))
}

// holdsBinary reports whether a value of the type may have a []byte or an interface in it. seen are
// the types that are being looked at, for types that refer to themselves.
func holdsBinary(t reflect.Type, seen map[reflect.Type]bool) bool {
	if seen[t] || marshals(t) {
		return false
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Interface:
		return true
	case reflect.Slice:
		return isBytes(t) || holdsBinary(t.Elem(), seen)
	case reflect.Pointer, reflect.Array, reflect.Map:
		return holdsBinary(t.Elem(), seen)
	case reflect.Struct:
		for i := range t.NumField() {
			if f := t.Field(i); (f.IsExported() || f.Anonymous) && f.Tag.Get("json") != "-" && holdsBinary(f.Type, seen) {
				return true
			}
		}
	}
	return false
}

// field is one field of a struct as encoding/json sees it, which may lie in embedded structs.
type field struct {
	name   string
	prefix string // the name as it stands in JSON, with its colon
	tagged bool
	index  []int // a path through embedded structs
	t      reflect.Type

	omitEmpty bool
	isZero    func(v reflect.Value) bool // of omitzero, or nil
	quoted    bool                       // a number, bool or string that is written as a string
}

// structFields returns the fields in the order of encoding/json.
func (g *goType) structFields() []field {
	g.once.Do(func() { g.fields = structFields(g.t) })
	return g.fields
}

// field returns the field that encoding/json decodes a member of that name into, or nil.
func (g *goType) field(name string) *field {
	fields := g.structFields()
	i := slices.IndexFunc(fields, func(f field) bool { return f.name == name })
	if i < 0 {
		i = slices.IndexFunc(fields, func(f field) bool { return strings.EqualFold(f.name, name) })
	}
	if i < 0 {
		return nil
	}
	return &fields[i]
}

// structFields finds the fields by the rules of encoding/json: of several fields with one name, the
// one that is embedded least deeply counts; of several of those, the one with a tag; if there is
// still more than one, none.
func structFields(t reflect.Type) []field {
	type embedded struct {
		t     reflect.Type
		index []int
	}
	var all []field
	seen := map[reflect.Type]bool{}
	for level := []embedded{{t: t}}; len(level) > 0; {
		var next []embedded
		count := map[reflect.Type]int{} // of this level: a type that is embedded twice hides its fields
		for _, e := range level {
			count[e.t]++
		}
		for _, e := range level {
			if seen[e.t] {
				continue
			}
			seen[e.t] = true
			for i := range e.t.NumField() {
				sf := e.t.Field(i)
				f, inner, ok := readField(sf)
				if !ok {
					continue
				}
				f.index = append(slices.Clip(e.index), i)
				if inner != nil {
					next = append(next, embedded{inner, f.index})
					continue
				}
				all = append(all, f)
				if count[e.t] > 1 {
					all = append(all, f)
				}
			}
		}
		level = next
	}
	return dominantFields(all)
}

// readField reads one field. inner is the struct if its fields are those of the outer one. ok is
// false for a field that encoding/json ignores.
func readField(sf reflect.StructField) (f field, inner reflect.Type, ok bool) {
	t := sf.Type
	if sf.Anonymous {
		if t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		if !sf.IsExported() && t.Kind() != reflect.Struct {
			return f, nil, false
		}
	} else if !sf.IsExported() {
		return f, nil, false
	}
	tag := sf.Tag.Get("json")
	if tag == "-" {
		return f, nil, false
	}
	name, options, _ := strings.Cut(tag, ",")
	if !validName(name) {
		name = ""
	}
	if name == "" && sf.Anonymous && t.Kind() == reflect.Struct {
		return f, t, true
	}
	f = field{name: name, tagged: name != "", t: sf.Type}
	if name == "" {
		f.name = sf.Name
	}
	f.prefix = string(append(jsontext.AppendString([]byte(nil), f.name), ':'))
	for option := range strings.SplitSeq(options, ",") {
		switch option {
		case "omitempty":
			f.omitEmpty = true
		case "omitzero":
			f.isZero = zeroFunc(sf.Type)
		case "string":
			f.quoted = quotable(sf.Type)
		}
	}
	return f, nil, true
}

// validName reports whether a tag has a name that encoding/json accepts.
func validName(name string) bool {
	for _, c := range name {
		if !strings.ContainsRune("!#$%&()*+-./:;<=>?@[]^_{|}~ ", c) && !unicode.IsLetter(c) && !unicode.IsDigit(c) {
			return false
		}
	}
	return name != ""
}

func quotable(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer && t.Name() == "" {
		t = t.Elem()
	}
	k := t.Kind()
	return k == reflect.Bool || k == reflect.String || reflect.Int <= k && k <= reflect.Float64
}

// zeroFunc returns what decides whether a field with omitzero is left out.
func zeroFunc(t reflect.Type) func(v reflect.Value) bool {
	call := func(v reflect.Value) bool { return v.Interface().(interface{ IsZero() bool }).IsZero() }
	switch {
	case t.Kind() == reflect.Interface && t.Implements(zeroerType):
		return func(v reflect.Value) bool {
			return v.IsNil() || v.Elem().Kind() == reflect.Pointer && v.Elem().IsNil() || call(v)
		}
	case t.Kind() == reflect.Pointer && t.Implements(zeroerType):
		return func(v reflect.Value) bool { return v.IsNil() || call(v) }
	case t.Implements(zeroerType):
		return call
	case reflect.PointerTo(t).Implements(zeroerType):
		return func(v reflect.Value) bool {
			if !v.CanAddr() {
				copied := reflect.New(t).Elem()
				copied.Set(v)
				v = copied
			}
			return call(v.Addr())
		}
	}
	return reflect.Value.IsZero
}

// dominantFields chooses one field of each name, and sorts the fields as they are declared.
func dominantFields(all []field) []field {
	byName := map[string][]field{}
	for _, f := range all {
		byName[f.name] = append(byName[f.name], f)
	}
	var fields []field
	for _, same := range byName {
		slices.SortStableFunc(same, func(a, b field) int {
			if d := len(a.index) - len(b.index); d != 0 || a.tagged == b.tagged {
				return d
			}
			if a.tagged {
				return -1
			}
			return 1
		})
		if len(same) > 1 && len(same[0].index) == len(same[1].index) && same[0].tagged == same[1].tagged {
			continue
		}
		fields = append(fields, same[0])
	}
	slices.SortFunc(fields, func(a, b field) int { return slices.Compare(a.index, b.index) })
	return fields
}

// of returns the field of a struct for encoding; ok is false if it lies in an embedded pointer that
// is nil.
func (f *field) of(v reflect.Value) (_ reflect.Value, ok bool) {
	for _, i := range f.index {
		if v.Kind() == reflect.Pointer {
			if v.IsNil() {
				return v, false
			}
			v = v.Elem()
		}
		v = v.Field(i)
	}
	return v, true
}

// settable returns the field of a struct for decoding, and makes the embedded pointers before it
// that are nil. Like encoding/json it cannot make one of an unexported type.
func (f *field) settable(v reflect.Value) (reflect.Value, error) {
	for _, i := range f.index {
		if v.Kind() == reflect.Pointer {
			if v.IsNil() {
				if !v.CanSet() {
					return v, fmt.Errorf("json: cannot set embedded pointer to unexported struct: %v", v.Type().Elem())
				}
				v.Set(reflect.New(v.Type().Elem()))
			}
			v = v.Elem()
		}
		v = v.Field(i)
	}
	return v, nil
}

// omits reports whether encoding leaves the field out.
func (f *field) omits(v reflect.Value) bool {
	return f.omitEmpty && isEmpty(v) || f.isZero != nil && f.isZero(v)
}

// isEmpty is the rule of omitempty.
func isEmpty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Array, reflect.Map, reflect.Slice, reflect.String:
		return v.Len() == 0
	case reflect.Struct:
		return false
	}
	return v.IsZero()
}
