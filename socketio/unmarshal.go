// Decoding of arguments with attachments: what encoding/json does, except that an attachment
// becomes a []byte, at any depth, also in a value of type any.

package socketio

import (
	"encoding/base64"
	"encoding/json"
	"reflect"
	"slices"
	"sort"

	"c100k/internal/jsontext"
)

// binaryText is a valid JSON text with placeholders, and the attachments that they stand for.
type binaryText struct {
	p           []byte
	places      []place // in order
	attachments [][]byte
}

// binaryText returns argument i as a binaryText. It must exist.
func (a Args) binaryText(i int) binaryText {
	t := binaryText{p: a.raw[i], attachments: a.attachments}
	if len(a.attachments) > 0 {
		t.places, _ = findPlaceholders(t.p, len(a.attachments)) // checked when the packet was complete
	}
	return t
}

// part is one value of a binaryText: p[from:to].
type part struct{ from, to int }

func (t *binaryText) whole() part { return part{0, len(t.p)} }

// within returns the placeholders in a part.
func (t *binaryText) within(at part) []place {
	first := sort.Search(len(t.places), func(i int) bool { return t.places[i].from >= at.from })
	end := sort.Search(len(t.places), func(i int) bool { return t.places[i].from >= at.to })
	return t.places[first:end]
}

// attachment returns the attachment that the part is a placeholder of.
func (t *binaryText) attachment(at part) (data []byte, ok bool) {
	found := t.within(at)
	if len(found) != 1 || found[0].from != at.from || found[0].to != at.to {
		return nil, false
	}
	return t.attachments[found[0].num], true
}

// inlined returns the part with attachments as base64 strings: the form for types that decode
// themselves.
func (t *binaryText) inlined(at part) []byte { return t.replaced(at, `"`, `"`) }

// replaced returns the part with attachments as base64 text between two other texts.
func (t *binaryText) replaced(at part, before, after string) []byte {
	found := t.within(at)
	if len(found) == 0 {
		return t.p[at.from:at.to]
	}
	var dst []byte
	done := at.from
	for _, place := range found {
		dst = append(append(dst, t.p[done:place.from]...), before...)
		dst = append(base64.StdEncoding.AppendEncode(dst, t.attachments[place.num]), after...)
		done = place.to
	}
	return append(dst, t.p[done:at.to]...)
}

// decode decodes a part into v, which can be set. Only values on the way to a placeholder are
// decoded here; everything else is left to encoding/json.
func (t *binaryText) decode(at part, v reflect.Value) error {
	if len(t.within(at)) == 0 {
		return json.Unmarshal(t.p[at.from:at.to], v.Addr().Interface())
	}
	g := typeOf(v.Type())
	if g.unmarshals {
		return json.Unmarshal(t.inlined(at), v.Addr().Interface())
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		return t.decode(at, v.Elem())
	case reflect.Interface:
		return t.decodeInterface(at, v)
	}
	if data, ok := t.attachment(at); ok {
		if !g.binary {
			return &json.UnmarshalTypeError{Value: "binary", Type: v.Type()}
		}
		v.SetBytes(data)
		return nil
	}
	switch object := t.p[at.from] == '{'; {
	case object && v.Kind() == reflect.Struct:
		return t.decodeStruct(at, g, v)
	case object && v.Kind() == reflect.Map:
		return t.decodeMap(at, v)
	case !object && v.Kind() == reflect.Slice:
		elements := t.elements(at)
		v.Set(reflect.MakeSlice(v.Type(), len(elements), len(elements)))
		return t.decodeElements(elements, v)
	case !object && v.Kind() == reflect.Array:
		v.SetZero()
		elements := t.elements(at)
		return t.decodeElements(elements[:min(len(elements), v.Len())], v)
	case object:
		return &json.UnmarshalTypeError{Value: "object", Type: v.Type()}
	}
	return &json.UnmarshalTypeError{Value: "array", Type: v.Type()}
}

// decodeInterface decodes into what the interface holds if that is a pointer, as encoding/json
// does, and otherwise makes a tree of maps and lists.
func (t *binaryText) decodeInterface(at part, v reflect.Value) error {
	if !v.IsNil() && v.Elem().Kind() == reflect.Pointer && !v.Elem().IsNil() {
		return t.decode(at, v.Elem().Elem())
	}
	if v.NumMethod() > 0 {
		return &json.UnmarshalTypeError{Value: "object", Type: v.Type()}
	}
	tree, err := t.tree(at)
	if err == nil {
		v.Set(reflect.ValueOf(tree))
	}
	return err
}

// tree returns a part as encoding/json decodes it into an any, with a []byte for each placeholder.
func (t *binaryText) tree(at part) (tree any, err error) {
	err = json.Unmarshal(t.p[at.from:at.to], &tree)
	if err == nil && len(t.within(at)) > 0 {
		tree = t.fill(tree)
	}
	return tree, err
}

// fill replaces the placeholders in a tree.
func (t *binaryText) fill(tree any) any {
	switch node := tree.(type) {
	case []any:
		for i := range node {
			node[i] = t.fill(node[i])
		}
	case map[string]any:
		if node["_placeholder"] == true {
			num, _ := node["num"].(float64) // checked when the packet was complete
			return t.attachments[int(num)]
		}
		for name := range node {
			node[name] = t.fill(node[name])
		}
	}
	return tree
}

// elements returns the elements of an array.
func (t *binaryText) elements(at part) (list []part) {
	i := jsontext.SkipSpace(t.p, at.from+1)
	for last := t.p[i] == ']'; !last; {
		from := jsontext.SkipSpace(t.p, i)
		end, _ := jsontext.SkipValue(t.p, from, 0) // valid since the packet was read
		list = append(list, part{from, end})
		i, last, _ = jsontext.SkipComma(t.p, end, ']')
	}
	return list
}

func (t *binaryText) decodeElements(elements []part, v reflect.Value) error {
	for i, at := range elements {
		if err := t.decode(at, v.Index(i)); err != nil {
			return err
		}
	}
	return nil
}

// member is a member of an object: its name with quotes, and its value.
type member struct {
	name  []byte
	value part
}

// members splits an object into the members with placeholders, and an object of all others.
func (t *binaryText) members(at part) (binary []member, others []byte) {
	others = append(others, '{')
	i := at.from + 1
	for last := t.p[jsontext.SkipSpace(t.p, i)] == '}'; !last; {
		from, to, value, _ := jsontext.SkipName(t.p, i)
		end, _ := jsontext.SkipValue(t.p, value, 0)
		if len(t.within(part{value, end})) > 0 {
			binary = append(binary, member{t.p[from-1 : to+1], part{value, end}})
		} else {
			if len(others) > 1 {
				others = append(others, ',')
			}
			others = append(others, t.p[from-1:end]...)
		}
		i, last, _ = jsontext.SkipComma(t.p, end, '}')
	}
	return binary, append(others, '}')
}

// decodeStruct decodes the members without placeholders by encoding/json, and the others here.
func (t *binaryText) decodeStruct(at part, g *goType, v reflect.Value) error {
	binary, others := t.members(at)
	if err := json.Unmarshal(others, v.Addr().Interface()); err != nil {
		return err
	}
	for _, m := range binary {
		var name string
		if err := json.Unmarshal(m.name, &name); err != nil {
			return err
		}
		f := g.field(name)
		if f == nil {
			continue // encoding/json ignores it too
		}
		inside, err := f.settable(v)
		if err == nil {
			err = t.decode(m.value, inside)
		}
		if err != nil {
			return inField(err, g.t.Name(), f.name)
		}
	}
	return nil
}

// inField adds a field to an error that says which types do not fit.
func inField(err error, structName, name string) error {
	if e, ok := err.(*json.UnmarshalTypeError); ok {
		copied := *e
		copied.Struct, copied.Field = structName, name
		if e.Field != "" {
			copied.Field += "." + e.Field
		}
		return &copied
	}
	return err
}

// decodeMap decodes the members without placeholders by encoding/json, and the others here. Their
// keys are decoded by encoding/json too.
func (t *binaryText) decodeMap(at part, v reflect.Value) error {
	binary, others := t.members(at)
	if err := json.Unmarshal(others, v.Addr().Interface()); err != nil {
		return err
	}
	for _, m := range binary {
		keys := reflect.New(reflect.MapOf(v.Type().Key(), rawType))
		object := slices.Concat([]byte{'{'}, m.name, []byte(":0}"))
		if err := json.Unmarshal(object, keys.Interface()); err != nil {
			return err
		}
		value := reflect.New(v.Type().Elem()).Elem()
		if err := t.decode(m.value, value); err != nil {
			return err
		}
		for _, key := range keys.Elem().MapKeys() {
			v.SetMapIndex(key, value)
		}
	}
	return nil
}
