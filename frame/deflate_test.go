package frame

import (
	"bytes"
	stdflate "compress/flate"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
)

// records is compressible data of n bytes.
func records(n int) []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, `{"id":%d,"name":"user %x","balance":%d},`, i, i*7919, i*i*31)
	}
	return b.Bytes()[:n]
}

// noise is incompressible data of n bytes.
func noise(n int) []byte {
	p := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(p)
	return p
}

// stdInflate is the standard library's idea of a single stream.
func stdInflate(payload []byte) ([]byte, error) {
	return io.ReadAll(stdflate.NewReader(strings.NewReader(string(payload) + inflateTail)))
}

func TestCompressRoundTrip(t *testing.T) {
	for _, n := range []int{0, 1, 5, 64, 1000, 32766, 32767, 32768, inflateWindowBytes - 1, inflateWindowBytes, inflateWindowBytes + 1, 300_000} {
		for name, message := range map[string][]byte{"records": records(n), "noise": noise(n), "zeros": make([]byte, n)} {
			payload := AppendCompressed([]byte("dst"), message, WindowFull)[3:]
			if have, err := stdInflate(payload); err != nil || !bytes.Equal(have, message) {
				t.Errorf("%d bytes of %s: the standard library reads %d bytes, %v", n, name, len(have), err)
			}
			have, err := Inflate([]byte("dst"), payload, n)
			if err != nil || string(have) != "dst"+string(message) {
				t.Errorf("%d bytes of %s: %d bytes, %v", n, name, len(have), err)
			}
			if len(payload) > compressedBytesMax(n) {
				t.Errorf("%d bytes of %s: compressed to %d, more than is allowed", n, name, len(payload))
			}
			if n > 0 {
				if have, err := Inflate([]byte("dst"), payload, n-1); !errors.Is(err, ErrTooBig) || string(have) != "dst" {
					t.Errorf("%d bytes of %s with a limit one less: %d bytes, %v", n, name, len(have), err)
				}
			}
		}
	}
}

func TestInflateVectors(t *testing.T) {
	final := func(message string) string { // a finished stream: its last block has BFINAL set
		var b bytes.Buffer
		w, _ := stdflate.NewWriter(&b, stdflate.BestSpeed)
		_, _ = io.WriteString(w, message)
		_ = w.Close()
		return b.String()
	}
	hello := "\xf2\x48\xcd\xc9\xc9\x07\x00"
	tests := []struct{ name, payload, want string }{
		{"RFC 7692, 7.2.3.1: one block", hello, "Hello"},
		{"RFC 7692, 7.2.3.3: stored", "\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", "Hello"},
		{"RFC 7692, 7.2.3.4: BFINAL", "\xf3\x48\xcd\xc9\xc9\x07\x00\x00", "Hello"},
		{"RFC 7692, 7.2.3.5: two blocks", "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", "Hello"},
		{"RFC 7692, 7.2.3.6: empty", "\x00", ""},
		{"BFINAL without the closing octet", "\xf3\x48\xcd\xc9\xc9\x07\x00", "Hello"},
		{"two final streams", final("Hello, ") + final("world") + "\x00", "Hello, world"},
		{"final streams, the last unfinished", final("Hello, ") + hello, "Hello, Hello"},
		{"many empty final streams", strings.Repeat("\x03\x00", 1000) + hello, "Hello"},
	}
	for _, tt := range tests {
		have, err := Inflate(nil, []byte(tt.payload), 1000)
		if err != nil || string(have) != tt.want {
			t.Errorf("%s: %q, %v, want %q", tt.name, have, err, tt.want)
		}
	}
	long := strings.Repeat(final(string(records(50_000))), 4) + "\x00"
	if have, err := Inflate(nil, []byte(long), 200_000); err != nil || string(have) != strings.Repeat(string(records(50_000)), 4) {
		t.Errorf("final streams beyond the window: %d bytes, %v", len(have), err)
	}
}

func TestInflateCorrupt(t *testing.T) {
	whole := AppendCompressed(nil, records(500), WindowFull)
	for name, payload := range map[string][]byte{
		"nothing":                                 nil, // RFC 7692, 7.2.3.6 wants one octet
		"reserved block type":                     {0xff, 0xff},
		"distance before the start":               {0x4b, 0x04, 0x42, 0x00},
		"stored length and its complement differ": {0x00, 0x05, 0x00, 0x00, 0x00, 1, 2, 3, 4, 5},
		"cut":                   whole[:len(whole)/2],
		"cut behind the window": AppendCompressed(nil, noise(200_000), WindowFull)[:150_000],
	} {
		have, err := Inflate([]byte("dst"), payload, 1<<20)
		if !errors.Is(err, ErrCorrupt) || string(have) != "dst" {
			t.Errorf("%s: %.20q, %v", name, have, err)
		}
	}
}

// TestBombHoldsNothing inflates 64 MiB of zeros with a limit of 8 MiB and counts what is allocated.
func TestBombHoldsNothing(t *testing.T) {
	bomb := AppendCompressed(nil, make([]byte, 64<<20), WindowFull)
	_, _ = Inflate(nil, bomb, 1) // fills the pool
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := Inflate(nil, bomb, 8<<20); !errors.Is(err, ErrTooBig) {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	// The pool may have been emptied, and is refilled by at most a decompressor and its window.
	if held := after.TotalAlloc - before.TotalAlloc; held > 4*inflateWindowBytes {
		t.Errorf("a bomb of %d bytes allocated %d", len(bomb), held)
	}
}

func TestNegotiateDeflate(t *testing.T) {
	const plain, window = deflateAnswer, deflateAnswer + "; server_max_window_bits=15"
	tests := []struct{ offers, want string }{
		{"permessage-deflate", plain},
		{" permessage-deflate ", plain},
		{"permessage-deflate; client_max_window_bits", plain}, // Chromium
		{"permessage-deflate;client_max_window_bits=10", plain},
		{"permessage-deflate; server_no_context_takeover; client_no_context_takeover", plain},
		{"permessage-deflate; client_max_window_bits; server_max_window_bits=15", window},
		{`permessage-deflate; server_max_window_bits="15"`, window},
		{`permessage-deflate; server_max_window_bits="1\5"`, window},
		{"permessage-deflate ; server_max_window_bits = 15", window},
		{",, permessage-deflate,", plain},
		{"x-webkit-deflate-frame, permessage-deflate", plain},
		{`foo; bar="a, permessage-deflate", permessage-deflate`, plain},
		{`foo; bar="\", permessage-deflate"`, ""},

		{"", ""},
		{",", ""},
		{"foo", ""},
		{"PERMESSAGE-DEFLATE", ""},
		{"permessage-deflatex", ""},
		{"permessage-deflate foo", ""},
		{"permessage-deflate;", ""},
		{"permessage-deflate; =", ""},
		{"permessage-deflate; foo", ""},
		{"permessage-deflate; foo=1", ""},
		{"permessage-deflate; server_max_window_bits", ""},
		{"permessage-deflate; server_max_window_bits=", ""},
		{`permessage-deflate; server_max_window_bits=""`, ""},
		{`permessage-deflate; server_max_window_bits="15`, ""},
		{`permessage-deflate; server_max_window_bits="15, permessage-deflate`, ""},
		{"permessage-deflate; server_max_window_bits=14", deflateAnswer + "; server_max_window_bits=14"},
		{"permessage-deflate; server_max_window_bits=10", deflateAnswer + "; server_max_window_bits=10"},
		{"permessage-deflate; server_max_window_bits=8", deflateAnswer + "; server_max_window_bits=8"},
		{"permessage-deflate; server_max_window_bits=7", ""},
		{"permessage-deflate; server_max_window_bits=16", ""},
		{"permessage-deflate; server_max_window_bits=015", ""},
		{"permessage-deflate; server_max_window_bits=15x", ""},
		{"permessage-deflate; client_max_window_bits=7", ""},
		{"permessage-deflate; client_max_window_bits=16", ""},
		{"permessage-deflate; client_max_window_bits=08", ""},
		{"permessage-deflate; client_max_window_bits=", ""},
		{"permessage-deflate; server_no_context_takeover=1", ""},
		{"permessage-deflate; client_no_context_takeover=true", ""},
		{"permessage-deflate; server_no_context_takeover; server_no_context_takeover", ""},
		{"permessage-deflate; client_no_context_takeover; client_no_context_takeover", ""},
		{"permessage-deflate; server_max_window_bits=15; server_max_window_bits=15", ""},
		{"permessage-deflate; client_max_window_bits; client_max_window_bits", ""},

		{"permessage-deflate; foo=1, permessage-deflate", plain},
		{"permessage-deflate; =, permessage-deflate", plain},
		{"permessage-deflate; server_max_window_bits=10; client_max_window_bits=12, permessage-deflate", deflateAnswer + "; server_max_window_bits=10"},
		{"permessage-deflate; server_max_window_bits=9; foo, permessage-deflate", plain},
		{"permessage-deflate; server_max_window_bits=7, permessage-deflate; server_max_window_bits=15", window},
		{`permessage-deflate; server_max_window_bits="1,5", permessage-deflate`, plain},
		{"permessage-deflate, permessage-deflate; server_max_window_bits=15", plain},
	}
	for _, tt := range tests {
		have, got := NegotiateDeflate([]byte(tt.offers))
		want := NoWindow
		switch {
		case strings.Contains(tt.want, "bits=") && !strings.Contains(tt.want, "bits=15"):
			want = WindowNarrow
		case tt.want != "":
			want = WindowFull
		}
		if string(have) != tt.want || got != want {
			t.Errorf("%s\nhave %q, %v\nwant %q, %v", tt.offers, have, got, tt.want, want)
		}
	}
}

func ExampleNegotiateDeflate() {
	answer, window := NegotiateDeflate([]byte("permessage-deflate; foo=1, permessage-deflate; client_max_window_bits"))
	fmt.Println(window == WindowFull, string(answer))
	// Output: true permessage-deflate; server_no_context_takeover; client_no_context_takeover
}

func ExampleAppendCompressed() {
	payload := AppendCompressed(nil, bytes.Repeat([]byte("tick "), 100), WindowFull)
	frame := append(AppendHeader(nil, OpText, true, len(payload)), payload...)

	var r Reader
	m, _, err := r.Next(&Options{Client: true, Deflate: true}, frame)
	fmt.Println(m.Compressed, len(m.Payload), err)
	// Output: true 500 <nil>
}
