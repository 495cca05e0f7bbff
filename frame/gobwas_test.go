// A second implementation to compare with: gobwas/ws for headers, masks and sequence rules, the
// standard library for deflate and UTF-8.

package frame

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// readGobwas reads a client's stream. cut says that it ended inside a frame, where the Reader may
// already know better.
func readGobwas(in []byte, o *Options) (out []got, cut bool) {
	src := bytes.NewReader(in)
	var op OpCode
	var message []byte
	var compressed, open bool
	fail := func(code uint16) ([]got, bool) { return append(out, got{Err: code}), false }
	for {
		start := len(in) - src.Len()
		h, err := ws.ReadHeader(src)
		switch {
		case errors.Is(err, ws.ErrHeaderLengthMSB):
			return fail(1002)
		case err != nil:
			return out, err != io.EOF || start < len(in)
		}
		state := ws.StateServerSide
		if o.Deflate {
			state |= ws.StateExtended
		}
		if open {
			state |= ws.StateFragmented
		}
		rsv1, rsv2, rsv3 := ws.RsvBits(h.Rsv)
		minimal := len(in)-src.Len()-start == ws.HeaderSize(h)
		if ws.CheckHeader(h, state) != nil || rsv2 || rsv3 || rsv1 && (h.OpCode.IsControl() || open) || !minimal {
			return fail(1002)
		}
		if !h.OpCode.IsControl() {
			if !open {
				op, compressed, open, message = h.OpCode, rsv1, true, nil
			}
			limit := o.messageBytesMax()
			if compressed {
				limit = compressedBytesMax(limit)
			}
			if h.Length > int64(limit-len(message)) {
				return fail(1009)
			}
		}
		if h.Length > int64(src.Len()) {
			return out, true
		}
		payload := make([]byte, h.Length)
		_, _ = io.ReadFull(src, payload)
		ws.Cipher(payload, h.Mask, 0)
		if h.OpCode.IsControl() {
			out = append(out, got{Op: h.OpCode, Payload: string(payload)})
			if h.OpCode == OpClose {
				return out, false
			}
			continue
		}
		message = append(message, payload...)
		if !h.Fin {
			if op == OpText && !compressed && !canGoOnSlowly(message) {
				return fail(1007)
			}
			continue
		}
		open = false
		if compressed {
			if message, err = Inflate(nil, message, o.messageBytesMax()); err != nil {
				return fail(err.(*Error).Code)
			}
		}
		if op == OpText && !utf8.Valid(message) {
			return fail(1007)
		}
		out = append(out, got{Op: op, Payload: string(message), Compressed: compressed})
	}
}

// canGoOnSlowly reports whether a text may continue to something valid.
func canGoOnSlowly(p []byte) bool {
	for i := 0; i <= 3 && i <= len(p); i++ {
		if utf8.Valid(p[:len(p)-i]) {
			return canGoOn(string(p[len(p)-i:]))
		}
	}
	return false
}

// sameAsGobwas compares a reading of in with the reference.
func sameAsGobwas(t testing.TB, have []got, in []byte, o *Options) {
	t.Helper()
	want, cut := readGobwas(in, o)
	if n := len(want); n > 0 && want[n-1].Op == OpClose {
		if _, _, err := ParseClose([]byte(want[n-1].Payload)); err != nil {
			want[n-1] = got{Err: err.(*Error).Code}
		}
	}
	if cut && len(have) == len(want)+1 && have[len(want)].Err != 0 {
		have = have[:len(want)]
	}
	if len(have) != len(want) {
		t.Fatalf("%x\nhave %v\nwant %v", in, have, want)
	}
	for i := range want {
		if have[i] != want[i] {
			t.Fatalf("%x\nitem %d: have %v, want %v", in, i, have[i], want[i])
		}
	}
}

// randomStream makes a stream of mostly legal frames.
func randomStream(rng *rand.Rand) []byte {
	var in []byte
	open := false
	for range 1 + rng.IntN(8) {
		payload := randomPayload(rng)
		op, fin := OpCode(1+rng.IntN(2)), rng.IntN(3) > 0
		switch {
		case rng.IntN(5) == 0:
			op, fin, payload = OpPing+OpCode(rng.IntN(2)), true, payload[:min(len(payload), 125)]
		case open:
			op, open = OpContinuation, !fin
		default:
			open = !fin
		}
		in = AppendMasked(in, op, fin, [4]byte{byte(rng.Uint32()), byte(rng.Uint32()), byte(rng.Uint32()), byte(rng.Uint32())}, payload)
	}
	switch rng.IntN(4) {
	case 0:
		in = append(in, AppendMasked(nil, OpClose, true, [4]byte{1, 2, 3, 4}, AppendCloseBody(nil, CodeNormal, "bye"))...)
	case 1:
		in[rng.IntN(len(in))] ^= 1 << rng.IntN(8)
	case 2:
		in = in[:rng.IntN(len(in))]
	}
	return in
}

func randomPayload(rng *rand.Rand) []byte {
	n := [...]int{0, 1, 5, 64, 125, 126, 200, 1000, 1001}[rng.IntN(9)]
	p := bytes.Repeat([]byte("a€😀é"), n/10+1)[:n]
	for n > 0 && !utf8.Valid(p) {
		p = p[:len(p)-1]
	}
	return p
}

func TestReaderMatchesGobwas(t *testing.T) {
	const seed = 2
	rng := rand.New(rand.NewPCG(seed, seed))
	for range 3000 {
		o := &Options{MessageBytesMax: 2000, Deflate: rng.IntN(2) == 0}
		in := randomStream(rng)
		sameAsGobwas(t, read(t, o, in), in, o)
		sameAsGobwas(t, read(t, o, cut(in, 1+rng.IntN(40))...), in, o)
	}
}
