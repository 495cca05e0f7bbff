// The cases 6: UTF-8. Their sequences are those of Markus Kuhn's UTF-8 decoder stress test.

package autobahn

import (
	"fmt"
	"strings"
)

const (
	greek     = "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5"
	surrogate = "\xed\xa0\x80"
	beyond    = "\xf4\x90\x80\x80" // U+110000
	ascii     = "edited"
)

func utf8Cases(add adder) {
	echoes := func(id string, payload string, frames ...frame) {
		add(id, func(c *client) error { return c.echoed(0, opText, []byte(payload), frames...) })
	}
	hello := "Hello-µ@ßöäüàá-UTF-8!!"
	echoes("6.1.1", "", whole(opText, ""))
	echoes("6.1.2", "", part(opText, "", false), part(opContinuation, "", false), part(opContinuation, "", true))
	echoes("6.1.3", "middle frame payload", part(opText, "", false), part(opContinuation, "middle frame payload", false), part(opContinuation, "", true))
	echoes("6.2.1", hello, whole(opText, hello))
	echoes("6.2.2", hello, part(opText, hello[:12], false), part(opContinuation, hello[12:], true))
	echoes("6.2.3", hello, pieces(opText, []byte(hello), 1)...)
	echoes("6.2.4", greek, pieces(opText, []byte(greek), 1)...)
	invalid := func(id string, frames ...frame) {
		add(id, func(c *client) error {
			_ = c.send(0, frames...) // the server may end the connection before the last
			return c.ends(1007)
		})
	}
	invalid("6.3.1", whole(opText, greek+surrogate+ascii))
	invalid("6.3.2", pieces(opText, []byte(greek+surrogate+ascii), 1)...)
	// The connection fails at the octet that no continuation makes valid, before the rest is sent.
	invalid("6.4.1", part(opText, greek, false), part(opContinuation, beyond, false))
	invalid("6.4.2", part(opText, greek+beyond[:1], false), part(opContinuation, beyond[1:2], false))
	for id, cut := range map[string][2]int{"6.4.3": {len(greek), len(greek) + len(beyond)}, "6.4.4": {len(greek) + 1, len(greek) + 2}} {
		add(id, func(c *client) error {
			f := whole(opText, greek+beyond+ascii).bytes()
			head := len(f) - len(greek+beyond+ascii)
			for _, piece := range [][]byte{f[:head+cut[0]], f[head+cut[0] : head+cut[1]]} {
				if err := c.write(0, piece); err != nil {
					return err
				}
			}
			return c.ends(1007)
		})
	}
	for i, group := range sequences() {
		for j, s := range group {
			id := fmt.Sprintf("6.%d.%d", i+5, j+1)
			if text, valid := strings.CutPrefix(s, "+"); valid {
				echoes(id, text, whole(opText, text))
			} else {
				invalid(id, whole(opText, s[1:]))
			}
		}
	}
}

// sequences are those of the groups 6.5 to 6.23, the valid ones with a plus in front.
func sequences() (groups [][]string) {
	group := func(sign string, all ...string) {
		var g []string
		for _, s := range all {
			g = append(g, sign+s)
		}
		groups = append(groups, g)
	}
	group("+", "hello\x24world", "hello\xC2\xA2world", "hello\xE2\x82\xACworld", "hello\xF0\xA4\xAD\xA2world", greek)
	groups = append(groups, prefixesOf(greek))
	group("+", "\x00", "\xc2\x80", "\xe0\xa0\x80", "\xf0\x90\x80\x80")
	group("-", "\xf8\x88\x80\x80\x80", "\xfc\x84\x80\x80\x80\x80")
	group("+", "\x7f", "\xdf\xbf", "\xef\xbf\xbf", "\xf4\x8f\xbf\xbf")
	group("-", "\xf7\xbf\xbf\xbf", "\xfb\xbf\xbf\xbf\xbf", "\xfd\xbf\xbf\xbf\xbf\xbf")
	groups = append(groups, []string{"+\xed\x9f\xbf", "+\xee\x80\x80", "+\xef\xbf\xbd", "+\xf4\x8f\xbf\xbf", "-\xf4\x90\x80\x80"})
	continuations := "\x80\xbf\x80\xbf\x80\xbf"
	group("-", "\x80", "\xbf", continuations[:2], continuations[:3], continuations[:4], continuations[:5], continuations, span(0x80, 0xbe, ""))
	group("-", span(0xc0, 0xde, " "), span(0xe0, 0xee, " "), span(0xf0, 0xf6, " "), span(0xf8, 0xfa, " "), span(0xfc, 0xfc, " "))
	cut := []string{"\xc0", "\xe0\x80", "\xf0\x80\x80", "\xf8\x80\x80\x80", "\xfc\x80\x80\x80\x80",
		"\xdf", "\xef\xbf", "\xf7\xbf\xbf", "\xfb\xbf\xbf\xbf", "\xfd\xbf\xbf\xbf\xbf"}
	group("-", cut...)
	group("-", strings.Join(cut, ""))
	group("-", "\xfe", "\xff", "\xfe\xfe\xff\xff")
	group("-", "\xc0\xaf", "\xe0\x80\xaf", "\xf0\x80\x80\xaf", "\xf8\x80\x80\x80\xaf", "\xfc\x80\x80\x80\x80\xaf")
	group("-", "\xc1\xbf", "\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf", "\xf8\x87\xbf\xbf\xbf", "\xfc\x83\xbf\xbf\xbf\xbf")
	group("-", "\xc0\x80", "\xe0\x80\x80", "\xf0\x80\x80\x80", "\xf8\x80\x80\x80\x80", "\xfc\x80\x80\x80\x80\x80")
	group("-", "\xed\xa0\x80", "\xed\xad\xbf", "\xed\xae\x80", "\xed\xaf\xbf", "\xed\xb0\x80", "\xed\xbe\x80", "\xed\xbf\xbf")
	var pairs []string
	for _, high := range []string{"\xed\xa0\x80", "\xed\xad\xbf", "\xed\xae\x80", "\xed\xaf\xbf"} {
		pairs = append(pairs, high+"\xed\xb0\x80", high+"\xed\xbf\xbf")
	}
	group("-", pairs...)
	nons := []string{"\xef\xbf\xbe", "\xef\xbf\xbf"} // code points that are no characters are valid
	for plane := rune(1); plane <= 16; plane++ {
		nons = append(nons, string(plane<<16|0xfffe), string(plane<<16|0xffff))
	}
	group("+", nons...)
	group("+", "\xef\xbf\xb9", "\xef\xbf\xba", "\xef\xbf\xbb", "\xef\xbf\xbc", "\xef\xbf\xbd", "\xef\xbf\xbe", "\xef\xbf\xbf")
	return groups
}

// prefixesOf is all prefixes of a text, valid where they end with a character.
func prefixesOf(s string) (all []string) {
	valid := map[int]bool{len(s): true}
	for i := range s {
		valid[i] = true
	}
	for n := 1; n <= len(s); n++ {
		sign := "-"
		if valid[n] {
			sign = "+"
		}
		all = append(all, sign+s[:n])
	}
	return all
}

// span is the octets from first to last, with something behind each.
func span(first, last byte, behind string) string {
	var b strings.Builder
	for i := int(first); i <= int(last); i++ {
		b.WriteByte(byte(i))
		b.WriteString(behind)
	}
	return b.String()
}
