package frame

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

func TestAppendHeaderMatchesGobwas(t *testing.T) {
	for _, n := range []int{0, 1, 125, 126, 127, 65535, 65536, 1 << 20} {
		for _, compressed := range []bool{false, true} {
			h := ws.Header{Fin: true, OpCode: OpText, Length: int64(n)}
			if compressed {
				h.Rsv = ws.Rsv(true, false, false)
			}
			var want bytes.Buffer
			if err := ws.WriteHeader(&want, h); err != nil {
				t.Fatal(err)
			}
			have := AppendHeader([]byte("dst"), OpText, compressed, n)
			if string(have) != "dst"+want.String() {
				t.Errorf("%d bytes: %x, want %x", n, have, want.Bytes())
			}
			if replyHeaderBytes(n) != want.Len() {
				t.Errorf("replyHeaderBytes(%d) = %d, want %d", n, replyHeaderBytes(n), want.Len())
			}
		}
	}
}

func TestAppendMaskedMatchesGobwas(t *testing.T) {
	mask := [4]byte{1, 2, 3, 4}
	for n := range 300 {
		payload := bytes.Repeat([]byte{0x55}, n)
		f := ws.Frame{Header: ws.Header{Fin: n%2 == 0, OpCode: OpBinary, Length: int64(n)}, Payload: bytes.Clone(payload)}
		want := ws.MustCompileFrame(ws.MaskFrameWith(f, mask))
		if have := AppendMasked(nil, OpBinary, n%2 == 0, mask, payload); !bytes.Equal(have, want) {
			t.Fatalf("%d bytes: %x, want %x", n, have, want)
		}
	}
}

func TestUnmaskMatchesGobwas(t *testing.T) {
	mask := [4]byte{0x12, 0x34, 0x56, 0x78}
	for n := range 600 {
		have, want := make([]byte, n), make([]byte, n)
		unmask(have, 0x78563412)
		ws.Cipher(want, mask, 0)
		if !bytes.Equal(have, want) {
			t.Fatalf("%d bytes: %x, want %x", n, have, want)
		}
	}
}

func TestParseClose(t *testing.T) {
	for code := range 1 << 16 {
		// RFC 6455, 7.4, and the IANA registry for 1012 to 1014.
		valid := code >= 1000 && code <= 1003 || code >= 1007 && code <= 1014 || code >= 3000 && code <= 4999
		have, reason, err := ParseClose([]byte{byte(code >> 8), byte(code), 'r'})
		if valid && (err != nil || int(have) != code || reason != "r") || !valid && (err == nil || codeOf(t, err) != 1002) {
			t.Errorf("code %d: %d, %q, %v", code, have, reason, err)
		}
	}
	if code, _, err := ParseClose(nil); err != nil || code != CodeNoStatus {
		t.Errorf("empty: %d, %v", code, err)
	}
	if _, _, err := ParseClose([]byte{3}); err == nil || codeOf(t, err) != 1002 {
		t.Errorf("one byte: %v", err)
	}
	if _, _, err := ParseClose([]byte{3, 0xe8, 0xff}); err == nil || codeOf(t, err) != 1007 {
		t.Errorf("reason not UTF-8: %v", err)
	}
}

func TestAppendClose(t *testing.T) {
	tests := []struct {
		code   uint16
		reason string
		want   string
	}{
		{1002, "", "88 02 03ea"},
		{1007, "", "88 02 03ef"},
		{1009, "", "88 02 03f1"},
		{1000, "", "88 02 03e8"},
		{1012, "go", "88 04 03f4 676f"},
		{CodeNoStatus, "dropped", "88 00"},
		{0, "", "88 00"},
		{1006, "never on the wire", "88 00"},
		{1015, "", "88 00"},
		{4000, "\xff", "88 05 0fa0 efbfbd"},
	}
	for _, tt := range tests {
		if have := AppendClose(nil, tt.code, tt.reason); !bytes.Equal(have, unhex(t, tt.want)) {
			t.Errorf("%d %q: %x, want %s", tt.code, tt.reason, have, tt.want)
		}
	}
	for _, long := range []string{strings.Repeat("a", 200), strings.Repeat("é", 100), "a" + strings.Repeat("é", 100), strings.Repeat("€", 60), strings.Repeat("😀", 60)} {
		have := AppendClose([]byte("dst"), 1000, long)[3:]
		if int(have[1]) != len(have)-2 || have[1] > 125 || have[1] < 122 {
			t.Errorf("%.10q: length byte %d of %d", long, have[1], len(have)-2)
		}
		if !utf8.Valid(have[4:]) || !strings.HasPrefix(long, string(have[4:])) {
			t.Errorf("%.10q: cut to %q", long, have[4:])
		}
	}
}

// TestUTF8EveryCut compares the incremental check with the standard library's, for each way to cut
// a sample in two or into single bytes.
func TestUTF8EveryCut(t *testing.T) {
	samples := []string{"", "a", "é", "€", "😀", "a€b", "\u0800", "\ud7ff\ue000", "\U00010000\U0010ffff", strings.Repeat("日本語 text ", 20),
		"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x8f\xbf\xbf",
		"\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "\xe2\x82", "\xf0\x9f\x98", "\xc3(", "\xe2(\xa1", "a\xf0\x9f\x98a"}
	for b := range 256 {
		samples = append(samples, string([]byte{byte(b)}), string([]byte{0xc3, byte(b)}), string([]byte{0xe0, byte(b), 0x80}), string([]byte{0xed, byte(b), 0x80}),
			string([]byte{0xf0, byte(b), 0x80, 0x80}), string([]byte{0xf4, byte(b), 0x80, 0x80}), string([]byte{byte(b), 0x80, 0x80}), strings.Repeat("é", 40)+string([]byte{byte(b)}))
	}
	for _, s := range samples {
		want := utf8.ValidString(s)
		if have := validUTF8([]byte(s)); have != want {
			t.Errorf("validUTF8(%q) = %v", s, have)
		}
		for i := range len(s) + 1 {
			var u utf8Check
			if have := u.write([]byte(s[:i])) && u.write([]byte(s[i:])) && u.complete(); have != want {
				t.Errorf("%q cut at %d: %v, want %v", s, i, have, want)
			}
		}
		checkFirstImpossible(t, s)
	}
}

// checkFirstImpossible wants a failure at exactly the first byte after which nothing valid can
// follow, and none before.
func checkFirstImpossible(t *testing.T, s string) {
	t.Helper()
	var u utf8Check
	for i := range len(s) {
		have := u.write([]byte{s[i]})
		if want := canGoOn(s[:i+1]); have != want {
			t.Errorf("%q after byte %d: %v, want %v", s, i, have, want)
		}
		if !have {
			return
		}
	}
}

// canGoOn tries whether some continuation of at most three bytes makes p valid.
func canGoOn(p string) bool {
	for _, a := range []string{"", "\x80", "\x90", "\xa0"} {
		for _, b := range []string{"", "\x80", "\x80\x80"} {
			if utf8.ValidString(p + a + b) {
				return true
			}
		}
	}
	return false
}

func TestAllocs(t *testing.T) {
	o := &Options{}
	for _, n := range []int{64, 1 << 10, 16 << 10} {
		for _, op := range []OpCode{OpText, OpBinary} {
			src := AppendMasked(nil, op, true, [4]byte{1, 2, 3, 4}, bytes.Repeat([]byte{'a'}, n))
			in := bytes.Clone(src)
			var r Reader
			if allocs := testing.AllocsPerRun(100, func() {
				copy(in, src)
				m, _, err := r.Next(o, in)
				if err != nil || len(m.Payload) != n {
					t.Fatal(err)
				}
				if _, ok := m.InPlace(); !ok {
					t.Fatal("no room for the reply")
				}
			}); allocs != 0 {
				t.Errorf("%v of %d bytes: %v allocations", op, n, allocs)
			}
		}
	}
	ping := byByte(masked(0x89, "straddling ping"))
	var r Reader
	if allocs := testing.AllocsPerRun(100, func() {
		for _, p := range ping {
			if _, _, err := r.Next(o, p); err != nil {
				t.Fatal(err)
			}
		}
		r.Release()
	}); allocs != 0 {
		t.Errorf("control frame byte by byte: %v allocations", allocs)
	}
	buf := make([]byte, 0, 1024)
	payload := bytes.Repeat([]byte{'a'}, 300)
	if allocs := testing.AllocsPerRun(100, func() {
		AppendFrame(buf, OpText, payload)
		AppendClose(buf, 1000, "bye")
		AppendMasked(buf, OpText, true, [4]byte{1}, payload)
	}); allocs != 0 {
		t.Errorf("encoders: %v allocations", allocs)
	}
}

func ExampleReader_Next() {
	o := &Options{MessageBytesMax: 64 << 10}
	var r Reader

	// One read brought a message, a ping, and the beginning of another message.
	in := AppendMasked(nil, OpText, true, [4]byte{1, 2, 3, 4}, []byte("hello"))
	in = AppendMasked(in, OpPing, true, [4]byte{5, 6, 7, 8}, []byte("?"))
	in = AppendMasked(in, OpText, false, [4]byte{9, 10, 11, 12}, []byte("to be "))

	for {
		m, rest, err := r.Next(o, in)
		if err != nil {
			fmt.Println("close:", err)
			return
		}
		if !m.Complete {
			break
		}
		fmt.Println(m.Op, string(m.Payload))
		in = rest
	}
	fmt.Println("idle:", r.Idle())
	// Output:
	// 1 hello
	// 9 ?
	// idle: false
}

func ExampleMessage_InPlace() {
	in := AppendMasked(nil, OpText, true, [4]byte{1, 2, 3, 4}, []byte("echo"))
	var r Reader
	m, _, _ := r.Next(&Options{}, in)
	reply, ok := m.InPlace()
	fmt.Printf("%v %x\n", ok, reply)
	// Output: true 81046563686f
}

func ExampleAppendClose() {
	p := AppendClose(nil, CodeRestart, "come back")
	code, reason, _ := ParseClose(p[2:])
	fmt.Println(code, reason)
	// Output: 1012 come back
}
