// Tests of the values: what each type takes and refuses, and that its text form is taken back.

package settings

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"c100k/server"
)

func TestValues(t *testing.T) {
	var (
		n        int
		perSec   float64
		d        time.Duration
		yes      bool
		word     string
		prefixes []netip.Prefix
	)
	tests := []struct {
		value  Value
		in     string
		want   string // text form; empty: refused
		reason string // part of the refusal
	}{
		{size(&n), "65536", "64KiB", ""}, {size(&n), "64KiB", "64KiB", ""}, {size(&n), "64 kib", "64KiB", ""},
		{size(&n), "1MB", "1000000", ""}, {size(&n), "1.5M", "1536KiB", ""}, {size(&n), "2G", "2GiB", ""}, {size(&n), "0", "0", ""},
		{size(&n), "10b", "10", ""},
		{size(&n), "-1", "", "not a size"}, {size(&n), "", "", "not a size"}, {size(&n), "1e3", "", "not a size"},
		{size(&n), "0x10", "", "not a size"}, {size(&n), "64KiX", "", "not a size"}, {size(&n), "KiB", "", "not a size"},
		{size(&n), "0.3", "", "whole number"}, {size(&n), "99999999999999999999G", "", "too large"}, {size(&n), "1.2.3", "", "not a size"},
		{size(&n), "inf", "", "not a size"}, {size(&n), "64kbb", "", "not a size"},
		{sizeOrAuto(&n), "auto", "auto", ""}, {sizeOrAuto(&n), "1M", "1MiB", ""},
		{rate(&perSec), "20", "20/s", ""}, {rate(&perSec), "600/m", "10/s", ""}, {rate(&perSec), "1800/h", "0.5/s", ""},
		{rate(&perSec), "off", "off", ""}, {rate(&perSec), "0", "off", ""},
		{rate(&perSec), "20/d", "", "not a rate"}, {rate(&perSec), "20/", "", "not a rate"}, {rate(&perSec), "-1", "", "not a rate"},
		{rate(&perSec), "NaN", "", "not a rate"}, {rate(&perSec), "/s", "", "not a rate"},
		{duration(&d), "30s", "30s", ""}, {duration(&d), "90s", "1m30s", ""}, {duration(&d), "60s", "1m", ""}, {duration(&d), "24h", "24h", ""},
		{duration(&d), "1h0m5s", "1h0m5s", ""}, {duration(&d), "500ms", "500ms", ""},
		{duration(&d), "30", "", "write 30s or 30ms"}, {duration(&d), "-1s", "", "negative"}, {duration(&d), "soon", "", "not a duration"},
		{durationOrOff(&d, "off"), "off", "off", ""}, {durationOrOff(&d, "off"), "0s", "off", ""}, {durationOrOff(&d, "0s"), "0", "0s", ""},
		{durationOrOff(&d, "off"), "5s", "5s", ""}, {durationOrOff(&d, "off"), "5", "", "no unit"},
		{count(&n), "12", "12", ""}, {count(&n), "100_000", "100000", ""}, {count(&n), "-1", "", "negative"}, {count(&n), "1.5", "", "whole"},
		{count(&n), "", "", "whole"}, {count(&n), "_1", "", "whole"}, {count(&n), "99999999999999999999", "", "whole"},
		{countOrAuto(&n, server.WorkersAuto), "auto", "auto", ""}, {countOrAuto(&n, 0), "4", "4", ""}, {countOrAuto(&n, 0), "many", "", "whole"},
		{toggle(&yes), "TRUE", "on", ""}, {toggle(&yes), "0", "off", ""}, {toggle(&yes), "maybe", "", "neither on nor off"},
		{onOff(&yes), "on", "on", ""}, {onOff(&yes), "false", "off", ""}, {onOff(&yes), "", "", "neither"},
		{choice(&word, "a", "bcd"), "a", "a", ""}, {choice(&word, "alpha", "beta"), "bata", "", "did you mean beta?"},
		{networks(&prefixes), "10.0.0.0/8", "10.0.0.0/8", ""}, {networks(&prefixes), "::ffff:10.0.0.1", "10.0.0.1/32", ""},
		{networks(&prefixes), "fe80::1%eth0", "", "not a network"}, {networks(&prefixes), "10.0.0.0/33", "", "not a network"},
	}
	for _, test := range tests {
		err := test.value.Set([]string{test.in})
		switch {
		case test.want == "" && (err == nil || !strings.Contains(err.Error(), test.reason)):
			t.Errorf("%s %q: got %v, want an error with %q", test.value.Type(), test.in, err, test.reason)
		case test.want != "" && (err != nil || test.value.String() != test.want):
			t.Errorf("%s %q: got %q, %v; want %q", test.value.Type(), test.in, test.value.String(), err, test.want)
		case test.want != "":
			if err := test.value.Set([]string{test.value.String()}); err != nil || test.value.String() != test.want {
				t.Errorf("%s %q is not taken back: %v", test.value.Type(), test.want, err)
			}
		}
	}
}

func TestNearest(t *testing.T) {
	candidates := []string{"listen", "max-message", "rate", "rate-burst", "origin", "io"}
	for word, want := range map[string]string{
		"lisetn": "listen", "listen": "listen", "LISTEN": "listen", "max_message": "max-message", "maxmessage": "max-message",
		"rat": "rate", "orign": "origin", "oi": "io", "zebra": "", "": "", "x": "", "max": "max-message", "orig": "origin",
	} {
		if got := Nearest(word, candidates); got != want {
			t.Errorf("%q: got %q, want %q", word, got, want)
		}
	}
}

// FuzzValues gives every type any text: none panics, and what is taken is taken back from its own
// text form.
func FuzzValues(f *testing.F) {
	for _, seed := range []string{"", "64KiB", "1.5MB", "20/s", "off", "30s", "auto", "10.0.0.0/8", "1e400", "-0", "on", "99999999999999999999"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		for _, row := range Table(defaults()) {
			if row.Value.Set([]string{in}) != nil {
				continue
			}
			text := row.Value.String()
			if err := row.Value.Set([]string{text}); err != nil {
				t.Errorf("%s: %q became %q, which is refused: %v", row.Name, in, text, err)
			}
		}
	})
}

// FuzzFile parses any file: no panic, and every problem names the file.
func FuzzFile(f *testing.F) {
	for _, seed := range []string{"", "rate: 20/s\n", "origin: [a, b]\n", "a: b: c", "rate: &a 1\nio: *a\n", "? x\n: y\n", "---\n---\n", "dev: |\n  on\n", "- 1\n", "<<: {rate: 1}\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		_, problems := parseFile(Table(defaults()), "c.yaml", []byte(text))
		for _, problem := range problems {
			if !strings.HasPrefix(problem.Error(), "c.yaml:") {
				t.Errorf("%q: %v", text, problem)
			}
		}
	})
}
