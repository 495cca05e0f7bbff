// The wire format: what is written can be read again, and nothing else is taken.

package bus

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// packetOfAll has a record of each type in it.
func packetOfAll() []byte {
	p := appendPacketHeader(nil, 0x0123456789abcdef)
	p = appendMessage(p, recordMessage, 1, &Message{Topic: "a", Kind: 1, Payload: []byte("{}")})
	p = appendMessage(p, recordQuestion, 1<<40, &Message{Topic: strings.Repeat("é", 127), Kind: 255, Payload: bytes.Repeat([]byte{0}, 300)})
	p = appendMessage(p, recordMessage, 3, &Message{})
	p = appendAnswer(p, 7, Tally{Matched: 100000, Queued: 99999, Dropped: 1})
	p = appendLost(p, 8)
	p = appendPresence(p, recordHello, 0, "host/1")
	p = appendPresence(p, recordBeat, 9, strings.Repeat("n", NameBytesMax))
	p = appendPresence(p, recordBye, 10, "host/1")
	p = appendGone(p, "host/2")
	p = appendDirect(p, &Message{Topic: "x", Kind: 200, Payload: []byte("digest")})
	return appendProbe(p, 11)
}

func readAll(p []byte) (records []record, err error) {
	_, rest, err := readPacketHeader(p)
	for err == nil && len(rest) > 0 {
		var r record
		if r, rest, err = nextRecord(rest); err == nil {
			records = append(records, r)
		}
	}
	return records, err
}

func TestPacket(t *testing.T) {
	p := packetOfAll()
	if sender, _, err := readPacketHeader(p); err != nil || sender != 0x0123456789abcdef {
		t.Errorf("sender %x %v", sender, err)
	}
	records, err := readAll(p)
	if err != nil || len(records) != 11 {
		t.Fatalf("%d records %v", len(records), err)
	}
	for i, want := range []record{
		{typ: recordMessage, sequence: 1, kind: 1, topic: []byte("a"), payload: []byte("{}")},
		{typ: recordQuestion, sequence: 1 << 40, kind: 255, topic: bytes.Repeat([]byte("é"), 127), payload: make([]byte, 300)},
		{typ: recordMessage, sequence: 3},
		{typ: recordAnswer, sequence: 7, tally: Tally{Matched: 100000, Queued: 99999, Dropped: 1}},
		{typ: recordLost, sequence: 8},
		{typ: recordHello, name: []byte("host/1")},
		{typ: recordBeat, sequence: 9, name: bytes.Repeat([]byte("n"), NameBytesMax)},
		{typ: recordBye, sequence: 10, name: []byte("host/1")},
		{typ: recordGone, name: []byte("host/2")},
		{typ: recordDirect, kind: 200, topic: []byte("x"), payload: []byte("digest")},
		{typ: recordProbe, sequence: 11},
	} {
		got := records[i]
		if got.typ != want.typ || got.sequence != want.sequence || got.kind != want.kind || got.tally != want.tally ||
			!bytes.Equal(got.topic, want.topic) || !bytes.Equal(got.payload, want.payload) || !bytes.Equal(got.name, want.name) {
			t.Errorf("record %d: %+v, want %+v", i, got, want)
		}
	}
}

func TestMessageBytes(t *testing.T) {
	for _, m := range []Message{{}, {Topic: "a", Payload: []byte("b")}, {Topic: strings.Repeat("t", 255), Payload: make([]byte, 1<<20)}} {
		if n := len(appendMessage(nil, recordMessage, 1<<63, &m)); n > messageBytes(&m) {
			t.Errorf("%d bytes, and %d at most were announced", n, messageBytes(&m))
		}
	}
}

func TestAnswerBytes(t *testing.T) {
	if n := len(appendAnswer(nil, 1<<63, Tally{Matched: countMax, Queued: countMax, Dropped: countMax})); n > answerBytesMax {
		t.Errorf("an answer of %d bytes", n)
	}
}

func TestMalformedPackets(t *testing.T) {
	header := appendPacketHeader(nil, 1)
	with := func(p ...byte) []byte { return append(bytes.Clone(header), p...) }
	for name, c := range map[string]struct {
		packet []byte
		want   error
	}{
		"nothing":                       {nil, errMalformed},
		"half a header":                 {header[:5], errMalformed},
		"another version":               {[]byte{2}, errVersion},
		"an unknown type":               {with(99), errMalformed},
		"type zero":                     {with(0), errMalformed},
		"a number without end":          {with(byte(recordLost), 0x80), errMalformed},
		"a number of 65 bits":           {with(byte(recordLost), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02), errMalformed},
		"message number 0":              {with(byte(recordMessage), 0, 0, 0, 0), errMalformed},
		"a number that wraps around":    {with(byte(recordBeat), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 1, 'a'), errMalformed},
		"a topic that is cut off":       {with(byte(recordMessage), 1, 0, 5, 'a'), errMalformed},
		"a payload that is cut off":     {with(byte(recordMessage), 1, 0, 1, 'a', 3, 'b'), errMalformed},
		"a payload longer than memory":  {with(byte(recordMessage), 1, 0, 1, 'a', 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01), errMalformed},
		"a count that no node can have": {with(byte(recordAnswer), 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0, 0), errMalformed},
		"a name that is cut off":        {with(byte(recordGone), 2, 'a'), errMalformed},
		"a direct one that is cut off":  {with(byte(recordDirect), 200, 1, 'a', 3, 'b'), errMalformed},
	} {
		if records, err := readAll(c.packet); !errors.Is(err, c.want) || len(records) > 0 {
			t.Errorf("%s: %d records, %v; want %v", name, len(records), err, c.want)
		}
	}
}

// appendRecord writes a record that was read.
func appendRecord(dst []byte, r *record) []byte {
	switch r.typ {
	case recordMessage, recordQuestion:
		return appendMessage(dst, r.typ, r.sequence, &Message{Topic: string(r.topic), Kind: r.kind, Payload: r.payload})
	case recordAnswer:
		return appendAnswer(dst, r.sequence, r.tally)
	case recordLost:
		return appendLost(dst, r.sequence)
	case recordProbe:
		return appendProbe(dst, r.sequence)
	case recordGone:
		return appendGone(dst, string(r.name))
	case recordDirect:
		return appendDirect(dst, &Message{Topic: string(r.topic), Kind: r.kind, Payload: r.payload})
	}
	return appendPresence(dst, r.typ, r.sequence, string(r.name))
}

// FuzzPacket reads any bytes. What can be read is not larger than what was given, and reads the
// same when it is written again.
func FuzzPacket(f *testing.F) {
	all := packetOfAll()
	f.Add(all)
	f.Add(all[:len(all)/2])
	f.Add([]byte{})
	f.Add([]byte{packetVersion + 1})
	f.Add(appendPacketHeader(nil, 0))
	f.Fuzz(func(t *testing.T, p []byte) {
		records, err := readAll(p)
		if len(records) > len(p) {
			t.Fatalf("%d records in %d bytes", len(records), len(p))
		}
		if err != nil {
			return
		}
		sender, _, _ := readPacketHeader(p)
		again := appendPacketHeader(nil, sender)
		for i := range records {
			again = appendRecord(again, &records[i])
		}
		// Numbers can be written with more bytes than they need, so it is what was read that is compared.
		reread, err := readAll(again)
		if err != nil || len(reread) != len(records) || len(again) > len(p) {
			t.Fatalf("written again: %d bytes, %d records, %v; before %d bytes, %d records", len(again), len(reread), err, len(p), len(records))
		}
		third := appendPacketHeader(nil, sender)
		for i := range reread {
			third = appendRecord(third, &reread[i])
		}
		if !bytes.Equal(again, third) {
			t.Fatalf("% x\n% x", again, third)
		}
	})
}
