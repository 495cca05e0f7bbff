// The table: complete, and the same in the document, among the metrics and in sums.

package figures

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestEveryCounterIsShown sets the numbers of Source one by one. Each must change what some row
// reads, or it is counted and never shown.
func TestEveryCounterIsShown(t *testing.T) {
	numbers := 0
	walk(reflect.TypeFor[Source](), nil, func(path []step) {
		numbers++
		empty, set := new(Source), new(Source)
		reach(reflect.ValueOf(empty).Elem(), path)
		fill(reach(reflect.ValueOf(set).Elem(), path))
		if reflect.DeepEqual(Read(empty).values, Read(set).values) {
			t.Errorf("%v is counted and in no row of the table", path)
		}
	})
	if numbers < 60 {
		t.Errorf("%d fields were looked at: the walk misses some", numbers)
	}
}

// step is a field of a struct, or an element of a list or map.
type step struct {
	name  string
	index int
}

func (s step) String() string { return s.name }

// walk calls found with the way to each number, text and truth value below a type.
func walk(of reflect.Type, path []step, found func([]step)) {
	switch of.Kind() {
	case reflect.Struct:
		if of == reflect.TypeFor[time.Time]() || of == reflect.TypeFor[HistogramSnapshot]() {
			found(path)
			return
		}
		for i := range of.NumField() {
			if of.Name() != "Loop" && of.Name() != "Worker" || of.Field(i).Name != "Number" { // a label
				walk(of.Field(i).Type, append(slices.Clone(path), step{of.Field(i).Name, i}), found)
			}
		}
	case reflect.Slice, reflect.Map:
		walk(of.Elem(), append(slices.Clone(path), step{"[]", 0}), found)
	case reflect.Array:
		for i := range of.Len() {
			walk(of.Elem(), append(slices.Clone(path), step{fmt.Sprint(i), i}), found)
		}
	default:
		found(path)
	}
}

// reach goes to a value, and makes the lists and maps on the way, with one element each.
func reach(v reflect.Value, path []step) reflect.Value {
	if len(path) == 0 {
		return v
	}
	switch v.Kind() {
	case reflect.Struct:
		return reach(v.Field(path[0].index), path[1:])
	case reflect.Array:
		return reach(v.Index(path[0].index), path[1:])
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		return reach(v.Index(0), path[1:])
	}
	// An element of a map cannot be set in place: the map gets a copy when it is filled.
	element := reflect.New(v.Type().Elem()).Elem()
	v.Set(reflect.MakeMap(v.Type()))
	v.SetMapIndex(reflect.ValueOf("label"), element)
	inner := reach(element, path[1:])
	pending[inner] = append(pending[inner], func() { v.SetMapIndex(reflect.ValueOf("label"), element) })
	return inner
}

// pending are the maps that a value has to be put into once it is set.
var pending = map[reflect.Value][]func(){}

func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString("other")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(7_000_000_000)
	case reflect.Uint64:
		v.SetUint(7)
	case reflect.Struct:
		switch s := v.Addr().Interface().(type) {
		case *time.Time:
			*s = time.Unix(7, 0)
		case *HistogramSnapshot:
			*s = HistogramSnapshot{Bounds: []float64{1}, Counts: []uint64{7, 0}}
		}
	default:
		panic("a kind of field that the test does not know: " + v.Kind().String())
	}
	for _, put := range pending[v] {
		put()
	}
}

// TestTableRows: names are unique, and what a metric needs is there.
func TestTableRows(t *testing.T) {
	keys, metrics := map[string]bool{}, map[string]bool{}
	for _, s := range Table {
		if keys[s.Key] || s.Metric != "" && metrics[s.Metric] {
			t.Errorf("%s, %s: twice", s.Key, s.Metric)
		}
		keys[s.Key], metrics[s.Metric] = true, true
		if (s.read == nil) == (s.derive == nil) {
			t.Errorf("%s: a row is either read or derived", s.Key)
		}
		if s.Metric == "" {
			continue
		}
		if s.Help == "" || !strings.HasSuffix(s.Help, ".") || !strings.HasPrefix(s.Metric, "c100k_") {
			t.Errorf("%s: %s: a metric begins with c100k_ and has a sentence of help", s.Key, s.Metric)
		}
		name := strings.TrimSuffix(s.Metric, "_total")
		if counts := s.Kind == Counter; counts != (name != s.Metric) && s.Metric != "c100k_slow_consumer_total" {
			t.Errorf("%s: a counter, and nothing else, ends with _total", s.Metric)
		}
		if s.Unit != None && !strings.HasSuffix(name, "_"+string(s.Unit)) {
			t.Errorf("%s: does not end with its unit, %s", s.Metric, s.Unit)
		}
		if list, _, ok := strings.Cut(s.Key, "[]"); ok && strings.TrimSuffix(list, "s") != lists[list].label {
			t.Errorf("%s: the metric's label is not that of the list", s.Key)
		}
	}
}

// some is a process with n of everything.
func some(n int) *Source {
	s := new(Source)
	walk(reflect.TypeFor[Source](), nil, func(path []step) {
		if path[0].name == "Workers" {
			return
		}
		v := reflect.ValueOf(s).Elem()
		for _, at := range path {
			switch v.Kind() {
			case reflect.Struct, reflect.Array:
				if v.Kind() == reflect.Struct {
					v = v.Field(at.index)
				} else {
					v = v.Index(at.index)
				}
			case reflect.Slice:
				if v.Len() == 0 {
					v.Set(reflect.MakeSlice(v.Type(), 1, 1))
				}
				v = v.Index(0)
			case reflect.Map:
				return // below, by hand
			}
		}
		switch v.Kind() {
		case reflect.Int, reflect.Int32, reflect.Int64:
			v.SetInt(int64(n))
		case reflect.Uint64:
			v.SetUint(uint64(n))
		}
	})
	s.Transports = map[string]Transport{"sse": {Opened: uint64(3 * n), Closed: map[string]uint64{"peer": uint64(n)}}}
	s.UpstreamAnswers = map[string]uint64{"2xx": uint64(n)}
	s.UpstreamTimes = HistogramSnapshot{Bounds: []float64{1}, Counts: []uint64{uint64(n), 0}, Sum: float64(n)}
	s.Rejected, s.Refused = map[string]uint64{"origin": uint64(n)}, map[string]uint64{"capacity": uint64(n)}
	s.TLSHandshakes = map[string]map[string]uint64{"true": {"1.3": uint64(n)}}
	s.TLSFailures = map[string]uint64{"timeout": uint64(n)}
	s.Loops[0].FanoutTimes = HistogramSnapshot{Bounds: []float64{1}, Counts: []uint64{uint64(n), 0}, Sum: float64(n)}
	s.Loops[0].IO = "uring"
	return s
}

// TestSums: each figure of two processes together is the sum of its parts, where it can be one.
func TestSums(t *testing.T) {
	sum := new(Reading)
	for _, n := range []int{3, 5} {
		sum.AddTotals(Read(some(n)))
		sum.AddPresent(Read(some(n)))
	}
	want := Read(some(8))
	for i := range Table {
		s := &Table[i]
		got, want := sum.Value(i), want.Value(i)
		switch {
		case s.Add == Own:
			want = Value{}
		case s.Add == Max:
			want = Read(some(5)).Value(i)
		case s.derive != nil:
			want.Number = 0 // nothing on top of the base
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", s.Key, diff)
		}
	}
	// What counts up stays with a process that has ended; what is as it is now goes with it.
	ended := Read(some(4)).Ended("worker_ended")
	if n := ended.Number(KeyConnections); n != 0 {
		t.Errorf("%v connections of a process that has ended", n)
	}
	closed := ended.At(KeyClosed).Families["sse"]
	if closed["peer"] != 4 || closed["worker_ended"] != 8 || ended.At(KeyOpened).Family["sse"] != 12 {
		t.Errorf("closed %v, opened %v", closed, ended.At(KeyOpened).Family)
	}
}

// TestSumsOfAnotherBuild: a histogram with other buckets is left out rather than put into the wrong
// ones.
func TestSumsOfAnotherBuild(t *testing.T) {
	sum := Read(some(1)).At("publish_fanout_seconds").Histogram
	for _, h := range []HistogramSnapshot{
		{Bounds: []float64{1, 2}, Counts: []uint64{5, 5, 5}}, {Bounds: []float64{1}, Counts: []uint64{5}}, {Counts: []uint64{0}},
	} {
		addHistogram(&sum, h)
	}
	if sum.Count() != 1 {
		t.Errorf("%d observations, want 1", sum.Count())
	}
}

// TestDocumentRoundTrip: a document that is read again is the same, workers included.
func TestDocumentRoundTrip(t *testing.T) {
	s := some(3)
	s.Workers = []Worker{{Number: 0, PID: 7, State: WorkerServing}, {Number: 10, State: WorkerSilent, Note: "does not answer"}, {Number: 2}}
	for _, r := range []*Reading{Read(s), new(Reading)} {
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		again := new(Reading)
		if err := json.Unmarshal(text, again); err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		// A derived figure is computed again, not read.
		if got, _ := json.Marshal(again); string(got) != string(text) {
			t.Errorf("got  %s\nwant %s", got, text)
		}
	}
	text, _ := json.Marshal(Read(s))
	if i, j := strings.Index(string(text), `{"worker":2,`), strings.Index(string(text), `{"worker":10,`); i < 0 || j < i {
		t.Errorf("workers are not in the order of their numbers: %s", text)
	}
}

func TestDocumentOfWrongTypes(t *testing.T) {
	for _, text := range []string{
		`[]`, `{"topics":"4"}`, `{"draining":1}`, `{"connections":[]}`, `{"connections":{"open":{"sse":"1"}}}`, `{"loops":{}}`,
		`{"loops":[{"turns_total":1}]}`, `{"loops":[{"loop":-1}]}`, `{"loops":[{"loop":"x"}]}`, `{"io":7}`,
		`{"loop_turn_seconds":{"bounds":[1],"counts":[1]}}`, `{"loop_turn_seconds":{"bounds":[2,1],"counts":[1,1,1]}}`, `{"topics":1e999}`,
	} {
		if err := json.Unmarshal([]byte(text), new(Reading)); err == nil {
			t.Errorf("%s was taken", text)
		}
	}
}

// FuzzDocument: any document is an error or a reading that can be shown, read again and added.
func FuzzDocument(f *testing.F) {
	text, _ := json.Marshal(Read(some(2)))
	f.Add(text)
	f.Add([]byte(`{"loops":[{"loop":3,"turns_total":1}],"workers":[{"worker":1,"state":"serving"}],"unknown":[1]}`))
	f.Add([]byte(`{"loop_turn_seconds":{"bounds":null,"counts":[1],"sum":0},"connections":{"open":null,"closed_total":{"a":null}}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		r := new(Reading)
		if json.Unmarshal(text, r) != nil {
			return
		}
		shown, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		again := new(Reading)
		if err := json.Unmarshal(shown, again); err != nil {
			t.Fatalf("%v in our own %s", err, shown)
		}
		if twice, _ := json.Marshal(again); string(twice) != string(shown) {
			t.Errorf("%s became %s", shown, twice)
		}
		sum := r.Ended("ended")
		sum.AddTotals(again)
		sum.AddPresent(again)
		if _, err := json.Marshal(sum); err != nil {
			t.Error(err)
		}
	})
}
