// The window of compressed messages: how far back their matches reach.

package frame

import (
	"bytes"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"testing"
)

// TestWindow: no match in a compressed message reaches back further than its window, whatever the
// pooled compressor has done before.
func TestWindow(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 200 {
		n := 1 + random.IntN(1<<random.IntN(18))
		for name, message := range map[string][]byte{"records": records(n), "noise": noise(n), "zeros": make([]byte, n), "far": far(n)} {
			for _, window := range []Window{WindowNarrow, WindowFull} {
				payload := AppendCompressed(nil, message, window)
				have, reach, err := inflateStrictly(payload)
				if err != nil || !bytes.Equal(have, message) {
					t.Fatalf("%d: %d bytes of %s: %d bytes, %v", i, n, name, len(have), err)
				}
				if reach > 1<<window {
					t.Fatalf("%d: %d bytes of %s reach back %d bytes with a window of %d", i, n, name, reach, 1<<window)
				}
			}
		}
	}
}

// TestNarrowWindowIsUsed: what repeats within the window is found.
func TestNarrowWindowIsUsed(t *testing.T) {
	message := bytes.Repeat(noise(100), 40)
	payload := AppendCompressed(nil, message, WindowNarrow)
	if _, reach, err := inflateStrictly(payload); err != nil || reach != 100 || len(payload) > 300 {
		t.Errorf("%d bytes became %d, which reach back %d bytes, %v", len(message), len(payload), reach, err)
	}
	message = far(5000)
	if n := len(AppendCompressed(nil, message, WindowNarrow)); n < 4000 {
		t.Errorf("what repeats beyond the window became %d bytes", n)
	}
	if n := len(AppendCompressed(nil, message, WindowFull)); n > 2000 {
		t.Errorf("what repeats within the full window became %d bytes", n)
	}
}

// far is n bytes that repeat at a distance of 1,000.
func far(n int) []byte { return bytes.Repeat(noise(1000), n/1000+1)[:n] }

// bitReader reads DEFLATE (RFC 1951, 3.1.1): bits from the lowest one on.
type bitReader struct {
	p   []byte
	at  int // in bits
	end error
}

func (r *bitReader) bits(n int) (v int) {
	for i := range n {
		if r.at/8 >= len(r.p) {
			r.end = fmt.Errorf("the data ends at bit %d", r.at)
			return 0
		}
		v |= int(r.p[r.at/8]>>(r.at%8)&1) << i
		r.at++
	}
	return v
}

// code is a Huffman code: its symbols by length and value.
type code map[[2]int]int

func newCode(lengths []int) code {
	c, value := code{}, 0
	for n := 1; n <= 15; n++ {
		for symbol, length := range lengths {
			if length == n {
				c[[2]int{n, value}] = symbol
				value++
			}
		}
		value <<= 1
	}
	return c
}

func (c code) read(r *bitReader) int {
	value := 0
	for n := 1; n <= 15 && r.end == nil; n++ {
		value = value<<1 | r.bits(1)
		if symbol, ok := c[[2]int{n, value}]; ok {
			return symbol
		}
	}
	if r.end == nil {
		r.end = fmt.Errorf("no code at bit %d", r.at)
	}
	return 0
}

// inflateStrictly is an inflater after the text of RFC 1951 that tells how far back the matches
// reach. A payload has no final block; it ends where its flush marker was removed.
func inflateStrictly(payload []byte) (message []byte, reach int, err error) {
	r := &bitReader{p: append(bytes.Clone(payload), inflateTail...)}
	for final := 0; final == 0 && r.end == nil; {
		final = r.bits(1)
		var literals, distances code
		switch r.bits(2) {
		case 0:
			r.at = (r.at + 7) &^ 7
			n := r.bits(16)
			r.bits(16)
			for range n {
				message = append(message, byte(r.bits(8)))
			}
			continue
		case 1:
			literals, distances = fixedCodes()
		case 2:
			literals, distances = readCodes(r)
		default:
			return message, reach, fmt.Errorf("reserved block type")
		}
		for r.end == nil {
			symbol := literals.read(r)
			if symbol < 256 {
				message = append(message, byte(symbol))
				continue
			}
			if symbol == 256 {
				break
			}
			length := readLength(r, symbol-257)
			distance := readDistance(r, distances.read(r))
			if distance > len(message) {
				return message, reach, fmt.Errorf("a match %d bytes back of %d", distance, len(message))
			}
			reach = max(reach, distance)
			for range length {
				message = append(message, message[len(message)-distance])
			}
		}
	}
	return message, reach, r.end
}

// readLength and readDistance are the tables of RFC 1951, 3.2.5.
func readLength(r *bitReader, symbol int) int {
	switch {
	case symbol < 8:
		return 3 + symbol
	case symbol == 28:
		return 258
	}
	extra := symbol/4 - 1
	return 3 + (4+symbol%4)<<extra + r.bits(extra)
}

func readDistance(r *bitReader, symbol int) int {
	if symbol < 4 {
		return 1 + symbol
	}
	extra := symbol/2 - 1
	return 1 + (2+symbol%2)<<extra + r.bits(extra)
}

func fixedCodes() (literals, distances code) {
	lengths := make([]int, 288)
	for i := range lengths {
		switch {
		case i < 144, i >= 280:
			lengths[i] = 8
		case i < 256:
			lengths[i] = 9
		default:
			lengths[i] = 7
		}
	}
	five := make([]int, 30)
	for i := range five {
		five[i] = bits.Len(31)
	}
	return newCode(lengths), newCode(five)
}

// readCodes is RFC 1951, 3.2.7.
func readCodes(r *bitReader) (literals, distances code) {
	nLiterals, nDistances, nLengths := 257+r.bits(5), 1+r.bits(5), 4+r.bits(4)
	order := []int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}
	ofLengths := make([]int, 19)
	for _, i := range order[:nLengths] {
		ofLengths[i] = r.bits(3)
	}
	c := newCode(ofLengths)
	var all []int
	repeat := func(length, n int) {
		for range n {
			all = append(all, length)
		}
	}
	for len(all) < nLiterals+nDistances && r.end == nil {
		switch symbol := c.read(r); {
		case symbol < 16:
			all = append(all, symbol)
		case symbol == 16 && len(all) > 0:
			repeat(all[len(all)-1], 3+r.bits(2))
		case symbol == 17:
			repeat(0, 3+r.bits(3))
		default:
			repeat(0, 11+r.bits(7))
		}
	}
	if len(all) != nLiterals+nDistances {
		r.end = fmt.Errorf("%d lengths of codes, not %d", len(all), nLiterals+nDistances)
		return nil, nil
	}
	return newCode(all[:nLiterals]), newCode(all[nLiterals:])
}
