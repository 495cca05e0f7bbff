// The document of GET /v1/stats, written and read.

package figures

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// field is a field of the document: an object with fields below it, a list of objects, or a figure.
type field struct {
	name   string
	list   bool
	row    int // of the table, -1 for an object or a list
	fields []*field
}

// document is the shape of the document. Immutable after init.
var document *field

// makeDocument makes the shape from the keys of the table.
func makeDocument() *field {
	root := &field{row: -1}
	for i := range Table {
		at := root
		for name := range strings.SplitSeq(Table[i].Key, ".") {
			at = at.below(name)
		}
		at.row = i
	}
	return root
}

// below is the field of that name, which is added if there is none.
func (f *field) below(name string) *field {
	name, list := strings.CutSuffix(name, "[]")
	for _, b := range f.fields {
		if b.name == name {
			return b
		}
	}
	b := &field{name: name, list: list, row: -1}
	f.fields = append(f.fields, b)
	return b
}

// MarshalJSON makes the document. It has {} and [] where nothing was counted, never null.
func (r *Reading) MarshalJSON() ([]byte, error) { return document.appendObject(nil, r, ""), nil }

// appendObject appends an object. at is the label of the list's row that it is, if it is one.
func (f *field) appendObject(dst []byte, r *Reading, at string) []byte {
	dst = append(dst, '{')
	if f.list {
		dst = append(appendName(dst, lists[f.name].label), at...)
	}
	for _, b := range f.fields {
		switch {
		case b.list:
			labels := b.labels(r)
			if len(labels) == 0 && lists[b.name].omitEmpty {
				continue
			}
			dst = append(appendName(dst, b.name), '[')
			for i, label := range labels {
				if i > 0 {
					dst = append(dst, ',')
				}
				dst = b.appendObject(dst, r, label)
			}
			dst = append(dst, ']')
		case b.row < 0:
			dst = b.appendObject(appendName(dst, b.name), r, "")
		default:
			v := r.Value(b.row)
			if Table[b.row].OmitEmpty && v.Text == "" && v.Texts[at] == "" {
				continue
			}
			dst = Table[b.row].appendValue(appendName(dst, b.name), &v, f.list, at)
		}
	}
	return append(dst, '}')
}

// labels are the labels of a list's rows: all that one of its figures has, which are numbers, in
// order.
func (f *field) labels(r *Reading) []string {
	all := map[string]bool{}
	for _, b := range f.fields {
		v := r.Value(b.row)
		for label := range v.Family {
			all[label] = true
		}
		for label := range v.Texts {
			all[label] = true
		}
	}
	return slices.SortedFunc(maps.Keys(all), func(x, y string) int {
		return cmp.Or(cmp.Compare(len(x), len(y)), cmp.Compare(x, y)) // decimal, without leading zeros
	})
}

// appendValue appends a figure; of a list's row only what it has for that label.
func (s *Stat) appendValue(dst []byte, v *Value, inList bool, label string) []byte {
	number, words := v.Number, v.Text
	if inList {
		number, words = v.Family[label], v.Texts[label]
	}
	switch {
	case s.Kind == Text:
		return appendJSON(dst, words)
	case s.Kind == Flag:
		return strconv.AppendBool(dst, number != 0)
	case s.Kind == Durations:
		h := v.Histogram
		if h.Counts == nil {
			h.Bounds, h.Counts = []float64{}, []uint64{0}
		}
		return appendJSON(dst, h)
	case len(s.Labels) == 1:
		return appendJSON(dst, orEmpty(v.Family))
	case len(s.Labels) == 2:
		return appendJSON(dst, orEmpty(v.Families))
	}
	return appendJSON(dst, number)
}

func orEmpty[V any](m map[string]V) map[string]V {
	if m == nil {
		m = map[string]V{}
	}
	return m
}

// appendName appends the name of a field, and a comma before it unless it is the first.
func appendName(dst []byte, name string) []byte {
	if dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	return append(append(append(dst, '"'), name...), '"', ':')
}

// appendJSON appends a string, a number, a map of them, or a histogram. Not-a-number and infinity,
// which JSON does not have, would be a mistake of ours: they become 0.
func appendJSON(dst []byte, v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		return append(dst, '0')
	}
	return append(dst, b...)
}

// UnmarshalJSON reads a document. Fields that the table does not have are ignored, and those that
// are missing have nothing counted. The error names the field whose value is of the wrong type.
func (r *Reading) UnmarshalJSON(text []byte) error {
	var root map[string]json.RawMessage
	if err := json.Unmarshal(text, &root); err != nil {
		return err
	}
	read := Reading{values: make([]Value, len(Table))}
	if err := document.read(&read, root, ""); err != nil {
		return err
	}
	*r = read
	return nil
}

// read reads the fields of an object.
func (f *field) read(r *Reading, object map[string]json.RawMessage, at string) error {
	for _, b := range f.fields {
		text, ok := object[b.name]
		if !ok {
			continue
		}
		if err := b.readField(r, text, f.list, at); err != nil {
			return fmt.Errorf("field %q: %w", b.name, err)
		}
	}
	return nil
}

func (f *field) readField(r *Reading, text []byte, inList bool, at string) error {
	switch {
	case f.list:
		return f.readList(r, text)
	case f.row < 0:
		var object map[string]json.RawMessage
		if err := json.Unmarshal(text, &object); err != nil {
			return err
		}
		return f.read(r, object, "")
	}
	return Table[f.row].readValue(&r.values[f.row], text, inList, at)
}

func (f *field) readList(r *Reading, text []byte) error {
	var list []map[string]json.RawMessage
	if err := json.Unmarshal(text, &list); err != nil {
		return err
	}
	for _, object := range list {
		var number uint32
		if err := json.Unmarshal(object[lists[f.name].label], &number); err != nil {
			return fmt.Errorf("field %q: %w", lists[f.name].label, err)
		}
		if err := f.read(r, object, label(int(number))); err != nil {
			return err
		}
	}
	return nil
}

// errHistogram is returned for a histogram whose parts do not fit each other.
var errHistogram = errors.New("a histogram has one count more than bounds")

func (s *Stat) readValue(v *Value, text []byte, inList bool, at string) error {
	var number float64
	switch {
	case s.Kind == Text:
		var words string
		if err := json.Unmarshal(text, &words); err != nil {
			return err
		}
		if inList {
			set(&v.Texts, at, words)
		} else {
			v.Text = words
		}
		return nil
	case s.Kind == Flag:
		var is bool
		if err := json.Unmarshal(text, &is); err != nil {
			return err
		}
		number = truth(is)
	case s.Kind == Durations:
		if err := json.Unmarshal(text, &v.Histogram); err != nil {
			return err
		}
		if len(v.Histogram.Counts) != len(v.Histogram.Bounds)+1 || !slices.IsSorted(v.Histogram.Bounds) {
			return errHistogram
		}
		return errors.Join(v.Histogram.Native.check(), v.Histogram.checkExemplars())
	case len(s.Labels) == 1:
		return json.Unmarshal(text, &v.Family)
	case len(s.Labels) == 2:
		return json.Unmarshal(text, &v.Families)
	default:
		if err := json.Unmarshal(text, &number); err != nil {
			return err
		}
	}
	if math.IsInf(number, 0) {
		return strconv.ErrRange
	}
	if inList {
		set(&v.Family, at, number)
	} else {
		v.Number = number
	}
	return nil
}

func set[V any](m *map[string]V, key string, value V) {
	if *m == nil {
		*m = map[string]V{}
	}
	(*m)[key] = value
}
