// Fuzz targets: bytes of a client never break anything, and what is written can be read again.

package engineio

import (
	"bytes"
	"testing"
	"unicode/utf8"
)

// FuzzPacket holds that a packet is read the same from a copy, and that text stays what it was.
func FuzzPacket(f *testing.F) {
	for _, s := range []string{"", "4hello", "2probe", "bAQID", "b4AQID", "b", "9", "\x04\x01\x02"} {
		f.Add([]byte(s), false)
		f.Add([]byte(s), true)
	}
	f.Fuzz(func(t *testing.T, p []byte, v3 bool) {
		for _, parse := range []func(bool, []byte) (Packet, error){ParseText, ParseBinary} {
			a, errA := parse(v3, bytes.Clone(p))
			b, errB := parse(v3, bytes.Clone(p))
			if (errA == nil) != (errB == nil) || a.Type != b.Type || a.Binary != b.Binary || !bytes.Equal(a.Data, b.Data) {
				t.Fatalf("%q: %v, %v and %v, %v", p, a, errA, b, errB)
			}
			if errA == nil && (a.Type >= packetTypes || len(a.Data) > len(p)) {
				t.Fatalf("%q: %v", p, a)
			}
		}
	})
}

func FuzzPayload4(f *testing.F) {
	for _, s := range []string{"4a\x1e4b", "bAQIDBA==\x1e3", "\x1e", "2probe", "4\xc3\xa9"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, p []byte) { holdPayload(t, false, false, p) })
}

func FuzzPayload3Text(f *testing.F) {
	for _, s := range []string{"2:4a2:4b", "6:b4AQID", "0:", "26:42[\"back\",\"€😀\",\"Q86WTA_\"]", "99999999999:4", "1:"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, p []byte) { holdPayload(t, true, false, p) })
}

func FuzzPayload3Binary(f *testing.F) {
	for _, s := range []string{"\x00\x02\xff4a\x01\x02\xff\x04\x09", "\x01\x01\xff\x04", "\x00\x01\x00\xff4123456789", "\x02"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, p []byte) { holdPayload(t, true, true, p) })
}

// holdPayload reads p, writes the messages that it held, and reads them again.
func holdPayload(t *testing.T, v3, octets bool, p []byte) {
	payload, err := ParsePayload(v3, octets, bytes.Clone(p))
	form := FormV4
	if v3 {
		form = FormV3
	}
	var run []byte
	var want []Packet
	total := 0
	for err == nil {
		var packet Packet
		var ok bool
		if packet, ok, err = payload.Next(); !ok {
			break
		}
		if total += len(packet.Data); total > len(p) {
			t.Fatalf("%q: packets of more than it has", p)
		}
		if !packet.Binary && !octets && !utf8.Valid(packet.Data) {
			t.Fatalf("%q: text that is not UTF-8", p)
		}
		if packet.Type != PacketMessage {
			continue
		}
		if want = append(want, packet); packet.Binary {
			run = AppendBinary(run, form, packet.Data)
		} else {
			run = AppendMessage(run, form, packet.Data)
		}
	}
	if len(want) == 0 {
		return
	}
	var again []byte
	switch {
	case octets:
		again = AppendPayload3Binary(nil, run)
	case v3:
		again = AppendPayload3(nil, run)
	default:
		again = AppendPayload(nil, true, run)
	}
	payload, err = ParsePayload(v3, octets, again)
	for _, w := range want {
		got, ok, nextErr := payload.Next()
		if err != nil || nextErr != nil || !ok || got.Type != w.Type || got.Binary != w.Binary || !bytes.Equal(got.Data, w.Data) {
			t.Fatalf("%q: wrote %q, read %v, %v, %v; want %v", p, again, got, err, nextErr, w)
		}
	}
	if _, ok, err := payload.Next(); ok || err != nil {
		t.Fatalf("%q: more than was written: %v", again, err)
	}
}

func FuzzForm(f *testing.F) {
	for _, s := range []string{"d=2%3A4x", "d=4a%5C%5Cnb", "x=y", "d=%"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		if payload, ok := formPayload(bytes.Clone(p)); ok && len(payload) > len(p) {
			t.Fatalf("%q became %q", p, payload)
		}
	})
}

func FuzzID(f *testing.F) {
	for _, s := range []string{"", "AAAAAAAAAAAAAAAAAAAA", "____________________", "AAAAAAAAAAAAAAAAAAA="} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		if at, ok := parseID(p); ok && string(appendID(nil, &at)) != string(p) {
			t.Fatalf("%q is read, and written as %q", p, appendID(nil, &at))
		}
	})
}

// FuzzSession plays what a script says on a node: requests, frames and garbage by several clients,
// in any order and state. Nothing may panic, every session that was opened is closed once, and
// nothing is left of anybody.
func FuzzSession(f *testing.F) {
	for _, s := range []string{
		"\x00\x10\x20\x31\x41\x52", "\x00\x11\x22\x33\x44\x55\x66\x77", "\x00\x60\x62\x63\x64\x65\x66", "\x08\x18\x28\x68\x78",
		"\x00\x50\x54\x55\x20\x30\x56\x90", "\x00\x50\x54\xa0\x20\xb0\x55", "\x40\x50\x60\x70\x80\x90\xa0\xb0\xc0\xd0\xe0\xf0",
	} {
		f.Add([]byte(s), uint64(0))
		f.Add([]byte(s), uint64(7))
	}
	f.Fuzz(func(t *testing.T, script []byte, seed uint64) {
		if len(script) > 200 {
			return
		}
		p := newPlayer(t, seed)
		for _, b := range script {
			p.act(b>>4, b&0x0f)
		}
		p.finish()
	})
}
