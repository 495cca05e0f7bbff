package jsontext

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

// valid tells whether p is one JSON text.
func valid(p []byte) (at int, bad Fault) {
	if at, bad = SkipValue(p, SkipSpace(p, 0), 0); bad != "" {
		return at, bad
	}
	if at = SkipSpace(p, at); at < len(p) {
		return at, FaultTrailing
	}
	return at, ""
}

func ExampleSkipValue() {
	p := []byte(`{"n": [1, 2], "s": "x"}`)
	i := SkipSpace(p, 0) + 1
	for last := false; !last; {
		from, to, value, bad := SkipName(p, i)
		if bad != "" {
			fmt.Println(bad)
			return
		}
		end, bad := SkipValue(p, value, 1)
		if bad != "" {
			fmt.Println(bad)
			return
		}
		fmt.Printf("%s is %s\n", p[from:to], p[value:end])
		i, last, _ = SkipComma(p, end, '}')
	}
	// Output:
	// n is [1, 2]
	// s is "x"
}

func TestSkipValue(t *testing.T) {
	nest := func(n int, open, shut string) string { return strings.Repeat(open, n) + "1" + strings.Repeat(shut, n) }
	tests := []struct {
		in  string
		bad Fault
		at  int
	}{
		{`0`, "", 1}, {`-0`, "", 2}, {`10`, "", 2}, {`-12.50e+07`, "", 10}, {`1E5`, "", 3}, {`0.0`, "", 3},
		{`-`, FaultNumber, 1}, {`01`, FaultNumber, 2}, {`-01`, FaultNumber, 3}, {`1.`, FaultNumber, 2}, {`.5`, FaultValue, 0}, {`1e`, FaultNumber, 2},
		{`1e+`, FaultNumber, 3}, {`+1`, FaultValue, 0}, {`0x1`, FaultTrailing, 1}, {`1 2`, FaultTrailing, 2}, {`NaN`, FaultValue, 0},
		{`true`, "", 4}, {`false`, "", 5}, {`null`, "", 4}, {`nul`, FaultValue, 0}, {`True`, FaultValue, 0}, {`truex`, FaultTrailing, 4},
		{`""`, "", 2}, {`"a\"b"`, "", 6}, {`"\\"`, "", 4}, {`"\u00e9\uD83D"`, "", 14}, {"\"\x7f\u2028\"", "", 6},
		{`"`, FaultEnd, 1}, {`"abc`, FaultEnd, 4}, {`"\`, FaultEnd, 1}, {`"\u12`, FaultEnd, 1}, {`"\u12g4"`, FaultEscape, 1}, {`"\x41"`, FaultEscape, 1},
		{"\"a\nb\"", FaultControl, 2}, {"\"0123456789\x1f\"", FaultControl, 11}, {"\"01234567\x00\"", FaultControl, 9}, {`'a'`, FaultValue, 0},
		{`[]`, "", 2}, {`[ ]`, "", 3}, {`[1 , [2],{} ]`, "", 13}, {`[1,]`, FaultValue, 3}, {`[,1]`, FaultValue, 1}, {`[1 2]`, FaultComma, 3}, {`[1`, FaultEnd, 2}, {`[`, FaultEnd, 1},
		{`{}`, "", 2}, {` { "a" : 1 , "b":{} } `, "", 22}, {`{"a":1,}`, FaultName, 7}, {`{"a"}`, FaultColon, 4}, {`{"a":}`, FaultValue, 5}, {`{1:2}`, FaultName, 1},
		{`{"a":1`, FaultEnd, 6}, {`{"a":1]`, FaultComma, 6}, {`{`, FaultEnd, 1}, {`{"a"`, FaultEnd, 4}, {`{"a`, FaultEnd, 3}, {`{"a":`, FaultEnd, 5},
		{``, FaultEnd, 0}, {` `, FaultEnd, 1}, {"\ufeff1", FaultValue, 0}, {"\v1", FaultValue, 0}, {"[1\f]", FaultComma, 2}, {`]`, FaultValue, 0},
		{nest(DepthMax, "[", "]"), "", 2*DepthMax + 1}, {nest(DepthMax+1, "[", "]"), FaultDepth, DepthMax},
		{nest(DepthMax, `{"":`, "}"), "", 5*DepthMax + 1}, {nest(DepthMax+1, `{"":`, "}"), FaultDepth, 4 * DepthMax},
	}
	for _, tt := range tests {
		if at, bad := valid([]byte(tt.in)); bad != tt.bad || at != tt.at {
			t.Errorf("%q: %q at %d, want %q at %d", tt.in, bad, at, tt.bad, tt.at)
		}
	}
}

// The eight bytes at a time of plainRun against one at a time.
func TestPlainRun(t *testing.T) {
	for n := range 20 {
		for i := range n {
			for c := range 256 {
				p := []byte(strings.Repeat("é", 10)[:n])
				p[i] = byte(c)
				want := n
				if c < 0x20 || c == '"' || c == '\\' {
					want = i
				}
				if got := plainRun(p, 0); got != want {
					t.Fatalf("%q: %d, want %d", p, got, want)
				}
			}
		}
	}
}

func TestUnescape(t *testing.T) {
	tests := []struct {
		in, want string
		bad      Fault
	}{
		{``, "", ""}, {`abc`, "abc", ""}, {`é😀`, "é😀", ""}, {`\"\\\/\b\f\n\r\t`, "\"\\/\b\f\n\r\t", ""}, {`a\u0041\u00e9\u20AC\ud83d\ude00z`, "aAé€😀z", ""}, {`\u0000`, "\x00", ""},
		{`\ufffd`, "\ufffd", ""}, {`\\ud800`, `\ud800`, ""}, {`\ud800`, "", FaultSurrogate}, {`\udc00`, "", FaultSurrogate}, {`\ud800\ud800`, "", FaultSurrogate}, {`\ud800\n`, "", FaultSurrogate},
		{`x\ud83d`, "", FaultSurrogate}, {`\ud83dxxxxxxxx`, "", FaultSurrogate},
	}
	for _, tt := range tests {
		if got, bad := Unescape([]byte(tt.in)); string(got) != tt.want || bad != tt.bad {
			t.Errorf("%q: %q, %q, want %q, %q", tt.in, got, bad, tt.want, tt.bad)
		}
	}
}

func TestAppendString(t *testing.T) {
	for _, s := range []string{"", "plain", "a\"b\\c", "\x00\x1f\n\r\t\b\f", "é\u2028😀\x7f"} {
		got := AppendString([]byte("x"), s)
		var back string
		if err := json.Unmarshal(got[1:], &back); err != nil || back != s || got[0] != 'x' {
			t.Errorf("%q became %s, which is %q (%v)", s, got, back, err)
		}
		if twin := AppendString([]byte("x"), []byte(s)); string(twin) != string(got) {
			t.Errorf("%s as a string, %s as bytes", got, twin)
		}
	}
}

func TestNoAllocations(t *testing.T) {
	p := []byte(`{"a":[1,2.5e3,"x\u00e9"],"b":{"c":null}}`)
	s, buf := []byte(`a\u0041b`), make([]byte, 0, 64)
	if n := testing.AllocsPerRun(100, func() {
		valid(p)
		Unescape(s)
		buf = AppendString(buf[:0], p)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkSkipValue is the strict scan of a published JSON value of 0.8 KB, which tells where it
// ends and that it is one.
func BenchmarkSkipValue(b *testing.B) {
	p := []byte(`{"user":"somebody","text":"` + strings.Repeat("a fairly long line of text ", 30) + `","at":[1,2,3]}`)
	b.SetBytes(int64(len(p)))
	b.ReportAllocs()
	for b.Loop() {
		SkipValue(p, 0, 0)
	}
}

// FuzzSkipValue holds the scanner against encoding/json, which allows more depth.
func FuzzSkipValue(f *testing.F) {
	for _, s := range []string{`{"a":[1,2.5e3,"x\u00e9\ud83d\ude00"],"b":{"c":null}}`, `[[[[`, `"\ud800"`, `-0.0e-0`, `[1,]`, "\"\x1f\""} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		if !utf8.Valid(p) {
			return
		}
		at, bad := valid(p)
		if at < 0 || at > len(p) {
			t.Fatalf("%q: at %d", p, at)
		}
		if bad == FaultDepth {
			return
		}
		if (bad == "") != json.Valid(p) {
			t.Fatalf("%q: %q at %d, encoding/json says %v", p, bad, at, json.Valid(p))
		}
		if i := SkipSpace(p, 0); bad == "" && p[i] == '"' {
			checkString(t, p[i:])
		}
	})
}

// FuzzUnescape holds Unescape against encoding/json: p is what stands between the quotes.
func FuzzUnescape(f *testing.F) {
	for _, s := range []string{``, `plain`, `\"\\\/\b\f\n\r\t`, `\u00e9\ud83d\ude00`, `é\u0000x`, `\ud800`, `\ude00\ud83d`, `\ud83d\n`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		raw := []byte(`"` + s + `"`)
		if end, bad := skipString(raw, 0); !utf8.ValidString(s) || bad != "" || end != len(raw) {
			return
		}
		checkString(t, raw)
	})
}

// checkString compares Unescape, and AppendString after it, with encoding/json. raw is a valid
// string, perhaps with space behind it.
func checkString(t *testing.T, raw []byte) {
	end, _ := skipString(raw, 0)
	var want string
	if err := json.Unmarshal(raw[:end], &want); err != nil {
		t.Fatal(err)
	}
	got, bad := Unescape([]byte(string(raw[1 : end-1])))
	if bad != "" {
		if !strings.Contains(want, "\ufffd") {
			t.Fatalf("%s: %s", raw, bad)
		}
		return
	}
	if string(got) != want {
		t.Fatalf("%s is %q, want %q", raw, got, want)
	}
	var back string
	if err := json.Unmarshal(AppendString(nil, got), &back); err != nil || back != want {
		t.Fatalf("%q came back as %q (%v)", want, back, err)
	}
}
