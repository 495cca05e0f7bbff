// A Sink for tests: outboxes in memory, whose peers read as much as the test says.

package broadcast

import (
	"fmt"
	"strings"
)

// segment is what one Send or Gap has queued.
type segment struct {
	bytes   string
	mark, n uint32
	begun   bool // its first bytes are on their way
}

type outbox struct {
	queue    []segment
	received strings.Builder
	slow     int
}

// fakeSink has an outbox for each member. Nothing is written before flush.
type fakeSink struct {
	boxes   map[uint32]*outbox
	blocked map[uint32]bool // peers that read nothing
	onSlow  func(member uint32)
	sends   int
	gapPad  int // bytes by which announcements are longer
}

func newFakeSink() *fakeSink {
	return &fakeSink{boxes: make(map[uint32]*outbox), blocked: make(map[uint32]bool)}
}

func (f *fakeSink) box(member uint32) *outbox {
	b := f.boxes[member]
	if b == nil {
		b = new(outbox)
		f.boxes[member] = b
	}
	return b
}

func (f *fakeSink) Pending(member uint32) (n int) {
	for _, s := range f.box(member).queue {
		n += len(s.bytes)
	}
	return n
}

func (f *fakeSink) Send(member uint32, p []byte, mark uint32, n uint32) {
	f.sends++
	b := f.box(member)
	b.queue = append(b.queue, segment{bytes: string(p), mark: mark, n: n})
}

// reply queues bytes that are no messages and cannot be dropped.
func (f *fakeSink) reply(member uint32, p string) {
	b := f.box(member)
	b.queue = append(b.queue, segment{bytes: p})
}

func (f *fakeSink) DropOldest(member uint32, need int, dropped func(mark, n uint32)) (freed int) {
	b := f.box(member)
	var keep []segment
	for _, s := range b.queue {
		if freed >= need || s.begun || s.mark == 0 {
			keep = append(keep, s)
			continue
		}
		freed += len(s.bytes)
		dropped(s.mark, s.n)
	}
	b.queue = keep
	return freed
}

func (f *fakeSink) Gap(member uint32, _ Form, topic string, mark uint32, missed uint32, first bool) {
	b := f.box(member)
	g := segment{bytes: fmt.Sprintf("<%s-%d>%s", topic, missed, strings.Repeat(" ", f.gapPad)), mark: mark, n: missed}
	if !first {
		b.queue = append(b.queue, g)
		return
	}
	at := 0
	for at < len(b.queue) && b.queue[at].begun {
		at++
	}
	b.queue = append(b.queue[:at:at], append([]segment{g}, b.queue[at:]...)...)
}

func (*fakeSink) Encode(dst []byte, _ uint32, m *Message) []byte { return append(dst, m.Payload...) }
func (f *fakeSink) Slow(member uint32) {
	f.box(member).slow++
	if f.onSlow != nil {
		f.onSlow(member)
	}
}

// flush writes everything to the peers that read; drained are those whose backlog so has gone.
func (f *fakeSink) flush() {
	for m, b := range f.boxes {
		if !f.blocked[m] {
			b.flush()
		}
	}
}

func (b *outbox) flush() {
	for _, s := range b.queue {
		b.received.WriteString(s.bytes)
	}
	b.queue = nil
}

// got returns what the member's peer has read since the last call, without padding.
func (f *fakeSink) got(member uint32) string {
	b := f.box(member)
	s := strings.ReplaceAll(b.received.String(), " ", "")
	b.received.Reset()
	return s
}

// plain is an Encoder: the payload itself, in brackets.
func plain(dst []byte, m *Message) []byte {
	dst = append(dst, '[')
	dst = append(dst, m.Payload...)
	return append(dst, ']')
}

// angled is another: topic and payload.
func angled(dst []byte, m *Message) []byte {
	return fmt.Appendf(dst, "(%s:%s)", m.Topic, m.Payload)
}
