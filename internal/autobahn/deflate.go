// The cases 12 and 13: permessage-deflate (RFC 7692).

package autobahn

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// compressed are the cases 12, of five kinds of data, and 13, of seven offers.
func compressed(messages int) (cases []Case) {
	add := func(group string, offer string, op byte, data []byte) {
		for i, s := range []struct{ size, fragment int }{
			{16, 0}, {64, 0}, {256, 0}, {1 << 10, 0}, {4 << 10, 0}, {8 << 10, 0}, {16 << 10, 0}, {32 << 10, 0}, {64 << 10, 0}, {128 << 10, 0},
			{8 << 10, 256}, {16 << 10, 256}, {32 << 10, 256}, {64 << 10, 256}, {128 << 10, 256},
			{128 << 10, 1 << 10}, {128 << 10, 4 << 10}, {128 << 10, 32 << 10},
		} {
			count := messages
			if messages < suiteMessages {
				count = min(messages, max(caseBytes/s.size, 4))
			}
			cases = append(cases, Case{ID: fmt.Sprint(group, ".", i+1), Offer: offer, play: func(c *client) error {
				return c.packedEchoes(op, data, s.size, s.fragment, count)
			}})
		}
	}
	const offer = "permessage-deflate; client_max_window_bits"
	for i, kind := range []struct {
		op   byte
		data []byte
	}{{opBinary, prose()}, {opBinary, picture()}, {opBinary, noise()}, {opText, document()}, {opText, page()}} {
		add(fmt.Sprint("12.", i+1), offer, kind.op, kind.data)
	}
	for i, o := range []string{
		offer,
		offer + "; server_no_context_takeover",
		offer + "; server_max_window_bits=9",
		offer + "; server_max_window_bits=15",
		offer + "; server_no_context_takeover; server_max_window_bits=9",
		offer + "; server_no_context_takeover; server_max_window_bits=15",
		offer + "; server_no_context_takeover; server_max_window_bits=9, " + offer + "; server_no_context_takeover, " + offer,
	} {
		add(fmt.Sprint("13.", i+1), o, opText, document())
	}
	return cases
}

// suiteMessages is how many messages the suite sends in a case, and caseBytes about how many bytes
// fewer messages make together.
const (
	suiteMessages = 1000
	caseBytes     = 256 << 10
)

// packedEchoes sends messages one after the other, each compressed and perhaps in fragments, and
// wants each of them back.
func (c *client) packedEchoes(op byte, data []byte, size, fragment, count int) error {
	at := 0
	for range count {
		message := make([]byte, 0, size)
		for len(message) < size {
			n := min(size-len(message), len(data)-at)
			message = append(message, data[at:at+n]...)
			at = (at + n) % len(data)
		}
		packed, err := c.deflated(message)
		if err != nil {
			return err
		}
		if fragment == 0 {
			fragment = len(packed)
		}
		frames := pieces(op, packed, fragment)
		frames[0].rsv = 4 // RFC 7692, 6.1
		if err := c.send(0, frames...); err != nil {
			return err
		}
		if err := c.expect(op, message); err != nil {
			return err
		}
	}
	return c.finish()
}

// dataBytes is about how much data of each kind there is.
const dataBytes = 300 << 10

// The kinds of data. They are the same in each run.

// prose is text in Latin-1, as a book in German.
func prose() []byte {
	r := rand.New(rand.NewPCG(1, 2))
	words := strings.Fields("habe nun ach philosophie juristerei und medizin studiert mit hei\xdfem bem\xfchn da steh ich armer tor bin so klug als wie zuvor")
	var b strings.Builder
	for b.Len() < dataBytes {
		b.WriteString(words[r.IntN(len(words))])
		b.WriteString([]string{" ", ", ", ".\r\n"}[r.IntN(3)])
	}
	return []byte(b.String())
}

// picture is grey levels that change slowly.
func picture() []byte {
	r := rand.New(rand.NewPCG(3, 4))
	all := make([]byte, dataBytes)
	for i := range all {
		all[i] = byte(i/512/2 + i%512/4 + r.IntN(4))
	}
	return all
}

// noise does not get smaller.
func noise() []byte {
	r := rand.New(rand.NewPCG(5, 6))
	all := make([]byte, dataBytes)
	for i := range all {
		all[i] = byte(r.Uint32())
	}
	return all
}

// document is JSON.
func document() []byte {
	r := rand.New(rand.NewPCG(7, 8))
	var b strings.Builder
	for b.Len() < dataBytes {
		fmt.Fprintf(&b, `{"id":%d,"name":"user %d","tags":["a","b"],"score":%.3f},`, r.IntN(1e6), r.IntN(100), r.Float64())
	}
	return []byte(b.String())
}

// page is HTML.
func page() []byte {
	r := rand.New(rand.NewPCG(9, 10))
	var b strings.Builder
	for b.Len() < dataBytes {
		fmt.Fprintf(&b, "<tr class=\"row%d\"><td>%d</td><td><a href=\"/item/%d\">item</a></td></tr>\n", r.IntN(2), r.IntN(1000), r.IntN(1e6))
	}
	return []byte(b.String())
}
