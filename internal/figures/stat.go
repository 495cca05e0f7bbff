// What a row of the table is made of.

package figures

// Kind says how a figure behaves over time, and so how it is shown.
type Kind uint8

const (
	// Counter only grows while the process runs. A node of several processes also counts what
	// processes that have ended had counted.
	Counter Kind = iota
	// Gauge is a value of the moment. Only processes that answer have one.
	Gauge
	// Flag is a gauge that is 0 or 1, and false or true in the document.
	Flag
	// Durations is a histogram of durations.
	Durations
	// Text is in the document only.
	Text
)

// Unit is what a number counts. The metric's name ends with it where Prometheus wants that.
type Unit string

// The units. None is for plain counts, whose noun is in the name.
const (
	None    Unit = ""
	Seconds Unit = "seconds"
	Bytes   Unit = "bytes"
)

// Add says how the figures of several processes become one.
type Add uint8

const (
	// Sum adds numbers and histograms.
	Sum Add = iota
	// Max takes the largest. It is a lower bound where each process may count the same thing.
	Max
	// Last takes the one that was added last, unless it is empty.
	Last
	// Own keeps the value of the process that answers.
	Own
)

// Stat is one row of the table.
type Stat struct {
	// Key is the place in the document: names of fields, separated by dots. "loops[].turns_total" has
	// one value a loop: the document has a list "loops" of objects.
	Key string
	// Metric is the name among the metrics; empty if the figure is in the document only.
	Metric string
	Help   string
	Unit   Unit
	Kind   Kind
	// Labels are the labels of a family, at most two, each of few values. Key's object then has a
	// field for each value of the first label, and below it one for each value of the second. A list
	// has one label by itself: "loops[]" has "loop".
	Labels []string
	Add    Add
	// OmitEmpty leaves an empty text out of the document.
	OmitEmpty bool

	// read reads the figure from what a process counts; Read of each kind is below.
	read func(s *Source) Value
	// derive computes the figure from others, whenever it is asked for, instead of read.
	derive func(r *Reading) float64
}

// Value is one figure of a Reading. Which field is used depends on the row.
type Value struct {
	Number    float64
	Text      string
	Family    map[string]float64            // by the label
	Families  map[string]map[string]float64 // by the first label, then by the second
	Texts     map[string]string             // by the label, of a list
	Histogram HistogramSnapshot
}

// number is any type that is counted in.
type number interface {
	~int | ~int32 | ~int64 | ~uint64 | ~float64
}

// one reads a single number.
func one[N number](f func(s *Source) N) func(*Source) Value {
	return func(s *Source) Value { return Value{Number: float64(f(s))} }
}

// flag reads a single truth value.
func flag(f func(s *Source) bool) func(*Source) Value {
	return func(s *Source) Value { return Value{Number: truth(f(s))} }
}

func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// text reads a single text.
func text(f func(s *Source) string) func(*Source) Value {
	return func(s *Source) Value { return Value{Text: f(s)} }
}

// loops adds a number up over the loops.
func loops[N number](f func(l *Loop) N) func(*Source) Value {
	return func(s *Source) (v Value) {
		for i := range s.Loops {
			v.Number += float64(f(&s.Loops[i]))
		}
		return v
	}
}

// histogram adds a histogram up over the loops.
func histogram(f func(l *Loop) HistogramSnapshot) func(*Source) Value {
	return func(s *Source) (v Value) {
		for i := range s.Loops {
			v.Histogram.Add(f(&s.Loops[i]))
		}
		return v
	}
}

// perLoop reads a number of each loop.
func perLoop[N number](f func(l *Loop) N) func(*Source) Value {
	return func(s *Source) Value {
		v := Value{Family: make(map[string]float64, len(s.Loops))}
		for i := range s.Loops {
			v.Family[label(s.Loops[i].Number)] = float64(f(&s.Loops[i]))
		}
		return v
	}
}

// perLoopText reads a text of each loop.
func perLoopText(f func(l *Loop) string) func(*Source) Value {
	return func(s *Source) Value {
		v := Value{Texts: make(map[string]string, len(s.Loops))}
		for i := range s.Loops {
			v.Texts[label(s.Loops[i].Number)] = f(&s.Loops[i])
		}
		return v
	}
}

// perWorker reads a number of each worker.
func perWorker[N number](f func(w *Worker) N) func(*Source) Value {
	return func(s *Source) Value {
		v := Value{Family: make(map[string]float64, len(s.Workers))}
		for i := range s.Workers {
			v.Family[label(s.Workers[i].Number)] = float64(f(&s.Workers[i]))
		}
		return v
	}
}

// perWorkerText reads a text of each worker.
func perWorkerText(f func(w *Worker) string) func(*Source) Value {
	return func(s *Source) Value {
		v := Value{Texts: make(map[string]string, len(s.Workers))}
		for i := range s.Workers {
			v.Texts[label(s.Workers[i].Number)] = f(&s.Workers[i])
		}
		return v
	}
}

// family reads numbers by one label.
func family(f func(s *Source) map[string]uint64) func(*Source) Value {
	return func(s *Source) Value { return Value{Family: floats(f(s))} }
}

// perTransport reads a number of each transport.
func perTransport(f func(t *Transport) uint64) func(*Source) Value {
	return func(s *Source) Value {
		v := Value{Family: make(map[string]float64, len(s.Transports))}
		for name, t := range s.Transports {
			v.Family[name] = float64(f(&t))
		}
		return v
	}
}

func floats(counts map[string]uint64) map[string]float64 {
	v := make(map[string]float64, len(counts))
	for name, n := range counts {
		v[name] = float64(n)
	}
	return v
}
