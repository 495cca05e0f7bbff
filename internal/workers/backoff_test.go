// How long a place stays empty.

package workers

import (
	"slices"
	"testing"
	"time"
)

func TestBackoff(t *testing.T) {
	const short, long = time.Second, youthTime
	for _, test := range []struct {
		name  string
		lived []time.Duration
		want  []time.Duration
	}{
		{"the first start again is at once", []time.Duration{short}, []time.Duration{0}},
		{"those that die young wait longer each time", []time.Duration{0, 0, 0, 0, short, 0, 0, 0, 0},
			[]time.Duration{0, 250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second,
				8 * time.Second, restartDelayMax, restartDelayMax}},
		{"a long life makes good", []time.Duration{0, 0, 0, long, 0}, []time.Duration{0, 250 * time.Millisecond, 500 * time.Millisecond, 0, 250 * time.Millisecond}},
		{"deaths of old age never wait", []time.Duration{long, long, long}, []time.Duration{0, 0, 0}},
	} {
		var b backoff
		var got []time.Duration
		for _, lived := range test.lived {
			got = append(got, b.after(lived))
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
	b := backoff{young: 1000}
	if got := b.after(0); got != restartDelayMax {
		t.Errorf("after a thousand deaths: %v", got)
	}
}
