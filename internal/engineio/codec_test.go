// Tests of packets and payloads. The golden vectors were recorded from Node's server and clients.

package engineio

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"c100k/frame"
)

// message is a text with attachments.
type message struct {
	text        string
	attachments [][]byte
}

var golden = []struct {
	name     string
	v3       bool
	octets   bool // a payload of bytes
	messages []message
	payload  string // hexadecimal for octets
}{
	{"text", false, false, []message{{text: `2["hello",1]`}}, `42["hello",1]`},
	{"connect and an event, with recovery", false, false,
		[]message{{text: `0{"sid":"aY9P","pid":"xjHg"}`}, {text: `2["auth",{},"Q86Xf3g"]`}},
		"40{\"sid\":\"aY9P\",\"pid\":\"xjHg\"}\x1e42[\"auth\",{},\"Q86Xf3g\"]"},
	{"binary echo and ack", false, false,
		[]message{
			{`51-["echo-back",{"_placeholder":true,"num":0},"Q86Xf3m"]`, [][]byte{{1, 2, 3, 4}}},
			{`61-7[{"_placeholder":true,"num":0}]`, [][]byte{{1, 2, 3, 4}}},
		},
		"451-[\"echo-back\",{\"_placeholder\":true,\"num\":0},\"Q86Xf3m\"]\x1ebAQIDBA==\x1e461-7[{\"_placeholder\":true,\"num\":0}]\x1ebAQIDBA=="},
	{"replies of namespaces", false, false,
		[]message{{text: `4/unknown,{"message":"Invalid namespace"}`}, {text: `4/custom,{"message":"nope","data":{"x":1}}`}},
		"44/unknown,{\"message\":\"Invalid namespace\"}\x1e44/custom,{\"message\":\"nope\",\"data\":{\"x\":1}}"},
	{"protocol 3: the first poll", true, false,
		[]message{{text: "0"}, {text: `2["first",1,"Q86WTAu"]`}}, `2:4023:42["first",1,"Q86WTAu"]`},
	{"protocol 3: lengths in UTF-16", true, false,
		[]message{
			{text: `2["back","€😀","Q86WTA_"]`}, {text: "0/custom,"},
			{text: `2/custom,["q",{"token":"1","b":"2"},{"EIO":"3","transport":"polling"},"Q86WTA_.0"]`},
		},
		`26:42["back","€😀","Q86WTA_"]10:40/custom,83:42/custom,["q",{"token":"1","b":"2"},{"EIO":"3","transport":"polling"},"Q86WTA_.0"]`},
	{"protocol 3: bytes", true, true,
		[]message{{`51-["back",{"_placeholder":true,"num":0},"Q86WTBP"]`, [][]byte{{1, 2, 3}}}},
		"000502ff3435312d5b226261636b222c7b225f706c616365686f6c646572223a747275652c226e756d223a307d2c2251383657544250225d" + "0104ff04010203"},
	{"protocol 3: bytes as base64", true, false,
		[]message{{`51-["back",{"_placeholder":true,"num":0},"Q86WTC0"]`, [][]byte{{1, 2, 3}}}},
		`52:451-["back",{"_placeholder":true,"num":0},"Q86WTC0"]6:b4AQID`},
	{"protocol 3: a namespace with a query", true, false, []message{{text: "0/custom?k=v,"}}, "14:40/custom?k=v,"},
}

// payloadOf writes messages as a payload.
func payloadOf(v3, octets bool, messages []message) (payload []byte) {
	form := FormV4
	if v3 {
		form = FormV3
	}
	for _, m := range messages {
		run := AppendMessage(nil, form, []byte(m.text), m.attachments...)
		switch {
		case octets:
			payload = AppendPayload3Binary(payload, run)
		case v3:
			payload = AppendPayload3(payload, run)
		default:
			payload = AppendPayload(payload, len(payload) == 0, run)
		}
	}
	return payload
}

// describe reads a payload into a form that can be compared.
func describe(v3, octets bool, p []byte) (packets []string, err error) {
	payload, err := ParsePayload(v3, octets, bytes.Clone(p))
	for err == nil {
		var packet Packet
		var ok bool
		if packet, ok, err = payload.Next(); !ok {
			break
		}
		if packet.Binary {
			packets = append(packets, fmt.Sprintf("%d %x", packet.Type, packet.Data))
		} else {
			packets = append(packets, fmt.Sprintf("%d %q", packet.Type, packet.Data))
		}
	}
	return packets, err
}

func TestGoldenPayloads(t *testing.T) {
	for _, tt := range golden {
		t.Run(tt.name, func(t *testing.T) {
			want := tt.payload
			if tt.octets {
				b, err := hex.DecodeString(want)
				if err != nil {
					t.Fatal(err)
				}
				want = string(b)
			}
			if got := payloadOf(tt.v3, tt.octets, tt.messages); string(got) != want {
				t.Errorf("wrote %q\n want %q", got, want)
			}
			var packets []string
			for _, m := range tt.messages {
				packets = append(packets, fmt.Sprintf("4 %q", m.text))
				for _, a := range m.attachments {
					packets = append(packets, fmt.Sprintf("4 %x", a))
				}
			}
			got, err := describe(tt.v3, tt.octets, []byte(want))
			if err != nil || strings.Join(got, "|") != strings.Join(packets, "|") {
				t.Errorf("read %q, %v\nwant %q", got, err, packets)
			}
		})
	}
}

func TestGoldenScript(t *testing.T) {
	const open = `118:0{"sid":"4E30","upgrades":["websocket"]}`
	if got := string(appendScript(nil, 0, []byte(open))); got != `___eio[0]("118:0{\"sid\":\"4E30\",\"upgrades\":[\"websocket\"]}");` {
		t.Errorf("got %s", got)
	}
	if got := string(appendScript(nil, 12, []byte("a\u2028b\u2029\n"))); got != `___eio[12]("a\u2028b\u2029\n");` {
		t.Errorf("got %s", got)
	}
}

func TestPayloads(t *testing.T) {
	for _, tt := range []struct {
		v3, octets bool
		payload    string
		packets    string // joined by bars
		broken     bool
	}{
		{false, false, "2probe", `2 "probe"`, false},
		{false, false, "1", `1 ""`, false},
		{false, false, "0\x1e1\x1e2\x1e3\x1e4\x1e5\x1e6", `0 ""|1 ""|2 ""|3 ""|4 ""|5 ""|6 ""`, false},
		{false, false, "b", `4 `, false},
		{false, false, "bAQ==\x1e4x", `4 01|4 "x"`, false},
		{false, false, "", ``, true},
		{false, false, "\x1e", ``, true},
		{false, false, "4a\x1e", `4 "a"`, true},
		{false, false, "4a\x1e\x1e4b", `4 "a"`, true},
		{false, false, "4a\x1e7\x1e4b", `4 "a"`, true},
		{false, false, "abc", ``, true},
		{false, false, "bAQ", ``, true},     // no padding
		{false, false, "bAR==", ``, true},   // bits that are not zero
		{false, false, "bA_==", ``, true},   // another alphabet
		{false, false, "bAQ==x", ``, true},  // behind the padding
		{false, false, "b4AQID", ``, true},  // protocol 3's
		{false, false, "4\xff", ``, true},   // no UTF-8
		{false, true, "\x01\x02", ``, true}, // bytes, which protocol 4 has none of
		{true, false, "1:1", `1 ""`, false},
		{true, false, "0:", ``, false},
		{true, false, "0:2:4x0:", `4 "x"`, false},
		{true, false, "3:4😀", `4 "😀"`, false},
		{true, false, "2:b4", `4 `, false},
		{true, false, "", ``, true},
		{true, false, ":4x", ``, true},
		{true, false, "2", ``, true},
		{true, false, "2:4", ``, true},
		{true, false, "x:4", ``, true},
		{true, false, "-1:4", ``, true},
		{true, false, "+1:4", ``, true},
		{true, false, "00000000001:4", ``, true},
		{true, false, "99999999999999999999:4", ``, true},
		{true, false, "2:4😀", ``, true}, // splits a character
		{true, false, "2:4x3:4", `4 "x"`, true},
		{true, false, "1:b", ``, true},
		{true, false, "1:9", ``, true},
		{true, false, "2:4\xff", ``, true},
		{true, true, "\x00\x02\xff4x", `4 "x"`, false},
		{true, true, "\x01\x02\xff\x04\x09\x00\x01\xff2", `4 09|2 ""`, false},
		{true, true, "\x01\x01\xff\x04", `4 `, false},
		{true, true, "", ``, true},
		{true, true, "\x02\x01\xff4", ``, true}, // neither text nor bytes
		{true, true, "\x00\xff4", ``, true},     // no length
		{true, true, "\x00\x01", ``, true},      // no end of the length
		{true, true, "\x00\x0a\xff4", ``, true}, // no digit
		{true, true, "\x00\x05\xff4", ``, true}, // too short
		{true, true, "\x00\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\xff4", ``, true},
		{true, true, "\x00\x02\xff4\xff", ``, true}, // text that is not UTF-8
		{true, true, "\x00\x00\xff", ``, true},      // an empty packet
		{true, true, "\x01\x00\xff", ``, true},      // the same
		{true, true, "\x01\x01\xff\x07", ``, true},  // no type
	} {
		got, err := describe(tt.v3, tt.octets, []byte(tt.payload))
		if strings.Join(got, "|") != tt.packets || (err != nil) != tt.broken || err != nil && !errors.Is(err, ErrPacket) {
			t.Errorf("protocol 3 %v, bytes %v, %q: got %q, %v", tt.v3, tt.octets, tt.payload, got, err)
		}
	}
}

func TestForms(t *testing.T) {
	long := bytes.Repeat([]byte("all the same "), 100)
	for form, size := range map[Form]int{FormV4: 0, FormV3: 1} {
		run := AppendMessage([]byte("before"), form, long, []byte{1}, nil)
		var got []string
		eachFrame(run[6:], func(op frame.OpCode, data []byte) { got = append(got, fmt.Sprintf("%d %d", op, len(data))) })
		want := []string{fmt.Sprintf("1 %d", 1+len(long)), fmt.Sprintf("2 %d", 1+size), fmt.Sprintf("2 %d", size)}
		if strings.Join(got, "|") != strings.Join(want, "|") {
			t.Errorf("form %d: %q, want %q", form, got, want)
		}
	}
	for _, n := range []int{124, 125, 65534, 65535, 70000} { // around the three lengths of a header
		payload := AppendPayload(nil, true, AppendMessage(nil, FormV4, bytes.Repeat([]byte("x"), n)))
		if len(payload) != n+1 {
			t.Errorf("%d bytes became %d", n, len(payload))
		}
	}
	for _, form := range []Form{FormV4Deflated, FormV4Narrow} {
		run := AppendMessage([]byte("before"), form, long, long, []byte{1})
		if len(run) > 200 || string(run[:6]) != "before" {
			t.Errorf("form %d: deflated, it has %d bytes", form, len(run))
		}
		var r frame.Reader
		options := frame.Options{Client: true, Deflate: true}
		for _, want := range []string{"4" + string(long), string(long), "\x01"} {
			m, rest, err := r.Next(&options, run[6:])
			if err != nil || string(m.Payload) != want {
				t.Fatalf("form %d: %d bytes, %v; want %d", form, len(m.Payload), err, len(want))
			}
			run = append([]byte("before"), rest...)
		}
	}
}

func TestFormPayload(t *testing.T) {
	for form, want := range map[string]string{
		`d=2%3A4x`:        "2:4x",
		`a=b&d=4+%26`:     "4 &",
		`d=4a%5Cnb`:       "4a\nb",
		`d=4a%5C%5Cnb`:    `4a\nb`,
		`d=4a%5C%5C%5Cnb`: `4a\\nb`,
		`d=4a%5C`:         `4a\`,
		`d=`:              "",
	} {
		if got, ok := formPayload([]byte(form)); !ok || string(got) != want {
			t.Errorf("%s: %q, %v", form, got, ok)
		}
	}
	for _, form := range []string{"", "x=1", "d=%", "d=%zz"} {
		if got, ok := formPayload([]byte(form)); ok {
			t.Errorf("%s: %q", form, got)
		}
	}
}

func TestJSONPIndex(t *testing.T) {
	for s, want := range map[string]int{"0": 0, "17": 17, "999999999": 999999999} {
		if got, ok := jsonpIndex([]byte(s)); !ok || int(got) != want {
			t.Errorf("%s: %d, %v", s, got, ok)
		}
	}
	for _, s := range []string{"", "x", "-1", "1;alert(1)", "1000000000", " 1"} {
		if got, ok := jsonpIndex([]byte(s)); ok {
			t.Errorf("%q: %d", s, got)
		}
	}
}

func TestID(t *testing.T) {
	var source secrets
	seen := map[string]bool{}
	for i := range 1000 {
		p := place{secret: source.next(), process: uint8(i), loop: uint8(i * 7), slot: uint32(i * 16777)}
		id := appendID(nil, &p)
		if len(id) != idChars || seen[string(id)] {
			t.Fatalf("id %s", id)
		}
		seen[string(id)] = true
		if got, ok := parseID(id); !ok || got != p {
			t.Fatalf("%s: %+v, want %+v", id, got, p)
		}
	}
	for _, id := range []string{"", "short", strings.Repeat("A", 19), strings.Repeat("A", 21), strings.Repeat("+", 20), strings.Repeat("\n", 20)} {
		if _, ok := parseID([]byte(id)); ok {
			t.Errorf("%q is an id", id)
		}
	}
}
