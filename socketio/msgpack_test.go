package socketio

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	p, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// What npm socket.io-msgpack-parser 3.0.2 writes.
func TestParseMsgpack(t *testing.T) {
	for _, tt := range []struct {
		in, payload string
		kind        packetType
		id          int
		bad         fault
	}{
		{in: "83a47479706500a464617461d40000a36e7370a12f", kind: typeConnect, id: -1},
		{
			in:   "85a47479706502a46461746197a16101d40000cb4004000000000000fdcf000000012a05f200d7000000000000000000a36e7370a12fa2696403a76f7074696f6e7381a8636f6d7072657373c3",
			kind: typeEvent, id: 3, payload: `["a",1,null,2.5,-3,5000000000,"1970-01-01T00:00:00.000Z"]`,
		},
		{in: "", bad: faultMsgpack},
		{in: "80", bad: faultMsgpack},
		{in: "82a47479706502a36e7370a12fff", bad: faultMsgpack},
		{in: "dfffffffff", bad: faultMsgpack},
		{in: "82a47479706507a36e7370a12f", bad: faultType},
		{in: "82a47479706502a36e7370a0", bad: faultMsgpack},
		{in: "82a47479706502a36e7370a12f", id: -1, bad: faultPayload},
		{in: "83a47479706502a36e7370a12fa464617461" + strings.Repeat("91", 30000) + "c0", bad: faultMsgpack},
		{in: "83a47479706502a36e7370a12fa46461746191ddffffffff", bad: faultMsgpack},
	} {
		k, _, bad := parseMsgpack(unhex(t, tt.in))
		if bad == "" {
			bad = k.checkPayload()
		}
		if bad != tt.bad {
			t.Errorf("%.60s: %q, want %q", tt.in, bad, tt.bad)
			continue
		}
		if bad == "" && (k.kind != tt.kind || k.hasID != (tt.id >= 0) || k.hasID && k.id != uint64(tt.id) || string(k.payload) != tt.payload) {
			t.Errorf("%s: %+v, payload %s", tt.in, k, k.payload)
		}
	}
}

func TestMsgpackRoundTrip(t *testing.T) {
	for _, payload := range []string{
		`["e"]`, `["e",1,-1,128,-129,65536,9007199254740993,2.5,1e300,true,false,null,"é\"\\\n",[],{},[[1],{"a":{"b":[null]}}]]`,
		`["e",{"_placeholder":true,"num":0},{"x":{"_placeholder":true,"num":1}}]`,
	} {
		k := packet{kind: typeEvent, namespace: []byte("/n"), hasID: true, id: 1 << 40, payload: []byte(payload)}
		attachments := [][]byte{{1, 2, 3}, {}}
		if !strings.Contains(payload, "_placeholder") {
			attachments = nil
		}
		got, data, bad := parseMsgpack(appendMsgpack(nil, &k, attachments))
		if bad != "" || got.kind != k.kind || string(got.namespace) != "/n" || got.id != k.id || len(data) != len(attachments) {
			t.Errorf("%s: %+v, %q", payload, got, bad)
			continue
		}
		var want, have any
		if json.Unmarshal([]byte(payload), &want) != nil || json.Unmarshal(got.payload, &have) != nil {
			t.Fatal(payload)
		}
		a, _ := json.Marshal(want)
		b, _ := json.Marshal(have)
		if !bytes.Equal(a, b) {
			t.Errorf("%s became %s", a, b)
		}
	}
}

// FuzzMsgpack checks that a packet that is read keeps all rules of the other parser, and can be
// written again.
func FuzzMsgpack(f *testing.F) {
	for _, s := range []string{
		"83a47479706500a464617461d40000a36e7370a12f",
		"85a47479706502a46461746197a16101d40000cb4004000000000000fdcf000000012a05f200d7000000000000000000a36e7370a12fa2696403a76f7074696f6e7381a8636f6d7072657373c3",
		"83a47479706502a46461746192a162c4020102a36e7370a12f", "dfffffffff",
	} {
		f.Add(unhex(f, s))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		k, attachments, bad := parseMsgpack(p)
		if bad != "" || k.checkPayload() != "" {
			return
		}
		if len(attachments) > AttachmentsMax || len(k.namespace) > NamespaceBytesMax {
			t.Fatalf("%x: %+v", p, k)
		}
		if len(k.payload) > 0 && !json.Valid(k.payload) {
			t.Fatalf("%x: payload %s", p, k.payload)
		}
		args := []json.RawMessage{}
		if k.kind == typeEvent || k.kind == typeAck {
			if args, bad = splitArray(nil, k.payload); bad != "" {
				return
			}
		}
		if checkPlaceholders(args, len(attachments)) != "" {
			return
		}
		if again, _, bad := parseMsgpack(appendMsgpack(nil, &k, attachments)); bad != "" || again.kind != k.kind {
			t.Fatalf("%x: again %q", p, bad)
		}
	})
}
