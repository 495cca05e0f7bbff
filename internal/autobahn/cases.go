// The cases 1 to 5, 7, 9 and 10: frames.

package autobahn

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Cases returns all cases, in the order of their numbers. messages is how many those with many
// messages send at most; the suite has 1000.
func Cases(messages int) (cases []Case) {
	add := func(id string, play func(c *client) error) { cases = append(cases, Case{ID: id, play: play}) }
	framing(add)
	controls(add)
	reserved(add)
	fragments(add)
	utf8Cases(add)
	closes(add)
	limits(add, messages)
	add("10.1.1", func(c *client) error { // as a client that fragments by itself
		return c.echoed(0, opText, stars(65536), pieces(opText, stars(65536), 1300)...)
	})
	cases = append(cases, compressed(messages)...)
	slices.SortFunc(cases, func(a, b Case) int { return slices.Compare(numbers(a.ID), numbers(b.ID)) })
	return cases
}

// numbers are those of a case, to sort by.
func numbers(id string) (all []int) {
	for word := range strings.SplitSeq(id, ".") {
		n, _ := strconv.Atoi(word) // an ID is numbers and dots
		all = append(all, n)
	}
	return all
}

type adder func(id string, play func(c *client) error)

func whole(op byte, payload string) frame { return frame{fin: true, op: op, payload: []byte(payload)} }

func part(op byte, payload string, fin bool) frame {
	return frame{fin: fin, op: op, payload: []byte(payload)}
}

func stars(n int) []byte { return bytes.Repeat([]byte{'*'}, n) }

// pieces is a message in fragments.
func pieces(op byte, payload []byte, size int) (all []frame) {
	for {
		n := min(size, len(payload))
		all = append(all, frame{op: op, payload: payload[:n]})
		payload, op = payload[n:], opContinuation
		if len(payload) == 0 {
			all[len(all)-1].fin = true
			return all
		}
	}
}

// echoed sends the frames of one message, and wants it back and a clean end. Writing and reading
// overlap: a message may be larger than what the sockets hold.
func (c *client) echoed(chop int, op byte, payload []byte, frames ...frame) error {
	written := make(chan error, 1)
	go func() { written <- c.send(chop, frames...) }()
	if err := c.expect(op, payload); err != nil {
		return err
	}
	if err := <-written; err != nil {
		return err
	}
	return c.finish()
}

// violates sends frames, wants these messages for them, and then the end with a code.
func (c *client) violates(chop int, code uint16, frames []frame, want ...frame) error {
	if err := c.send(chop, frames...); err != nil {
		return err
	}
	for _, m := range want {
		if err := c.expect(m.op, m.payload); err != nil {
			return err
		}
	}
	return c.ends(code)
}

// answered is violates with an end from this side, if nothing is violated.
func (c *client) answered(chop int, frames []frame, want ...frame) error {
	if err := c.send(chop, frames...); err != nil {
		return err
	}
	for _, m := range want {
		if err := c.expect(m.op, m.payload); err != nil {
			return err
		}
	}
	return c.finish()
}

func framing(add adder) {
	for kind, op := range []byte{opText, opBinary} {
		for i, size := range []int{0, 125, 126, 127, 128, 65535, 65536, 65536} {
			chop := 0
			if i == 7 {
				chop = 997
			}
			payload := stars(size)
			if op == opBinary {
				payload = bytes.Repeat([]byte{0xfe}, size)
			}
			add(fmt.Sprintf("1.%d.%d", kind+1, i+1), func(c *client) error {
				return c.echoed(chop, op, payload, frame{fin: true, op: op, payload: payload})
			})
		}
	}
}

func controls(add adder) {
	pings := func(chop int, payloads ...string) func(c *client) error {
		return func(c *client) error {
			var sent, want []frame
			for _, p := range payloads {
				sent = append(sent, whole(opPing, p))
				want = append(want, whole(opPong, p))
			}
			return c.answered(chop, sent, want...)
		}
	}
	long := strings.Repeat("\xfe", 125)
	var ten []string
	for i := range 10 {
		ten = append(ten, fmt.Sprint("payload-", i))
	}
	add("2.1", pings(0, ""))
	add("2.2", pings(0, "Hello, world!"))
	add("2.3", pings(0, "\x00\xff\xfe\xfd\xfc\xfb\x00\xff"))
	add("2.4", pings(0, long))
	add("2.5", func(c *client) error { return c.violates(0, 1002, []frame{whole(opPing, long+"\xfe")}) })
	add("2.6", pings(1, long))
	add("2.7", func(c *client) error { return c.answered(0, []frame{whole(opPong, "")}) })
	add("2.8", func(c *client) error { return c.answered(0, []frame{whole(opPong, "unsolicited pong payload")}) })
	add("2.9", func(c *client) error {
		return c.answered(0, []frame{whole(opPong, "unsolicited pong payload"), whole(opPing, "ping payload")}, whole(opPong, "ping payload"))
	})
	add("2.10", pings(0, ten...))
	add("2.11", pings(1, ten...))
}

// reserved are the cases 3 and 4: reserved bits and opcodes.
func reserved(add adder) {
	hello := whole(opText, "Hello, world!")
	ping := whole(opPing, "")
	bits := func(f frame, rsv byte) frame {
		f.rsv = rsv
		return f
	}
	alone := func(id string, f frame) {
		add(id, func(c *client) error { return c.violates(0, 1002, []frame{f}) })
	}
	behind := func(id string, chop int, f frame) {
		add(id, func(c *client) error { return c.violates(chop, 1002, []frame{hello, f, ping}, hello) })
	}
	alone("3.1", bits(hello, 1))
	behind("3.2", 0, bits(hello, 2))
	behind("3.3", 7, bits(hello, 3))
	behind("3.4", 1, bits(hello, 4))
	alone("3.5", bits(whole(opBinary, "\x00\xff\xfe\xfd\xfc\xfb\x00\xff"), 5))
	alone("3.6", bits(whole(opPing, "Hello, world!"), 6))
	alone("3.7", bits(closing(1000, ""), 7))
	for group, first := range []byte{3, 11} {
		id := func(i int) string { return fmt.Sprintf("4.%d.%d", group+1, i) }
		alone(id(1), whole(first, ""))
		alone(id(2), whole(first+1, "reserved opcode payload"))
		behind(id(3), 0, whole(first+2, ""))
		behind(id(4), 0, whole(first+3, "reserved opcode payload"))
		behind(id(5), 1, whole(first+4, "reserved opcode payload"))
	}
}

func fragments(add adder) {
	one, two := part(opText, "fragment1", false), part(opContinuation, "fragment2", true)
	message := whole(opText, "fragment1fragment2")
	ping, pong := whole(opPing, "ping payload"), whole(opPong, "ping payload")
	lost, unfinished := part(opContinuation, "non-continuation payload", true), part(opContinuation, "non-continuation payload", false)
	hello := whole(opText, "Hello, world!")
	for id, op := range map[string]byte{"5.1": opPing, "5.2": opPong} {
		add(id, func(c *client) error {
			return c.violates(0, 1002, []frame{part(op, "fragment1", false), two})
		})
	}
	// chops are: all frames in one write, a write each, octet after octet.
	for i, chop := range []int{1 << 20, 0, 1} {
		id := func(first int) string { return fmt.Sprint("5.", first+i) }
		joined := func(frames ...frame) func(c *client) error {
			return func(c *client) error {
				if chop > 1 {
					var all []byte
					for _, f := range frames {
						all = append(all, f.bytes()...)
					}
					return c.write(0, all)
				}
				return c.send(chop, frames...)
			}
		}
		then := func(id string, send func(c *client) error, want ...frame) {
			add(id, func(c *client) error {
				if err := send(c); err != nil {
					return err
				}
				return c.answered(0, nil, want...)
			})
		}
		then(id(3), joined(one, two), message)
		then(id(6), joined(one, ping, two), pong, message)
		for first, f := range map[int]frame{9: lost, 12: unfinished} {
			add(id(first), func(c *client) error {
				if err := joined(f, hello)(c); err != nil {
					return err
				}
				return c.ends(1002)
			})
		}
	}
	add("5.15", func(c *client) error {
		return c.violates(0, 1002, []frame{one, two, unfinished, hello}, message)
	})
	for id, fin := range map[string]bool{"5.16": false, "5.17": true} {
		add(id, func(c *client) error {
			round := []frame{part(opContinuation, "fragment1", fin), part(opText, "fragment2", false), part(opContinuation, "fragment3", true)}
			return c.violates(0, 1002, append(round, round...))
		})
	}
	add("5.18", func(c *client) error {
		return c.violates(0, 1002, []frame{one, part(opText, "fragment2", true)})
	})
	five := func(c *client, pause bool) error {
		piece := func(i int) frame {
			op := byte(opContinuation)
			if i == 1 {
				op = opText
			}
			return part(op, fmt.Sprint("fragment", i), i == 5)
		}
		first, second := whole(opPing, "pongme 1!"), whole(opPing, "pongme 2!")
		want := []frame{whole(opPong, "pongme 1!"), whole(opPong, "pongme 2!"), whole(opText, "fragment1fragment2fragment3fragment4fragment5")}
		if !pause {
			return c.answered(0, []frame{piece(1), piece(2), first, piece(3), piece(4), second, piece(5)}, want...)
		}
		// The pause of the suite is the time that the first pong takes.
		if err := c.send(0, piece(1), piece(2), first); err != nil {
			return err
		}
		if err := c.expect(want[0].op, want[0].payload); err != nil {
			return err
		}
		return c.answered(0, []frame{piece(3), piece(4), second, piece(5)}, want[1:]...)
	}
	add("5.19", func(c *client) error { return five(c, true) })
	add("5.20", func(c *client) error { return five(c, false) })
}

func closes(add adder) {
	hello := whole(opText, "Hello World!")
	bye := closing(1000, "")
	answered := func(id string, f frame, code uint16, before ...frame) {
		add(id, func(c *client) error {
			return c.violates(0, code, append(before, f), before...)
		})
	}
	answered("7.1.1", bye, 1000, hello)
	for id, behind := range map[string][]frame{
		"7.1.2": {bye}, "7.1.3": {whole(opPing, "")}, "7.1.4": {hello},
	} {
		add(id, func(c *client) error { return c.violates(0, 1000, append([]frame{bye}, behind...)) })
	}
	add("7.1.5", func(c *client) error {
		return c.violates(0, 1000, []frame{part(opText, "fragment1", false), bye, part(opContinuation, "fragment2", true)})
	})
	add("7.1.6", func(c *client) error {
		big := bytes.Repeat([]byte("BAsd7&jh23"), 256<<10/10)
		written := make(chan error, 1)
		go func() {
			written <- c.send(0, frame{fin: true, op: opText, payload: big}, hello, bye, whole(opPing, ""))
		}()
		for {
			m, err := c.message()
			if err != nil {
				return err
			}
			if m.op == opClose {
				<-written // the ping may meet a connection that has ended
				return c.end()
			}
		}
	})
	answered("7.3.1", whole(opClose, ""), 0)
	answered("7.3.2", whole(opClose, "a"), 1002)
	answered("7.3.3", bye, 1000)
	answered("7.3.4", closing(1000, "Hello World!"), 1000)
	answered("7.3.5", closing(1000, strings.Repeat("*", 123)), 1000)
	answered("7.3.6", closing(1000, strings.Repeat("*", 124)), 1002)
	answered("7.5.1", closing(1000, "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80\x65\x64\x69\x74\x65\x64"), 1007)
	for i, code := range []uint16{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999} {
		answered(fmt.Sprint("7.7.", i+1), closing(code, ""), code)
	}
	for i, code := range []uint16{0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999} {
		answered(fmt.Sprint("7.9.", i+1), closing(code, ""), 1002)
	}
	answered("7.13.1", closing(5000, ""), 1002)
	answered("7.13.2", frame{fin: true, op: opClose, payload: []byte{0, 1, 0, 0}}, 1002)
}

func limits(add adder, messages int) {
	for kind, op := range []byte{opText, opBinary} {
		id := func(group, i int) string { return fmt.Sprintf("9.%d.%d", group+kind, i+1) }
		for i, size := range []int{64 << 10, 256 << 10, 1 << 20, 4 << 20, 8 << 20, 16 << 20} {
			add(id(1, i), func(c *client) error {
				return c.echoed(0, op, stars(size), frame{fin: true, op: op, payload: stars(size)})
			})
		}
		for i := range 9 {
			add(id(3, i), func(c *client) error {
				return c.echoed(0, op, stars(4<<20), pieces(op, stars(4<<20), 64<<(2*i))...)
			})
		}
		for i := range 6 {
			add(id(5, i), func(c *client) error {
				return c.echoed(64<<i, op, stars(1<<20), frame{fin: true, op: op, payload: stars(1 << 20)})
			})
		}
		for i, size := range []int{0, 16, 64, 256, 1024, 4096} {
			add(id(7, i), func(c *client) error {
				f := frame{fin: true, op: op, payload: stars(size)}
				for range messages {
					if err := c.send(0, f); err != nil {
						return err
					}
					if err := c.expect(op, f.payload); err != nil {
						return err
					}
				}
				return c.finish()
			})
		}
	}
}
