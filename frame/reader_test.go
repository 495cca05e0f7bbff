package frame

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
)

// TestReader has a row for every reaction that RFC 6455 asks for. Each stream is read whole, byte
// by byte, and in pieces of 3 and 7: the outcome must not depend on it.
func TestReader(t *testing.T) {
	deflate := &Options{MessageBytesMax: 1000, Deflate: true}
	plain := &Options{MessageBytesMax: 1000}
	hello := masked(0x81, "Hello")
	msg := func(op OpCode, payload string) got { return got{Op: op, Payload: payload} }
	bad := func(code uint16) []got { return []got{{Err: code}} }

	tests := []struct {
		name string
		o    *Options
		in   []byte
		want []got
	}{
		{"RFC 6455, 5.7: masked Hello", plain, unhex(t, "81 85 37fa213d 7f9f4d5158"), []got{msg(OpText, "Hello")}},
		{"nothing", plain, nil, nil},
		{"half a header", plain, hello[:5], nil},
		{"half a payload", plain, hello[:8], nil},
		{"empty text", plain, masked(0x81, ""), []got{msg(OpText, "")}},
		{"empty binary", plain, masked(0x82, ""), []got{msg(OpBinary, "")}},
		{"16-bit length", plain, masked(0x82, strings.Repeat("x", 126)), []got{msg(OpBinary, strings.Repeat("x", 126))}},
		{"64-bit length", &Options{}, masked(0x82, strings.Repeat("x", 65536)), []got{msg(OpBinary, strings.Repeat("x", 65536))}},
		{"two in one read", plain, join(hello, masked(0x82, "\xff")), []got{msg(OpText, "Hello"), msg(OpBinary, "\xff")}},
		{"the default limit", &Options{}, masked(0x82, strings.Repeat("x", MessageBytesDefault+1)), bad(1009)},
		{"the largest limit", &Options{MessageBytesMax: math.MaxInt, Deflate: true}, hello, []got{msg(OpText, "Hello")}},
		{"the largest limit, fragments", &Options{MessageBytesMax: math.MaxInt, Deflate: true}, join(masked(0x01, "a"), masked(0x80, "b")), []got{msg(OpText, "ab")}},

		{"unmasked client frame", plain, unhex(t, "81 05 48656c6c6f"), bad(1002)},
		{"RSV1 without extension", plain, masked(0xc1, "Hello"), bad(1002)},
		{"RSV1 on a continuation", deflate, join(masked(0x41, ""), masked(0xc0, "")), bad(1002)},
		{"RSV1 on a control frame", deflate, masked(0xc9, ""), bad(1002)},
		{"RSV2", deflate, masked(0xa1, "a"), bad(1002)},
		{"RSV3", deflate, masked(0x91, "a"), bad(1002)},
		{"control frame of 126 bytes", plain, masked(0x89, strings.Repeat("x", 126)), bad(1002)},
		{"control frame of 125 bytes", plain, masked(0x89, strings.Repeat("x", 125)), []got{msg(OpPing, strings.Repeat("x", 125))}},
		{"control frame without FIN", plain, masked(0x09, "x"), bad(1002)},
		{"continuation of nothing", plain, masked(0x80, "x"), bad(1002)},
		{"continuation without FIN of nothing", plain, masked(0x00, "x"), bad(1002)},
		{"continuation behind a whole message", plain, join(hello, masked(0x80, "x")), []got{msg(OpText, "Hello"), {Err: 1002}}},
		{"text inside a fragmented message", plain, join(masked(0x01, "a"), masked(0x81, "b")), bad(1002)},
		{"binary inside a fragmented message", plain, join(masked(0x01, "a"), masked(0x02, "b")), bad(1002)},

		{"fragments", plain, join(masked(0x01, "a"), masked(0x00, "b"), masked(0x80, "c")), []got{msg(OpText, "abc")}},
		{"empty fragments", plain, join(masked(0x02, ""), masked(0x00, ""), masked(0x80, "")), []got{msg(OpBinary, "")}},
		{"only the last fragment has bytes", plain, join(masked(0x01, ""), masked(0x80, "ab")), []got{msg(OpText, "ab")}},
		{"control frames between fragments", plain,
			join(masked(0x01, "a"), masked(0x89, "p"), masked(0x8a, ""), masked(0x00, ""), masked(0x89, "q"), masked(0x80, "b"), hello),
			[]got{msg(OpPing, "p"), msg(OpPong, ""), msg(OpPing, "q"), msg(OpText, "ab"), msg(OpText, "Hello")}},
		{"close between fragments", plain, join(masked(0x01, "a"), masked(0x88, "\x03\xe8"), masked(0x80, "b")), []got{msg(OpClose, "\x03\xe8")}},
		{"a character split over fragments", plain, join(masked(0x01, "\xe2"), masked(0x00, "\x82"), masked(0x80, "\xac")), []got{msg(OpText, "€")}},

		{"text that is not UTF-8", plain, masked(0x81, "a\xffb"), bad(1007)},
		{"overlong form", plain, masked(0x81, "\xc0\xaf"), bad(1007)},
		{"surrogate", plain, masked(0x81, "\xed\xa0\x80"), bad(1007)},
		{"beyond U+10FFFF", plain, masked(0x81, "\xf4\x90\x80\x80"), bad(1007)},
		{"half a character at the end", plain, masked(0x81, "a\xe2\x82"), bad(1007)},
		{"half a character at the end of fragments", plain, join(masked(0x01, "a\xe2"), masked(0x80, "\x82")), bad(1007)},
		{"impossible byte in a first fragment", plain, masked(0x01, "a\xff"), bad(1007)},
		{"impossible byte in an unfinished frame", plain, masked(0x81, "a\xc3(aaaaaaaaaa")[:6+3], bad(1007)},
		{"impossible byte split over fragments", plain, join(masked(0x01, "\xf4"), masked(0x00, "\x90")), bad(1007)},
		{"binary may be anything", plain, join(masked(0x02, "\xff"), masked(0x80, "\xfe")), []got{msg(OpBinary, "\xff\xfe")}},

		{"declared length over the limit", plain, masked(0x82, strings.Repeat("x", 1001))[:8], bad(1009)},
		{"length at the limit", plain, masked(0x82, strings.Repeat("x", 1000)), []got{msg(OpBinary, strings.Repeat("x", 1000))}},
		{"fragments at the limit", plain, join(masked(0x02, strings.Repeat("x", 999)), masked(0x80, "y")), []got{msg(OpBinary, strings.Repeat("x", 999)+"y")}},
		{"fragments over the limit", plain, join(masked(0x02, strings.Repeat("x", 999)), masked(0x80, "yz")[:6]), bad(1009)},
		{"a control frame does not count", &Options{MessageBytesMax: 1}, masked(0x89, "pp"), []got{msg(OpPing, "pp")}},
		{"64-bit length over the limit", plain, unhex(t, "82 ff 0000000000010000 00000000"), bad(1009)},
		{"64-bit length beyond 2^53", plain, unhex(t, "82 ff 0020000000000001 00000000"), bad(1009)},
		{"64-bit length, largest", plain, unhex(t, "82 ff 7fffffffffffffff 00000000"), bad(1009)},
		{"64-bit length, largest, as a fragment", plain, join(masked(0x02, "x"), unhex(t, "80 ff 7fffffffffffffff 00000000")), bad(1009)},
		{"64-bit length, MSB set", plain, unhex(t, "82 ff 80"), bad(1002)},
		{"16-bit length not minimal", plain, unhex(t, "82 fe 007d"), bad(1002)},
		{"64-bit length not minimal", plain, unhex(t, "82 ff 000000000000ffff"), bad(1002)},

		{"close, empty", plain, masked(0x88, ""), []got{msg(OpClose, "")}},
		{"close 1000", plain, masked(0x88, "\x03\xe8bye"), []got{msg(OpClose, "\x03\xe8bye")}},
		{"close with half a code", plain, masked(0x88, "\x03"), bad(1002)},
		{"close 1005", plain, masked(0x88, "\x03\xed"), bad(1002)},
		{"close, reason not UTF-8", plain, masked(0x88, "\x03\xe8\xff"), bad(1007)},
		{"nothing behind a close frame counts", plain, join(masked(0x88, ""), hello, []byte{0xff, 0xff}), []got{msg(OpClose, "")}},

		{"RFC 7692, 7.2.3.1: compressed Hello", deflate, masked(0xc1, "\xf2\x48\xcd\xc9\xc9\x07\x00"), []got{{Op: OpText, Payload: "Hello", Compressed: true}}},
		{"RFC 7692, 7.2.3.1: in fragments", deflate, join(masked(0x41, "\xf2\x48\xcd"), masked(0x89, ""), masked(0x80, "\xc9\xc9\x07\x00")),
			[]got{msg(OpPing, ""), {Op: OpText, Payload: "Hello", Compressed: true}}},
		{"compressed, empty", deflate, masked(0xc1, "\x00"), []got{{Op: OpText, Compressed: true}}},
		{"uncompressed though negotiated", deflate, hello, []got{msg(OpText, "Hello")}},
		{"compressed, corrupt", deflate, masked(0xc2, "\xff\xff\xff"), bad(1007)},
		{"compressed, not UTF-8", deflate, masked(0xc1, string(AppendCompressed(nil, []byte("\xff"), WindowFull))), bad(1007)},
		{"compressed, binary", deflate, masked(0xc2, string(AppendCompressed(nil, []byte("\xff"), WindowFull))), []got{{Op: OpBinary, Payload: "\xff", Compressed: true}}},
		{"compressed, too big inflated", deflate, masked(0xc2, string(AppendCompressed(nil, make([]byte, 1001), WindowFull))), bad(1009)},
		{"compressed, at the limit", deflate, masked(0xc2, string(AppendCompressed(nil, make([]byte, 1000), WindowFull))),
			[]got{{Op: OpBinary, Payload: string(make([]byte, 1000)), Compressed: true}}},
		{"compressed, too big as it comes", deflate, masked(0xc2, strings.Repeat("x", 1100)), bad(1009)},
		{"compressed, then plain", deflate, join(masked(0xc2, "\x00"), masked(0x81, "\xff")), []got{{Op: OpBinary, Compressed: true}, {Err: 1007}}},
	}
	for _, opcode := range []byte{3, 4, 5, 6, 7, 11, 12, 13, 14, 15} {
		tests = append(tests, struct {
			name string
			o    *Options
			in   []byte
			want []got
		}{"reserved opcode", deflate, masked(0x80|opcode, "x"), bad(1002)})
	}
	for _, tt := range tests {
		for _, pieces := range [][][]byte{{tt.in}, byByte(tt.in), cut(tt.in, 3), cut(tt.in, 7)} {
			if have := read(t, tt.o, pieces...); !reflect.DeepEqual(have, tt.want) {
				t.Errorf("%s, in %d reads:\nhave %.200v\nwant %.200v", tt.name, len(pieces), have, tt.want)
			}
		}
	}
}

func TestReaderClientRole(t *testing.T) {
	o := &Options{Client: true}
	in := AppendFrame(nil, OpText, []byte("Hello"))
	in = AppendFrame(in, OpBinary, make([]byte, 70000)[:300])
	want := []got{{Op: OpText, Payload: "Hello"}, {Op: OpBinary, Payload: string(make([]byte, 300))}}
	for _, pieces := range [][][]byte{{in}, byByte(in)} {
		if have := read(t, o, pieces...); !reflect.DeepEqual(have, want) {
			t.Errorf("have %v", have)
		}
	}
	if have := read(t, o, masked(0x81, "Hello")); !reflect.DeepEqual(have, []got{{Err: 1002}}) {
		t.Errorf("masked server frame: have %v, want 1002", have)
	}
}

func TestReaderIsDeadAfterAnError(t *testing.T) {
	var r Reader
	if _, _, err := r.Next(&Options{}, []byte{0xff}); !errors.Is(err, errReserved) {
		t.Fatal(err)
	}
	if _, _, err := r.Next(&Options{}, masked(0x81, "Hello")); !errors.Is(err, errReserved) {
		t.Errorf("second call: %v, want the same error", err)
	}
	if r.Idle() {
		t.Error("a dead Reader is idle")
	}
}

func TestManyFragmentsCostTheirBytes(t *testing.T) {
	const count = 100_000
	o := &Options{MessageBytesMax: count}
	in := masked(0x01, "x")
	for range count - 2 {
		in = append(in, masked(0x00, "x")...)
	}
	in = append(in, masked(0x80, "x")...)
	var r Reader
	var m Message
	arrived := 0
	for _, p := range cut(in, 7*512) {
		var err error
		if m, _, err = r.Next(o, p); err != nil {
			t.Fatal(err)
		}
		if arrived += 512; r.Buffered() > 2*arrived+bufferBytesMin {
			t.Fatalf("%d bytes held for %d arrived", r.Buffered(), arrived)
		}
	}
	if !m.Complete || string(m.Payload) != strings.Repeat("x", count) {
		t.Fatalf("message is complete: %v, %d bytes", m.Complete, len(m.Payload))
	}
	if cap(m.Payload) > count {
		t.Errorf("buffer for %d bytes grew to %d", count, cap(m.Payload))
	}
}

func TestDeclaredLengthCostsNothing(t *testing.T) {
	o := &Options{MessageBytesMax: 1 << 30}
	var r Reader
	in := masked(0x82, strings.Repeat("x", 70000))
	in[2], in[3], in[4], in[5] = 0, 0, 0, 0
	in[6] = 0x20 // 512 MiB
	if _, _, err := r.Next(o, in[:14+100]); err != nil {
		t.Fatal(err)
	}
	if r.Buffered() > 200 {
		t.Errorf("%d bytes held for 100", r.Buffered())
	}
	if r.Idle() {
		t.Error("idle in the middle of a message")
	}
	r.Release()
	if !r.Idle() || r.Buffered() != 0 {
		t.Error("Release kept something")
	}
}

func TestWholeMessageIsASliceOfTheRead(t *testing.T) {
	in := join(masked(0x81, "Hello"), masked(0x81, "World"))
	var r Reader
	m, rest, err := r.Next(&Options{}, in)
	if err != nil || &m.Payload[0] != &in[6] || m.Owned || len(rest) != 11 || !r.Idle() {
		t.Fatalf("%+v, %d bytes left, %v", m, len(rest), err)
	}
	_ = append(m.Payload, "overwrite"...)
	if m, _, _ = r.Next(&Options{}, rest); string(m.Payload) != "World" {
		t.Errorf("appending to a payload changed the next message to %q", m.Payload)
	}
}

func TestOwnedPayloadSurvives(t *testing.T) {
	var r Reader
	o := &Options{Deflate: true}
	var kept []Message
	for _, in := range [][]byte{masked(0x01, "first"), masked(0x80, " one"), masked(0x01, "other"), masked(0x80, " two"), masked(0xc1, "\xf2\x48\xcd\xc9\xc9\x07\x00")} {
		m, _, err := r.Next(o, in)
		if err != nil {
			t.Fatal(err)
		}
		if m.Complete {
			kept = append(kept, m)
		}
		clear(in)
	}
	for i, want := range []string{"first one", "other two", "Hello"} {
		if !kept[i].Owned || string(kept[i].Payload) != want {
			t.Errorf("message %d: owned %v, %q", i, kept[i].Owned, kept[i].Payload)
		}
	}
}

func TestInPlace(t *testing.T) {
	for _, n := range []int{0, 1, 125, 126, 65535, 65536} {
		payload := bytes.Repeat([]byte("é"), n/2+1)[:n]
		in := masked(0x82, string(payload))
		for _, size := range []int{len(in), 1, 5, len(in) - 1} {
			var r Reader
			for _, p := range cut(in, size) {
				m, _, err := r.Next(&Options{MessageBytesMax: 1 << 20}, bytes.Clone(p))
				if err != nil {
					t.Fatal(err)
				}
				if !m.Complete {
					continue
				}
				reply, ok := m.InPlace()
				if !ok {
					if m.Owned || size == len(in) {
						t.Errorf("%d bytes in reads of %d: no room", n, size)
					}
					continue
				}
				if want := AppendFrame(nil, OpBinary, payload); !bytes.Equal(reply, want) {
					t.Errorf("%d bytes in reads of %d: %x, want %x", n, size, reply[:min(len(reply), 20)], want[:min(len(want), 20)])
				}
			}
		}
	}
}

func TestInPlaceRefuses(t *testing.T) {
	var r Reader
	m, _, _ := r.Next(&Options{}, masked(0x89, "ping"))
	m.Op = OpPong
	if reply, ok := m.InPlace(); !ok || !bytes.Equal(reply, AppendFrame(nil, OpPong, []byte("ping"))) {
		t.Errorf("pong: %x, %v", reply, ok)
	}
	m.Payload = m.Payload[:2]
	if reply, ok := m.InPlace(); !ok || !bytes.Equal(reply, AppendFrame(nil, OpPong, []byte("pi"))) {
		t.Errorf("payload cut: %x, %v", reply, ok)
	}
	m.Payload = []byte("elsewhere")[:4]
	if _, ok := m.InPlace(); ok {
		t.Error("payload elsewhere: accepted")
	}
	m.Payload = make([]byte, 100)
	if _, ok := m.InPlace(); ok {
		t.Error("payload longer: accepted")
	}
	if _, ok := new(Message).InPlace(); ok {
		t.Error("nothing: accepted")
	}
}
