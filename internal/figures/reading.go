// A reading: the value of each row, how to ask for it, and how readings are added up.

package figures

import (
	"maps"
	"strconv"
)

// Reading is the value of each row of Table at one moment. The zero value has nothing counted. It
// is not safe for use by several goroutines while one of them adds to it.
type Reading struct {
	values []Value // nil, or one for each row
}

// Keys of figures that code asks for.
const (
	KeyDraining       = "draining"
	KeyUptime         = "uptime_seconds"
	KeyConnections    = "connections.total"
	KeyOpen           = "connections.open"
	KeyOpened         = "connections.opened_total"
	KeyClosed         = "connections.closed_total"
	KeyMessagesSent   = "messages.sent_total"
	KeyBusConnected   = "bus.connected"
	KeyBusReason      = "bus.reason"
	KeyCertificates   = "tls.certificate_expiry_timestamp_seconds"
	KeyCPU            = "cpu_seconds_total"
	KeyPrivateBytes   = "memory.private_bytes"
	KeyBaseBytes      = "memory.base_bytes"
	KeyOpenFiles      = "files.open"
	KeyPID            = "pid"
	KeyVersion        = "version"
	KeyRevision       = "revision"
	KeyGoVersion      = "go_version"
	KeyWorkerState    = "workers[].state"
	KeyWorkerPID      = "workers[].pid"
	KeyWorkerRestarts = "workers[].restarts_total"
)

// Read reads every figure of a process.
func Read(s *Source) *Reading {
	r := &Reading{values: make([]Value, len(Table))}
	for i := range Table {
		if Table[i].read != nil {
			r.values[i] = Table[i].read(s)
		}
	}
	return r
}

// at is the value of the row with this key. It panics for a key that no row has.
func (r *Reading) at(key string) *Value {
	i, ok := rowOf[key]
	if !ok {
		panic("figures: no row has the key " + strconv.Quote(key))
	}
	if r.values == nil {
		r.values = make([]Value, len(Table))
	}
	return &r.values[i]
}

// Number is a single number. The key must be one of Table.
func (r *Reading) Number(key string) float64 {
	v := r.at(key)
	if derive := Table[rowOf[key]].derive; derive != nil {
		return derive(r)
	}
	return v.Number
}

// Text is a single text. The key must be one of Table.
func (r *Reading) Text(key string) string { return r.at(key).Text }

// Value is the value of a row, which the caller must not change.
func (r *Reading) Value(row int) Value {
	if r.values == nil {
		return Value{}
	}
	v := r.values[row]
	if derive := Table[row].derive; derive != nil {
		v.Number = derive(r)
	}
	return v
}

// At is the value of the row with this key, which the caller must not change.
func (r *Reading) At(key string) Value {
	r.at(key)
	return r.Value(rowOf[key])
}

// AddTotals adds what from has counted since its process started.
func (r *Reading) AddTotals(from *Reading) { r.add(from, true) }

// AddPresent adds from's values of the moment.
func (r *Reading) AddPresent(from *Reading) { r.add(from, false) }

func (r *Reading) add(from *Reading, totals bool) {
	if from.values == nil {
		return
	}
	for i := range Table {
		s := &Table[i]
		counts := s.Kind == Counter || s.Kind == Durations
		if s.Add == Own || s.derive != nil || counts != totals && s.Kind != Text {
			continue
		}
		s.addTo(r.at(s.Key), &from.values[i])
	}
}

// addTo adds one value to another.
func (s *Stat) addTo(to, from *Value) {
	switch s.Add {
	case Max:
		to.Number = max(to.Number, from.Number)
		return
	case Last:
		if from.Text != "" {
			to.Text = from.Text
		}
		if len(from.Texts) > 0 && to.Texts == nil {
			to.Texts = make(map[string]string, len(from.Texts))
		}
		maps.Copy(to.Texts, from.Texts)
		return
	}
	to.Number += from.Number
	addFamily(&to.Family, from.Family)
	for name, numbers := range from.Families {
		if to.Families == nil {
			to.Families = map[string]map[string]float64{}
		}
		sum := to.Families[name]
		addFamily(&sum, numbers)
		to.Families[name] = sum
	}
	addHistogram(&to.Histogram, from.Histogram)
}

func addFamily(to *map[string]float64, from map[string]float64) {
	if from == nil {
		return
	}
	if *to == nil {
		*to = make(map[string]float64, len(from))
	}
	for name, n := range from {
		(*to)[name] += n
	}
}

// addHistogram adds a histogram, which may be empty. One with other bounds is left out: it comes
// from a process of another build.
func addHistogram(to *HistogramSnapshot, from HistogramSnapshot) {
	if len(from.Bounds) == 0 || len(from.Counts) != len(from.Bounds)+1 {
		return
	}
	if len(to.Bounds) != 0 && len(to.Counts) != len(from.Counts) {
		return
	}
	if len(to.Bounds) == 0 {
		*to = HistogramSnapshot{}
	}
	to.Add(from)
}

// Ended is a copy of r, the last reading of a process that has ended: the connections that were
// open count as closed, for this reason.
func (r *Reading) Ended(reason string) *Reading {
	ended := new(Reading)
	ended.AddTotals(r)
	closed := ended.at(KeyClosed)
	for transport, open := range r.at(KeyOpen).Family {
		if open > 0 {
			of := closed.Families[transport]
			addFamily(&of, map[string]float64{reason: open})
			if closed.Families == nil {
				closed.Families = map[string]map[string]float64{}
			}
			closed.Families[transport] = of
		}
	}
	return ended
}

func label(number int) string { return strconv.Itoa(number) }
