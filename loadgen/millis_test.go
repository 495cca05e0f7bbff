// Durations as JSON and as text.

package loadgen

import (
	"encoding/json"
	"testing"
	"time"
)

func TestMillis(t *testing.T) {
	for _, test := range []struct {
		d          time.Duration
		json, text string
	}{
		{0, "0", "0"}, {511, "0.000511", "511ns"}, {87 * time.Microsecond, "0.087", "87.0µs"}, {1250 * time.Microsecond, "1.25", "1.25ms"},
		{99960 * time.Microsecond, "99.96", "100ms"}, {999600 * time.Microsecond, "999.6", "1.00s"}, {time.Second, "1000", "1.00s"}, {90 * time.Minute, "5400000", "1h30m0s"},
		{-time.Millisecond, "-1", "-1.00ms"},
	} {
		got, err := json.Marshal(Millis(test.d))
		if err != nil || string(got) != test.json || Millis(test.d).String() != test.text {
			t.Errorf("%v: %s %s %v, want %s %s", test.d, got, Millis(test.d), err, test.json, test.text)
		}
		var back Millis
		if err := json.Unmarshal(got, &back); err != nil || back != Millis(test.d) {
			t.Errorf("%s is taken back as %v, %v", got, back, err)
		}
	}
	var m Millis
	for _, bad := range []string{`"1"`, `1e300`, `true`} {
		if json.Unmarshal([]byte(bad), &m) == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}
