// Durations of a result.

package loadgen

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"time"
)

// Millis is a duration that JSON has as a number of milliseconds, exact to the nanosecond.
type Millis time.Duration

// MarshalJSON implements json.Marshaler.
func (m Millis) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(m)/1e6, 'f', -1, 64), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (m *Millis) UnmarshalJSON(text []byte) error {
	if bytes.Equal(text, []byte("null")) {
		return nil
	}
	ms, err := strconv.ParseFloat(string(text), 64)
	if err != nil || math.Abs(ms) > math.MaxInt64/1e6 {
		return fmt.Errorf("%s is no number of milliseconds", text)
	}
	*m = Millis(math.Round(ms * 1e6))
	return nil
}

// String writes three significant digits with a unit: 87µs, 1.25ms, 12.5ms, 2.31s.
func (m Millis) String() string {
	d := float64(m)
	switch {
	case m == 0:
		return "0"
	case m < 0:
		return "-" + (-m).String()
	case d < 999.5:
		return strconv.FormatFloat(d, 'f', 0, 64) + "ns"
	case d < 999.5e3:
		return digits(d/1e3) + "µs"
	case d < 999.5e6:
		return digits(d/1e6) + "ms"
	case d < 120e9:
		return digits(d/1e9) + "s"
	}
	return time.Duration(m).Round(time.Second).String()
}

// digits writes three significant digits, without an exponent.
func digits(f float64) string {
	switch {
	case f >= 99.95:
		return strconv.FormatFloat(f, 'f', 0, 64)
	case f >= 9.995:
		return strconv.FormatFloat(f, 'f', 1, 64)
	}
	return strconv.FormatFloat(f, 'f', 2, 64)
}
