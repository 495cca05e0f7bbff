package frame

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"testing"
	"unicode/utf8"
)

// pieces cuts a stream at points derived from seed.
func pieces(in []byte, seed uint64) [][]byte {
	var out [][]byte
	for len(in) > 0 {
		// xorshift64: any seed will do, and zero cuts nothing.
		seed ^= seed << 13
		seed ^= seed >> 7
		seed ^= seed << 17
		n := len(in)
		if seed != 0 {
			n = min(n, 1+int(seed%24))
		}
		out, in = append(out, in[:n]), in[n:]
	}
	return out
}

// FuzzReader: a stream read whole, in pieces and byte by byte gives the same messages and the same
// close code, and those of gobwas/ws.
func FuzzReader(f *testing.F) {
	f.Fuzz(func(t *testing.T, in []byte, seed uint64, flags byte) {
		o := &Options{MessageBytesMax: 1000, Deflate: flags&1 != 0, Client: flags&2 != 0}
		whole := read(t, o, in)
		if split := read(t, o, pieces(in, seed)...); !slices.Equal(whole, split) {
			t.Fatalf("%x\nwhole %v\nsplit %v", in, whole, split)
		}
		if single := read(t, o, byByte(in)...); !slices.Equal(whole, single) {
			t.Fatalf("%x\nwhole  %v\nsingle %v", in, whole, single)
		}
		for _, m := range whole {
			if limit := max(1000, ControlBytesMax); len(m.Payload) > limit || m.Op == OpText && !utf8.ValidString(m.Payload) {
				t.Fatalf("%x\ndelivered %v", in, m)
			}
		}
		if !o.Client {
			sameAsGobwas(t, whole, in, o)
		}
	})
}

// FuzzInflate: never more than the limit, the same as the standard library where that reads one
// stream to its end, and what we compress comes back.
func FuzzInflate(f *testing.F) {
	f.Fuzz(func(t *testing.T, payload []byte, limit uint32) {
		limit %= 4 * inflateWindowBytes
		have, err := Inflate(nil, payload, int(limit))
		if len(have) > int(limit) || err != nil && have != nil {
			t.Fatalf("%d bytes with a limit of %d, %v", len(have), limit, err)
		}
		want, stdErr := stdInflate(payload)
		if err == nil && stdErr == nil && !bytes.HasPrefix(have, want) {
			t.Fatalf("%x\nhave %x\nwant %x", payload, have, want)
		}
		if err == nil && stdErr != nil || errors.Is(err, ErrTooBig) && stdErr == nil && len(want) <= int(limit) && !hasFinalBlock(payload) {
			t.Fatalf("%x\n%v, the standard library: %v with %d bytes", payload, err, stdErr, len(want))
		}
		window := WindowFull
		if len(payload)%2 == 1 {
			window = WindowNarrow
		}
		back, err := Inflate(nil, AppendCompressed(nil, payload, window), len(payload))
		if err != nil || !bytes.Equal(back, payload) {
			t.Fatalf("round trip of %x: %x, %v", payload, back, err)
		}
	})
}

// hasFinalBlock reports whether a stream ends inside the payload, so that more than the standard
// library reads may follow.
func hasFinalBlock(payload []byte) bool {
	var f inflater
	f.open(payload)
	for {
		if _, err := f.stream.Read(f.window[:]); err != nil {
			return f.pos < len(payload)
		}
	}
}

// FuzzNegotiate: never panics, answers only with what was offered, and an offer put in front of a
// good one never spoils it.
func FuzzNegotiate(f *testing.F) {
	f.Fuzz(func(t *testing.T, offers []byte) {
		before := bytes.Clone(offers)
		answer, window := NegotiateDeflate(offers)
		if !bytes.Equal(before, offers) {
			t.Fatalf("%q was changed", before)
		}
		switch {
		case window == NoWindow && answer == nil:
		case window == WindowFull && string(answer) == deflateAnswer && bytes.Contains(offers, []byte("permessage-deflate")):
		case window != NoWindow && bytes.HasPrefix(answer, []byte(deflateAnswer+"; server_max_window_bits=")) &&
			bytes.Contains(offers, []byte("server_max_window_bits")):
		default:
			t.Fatalf("%q: %q, %v", offers, answer, window)
		}
		if bytes.IndexByte(offers, '"') < 0 {
			if _, window := NegotiateDeflate(append(before, ", permessage-deflate"...)); window == NoWindow {
				t.Fatalf("%q spoils the offer behind it", offers)
			}
		}
	})
}

// FuzzParseClose: what is accepted can be sent back, and comes out the same.
func FuzzParseClose(f *testing.F) {
	f.Fuzz(func(t *testing.T, payload []byte) {
		code, reason, err := ParseClose(payload)
		if err != nil {
			if c := codeOf(t, err); c != CodeProtocol && c != CodeInvalidData || code != 0 || reason != "" {
				t.Fatalf("%x: %d, %q, %v", payload, code, reason, err)
			}
			return
		}
		if code == CodeNoStatus {
			if len(payload) != 0 {
				t.Fatalf("%x: no status", payload)
			}
			return
		}
		if !utf8.ValidString(reason) || binary.BigEndian.Uint16(payload) != code {
			t.Fatalf("%x: %d, %q", payload, code, reason)
		}
		if len(reason) <= CloseReasonBytesMax && !bytes.Equal(AppendCloseBody(nil, code, reason), payload) {
			t.Fatalf("%x does not come back", payload)
		}
	})
}
