package socketio

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestParsePacket(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want packet
		bad  fault
	}{
		{in: "0", want: packet{kind: typeConnect}},
		{in: `0{"token":"x"}`, want: packet{kind: typeConnect, payload: []byte(`{"token":"x"}`)}},
		{in: `0/admin,{"token":"x"}`, want: packet{kind: typeConnect, namespace: []byte("/admin"), payload: []byte(`{"token":"x"}`)}},
		{in: "0/admin", want: packet{kind: typeConnect, namespace: []byte("/admin")}},
		{in: "0/custom?token=1&b=2,", want: packet{kind: typeConnect, namespace: []byte("/custom?token=1&b=2")}},
		{in: "1", want: packet{kind: typeDisconnect}},
		{in: "1/admin,", want: packet{kind: typeDisconnect, namespace: []byte("/admin")}},
		{in: `2["hello",1]`, want: packet{kind: typeEvent, payload: []byte(`["hello",1]`)}},
		{in: ` 2["hello"]`, bad: faultType},
		{in: `2 ["hello"] `, want: packet{kind: typeEvent, payload: []byte(`["hello"]`)}},
		{in: `2/admin,17["q"]`, want: packet{kind: typeEvent, namespace: []byte("/admin"), hasID: true, id: 17, payload: []byte(`["q"]`)}},
		{in: `20["q"]`, want: packet{kind: typeEvent, hasID: true, payload: []byte(`["q"]`)}},
		{in: `3/admin,17["a"]`, want: packet{kind: typeAck, namespace: []byte("/admin"), hasID: true, id: 17, payload: []byte(`["a"]`)}},
		{in: `318446744073709551615[]`, want: packet{kind: typeAck, hasID: true, id: 1<<64 - 1, payload: []byte(`[]`)}},
		{in: `318446744073709551616[]`, bad: faultID},
		{in: `3` + strings.Repeat("9", 1000) + `[]`, bad: faultID},
		{in: `4{"message":"x"}`, want: packet{kind: typeConnectError, payload: []byte(`{"message":"x"}`)}},
		{in: `51-["b",{"_placeholder":true,"num":0}]`, want: packet{kind: typeEvent, attachments: 1, payload: []byte(`["b",{"_placeholder":true,"num":0}]`)}},
		{in: `510-/a,3["b"]`, want: packet{kind: typeEvent, attachments: 10, namespace: []byte("/a"), hasID: true, id: 3, payload: []byte(`["b"]`)}},
		{in: `61-7[{"_placeholder":true,"num":0}]`, want: packet{kind: typeAck, attachments: 1, hasID: true, id: 7, payload: []byte(`[{"_placeholder":true,"num":0}]`)}},
		{in: `50-["b"]`, want: packet{kind: typeEvent, payload: []byte(`["b"]`)}},
		{in: `511-["b"]`, bad: faultTooMany},
		{in: `5999999999999999999999-["b"]`, bad: faultTooMany},
		{in: `5["b"]`, bad: faultAttachments},
		{in: `5-["b"]`, bad: faultAttachments},
		{in: `5-1-["b"]`, bad: faultAttachments},
		{in: `51["b"]`, bad: faultAttachments},
		{in: `51`, bad: faultAttachments},
		{in: `51.5-["b"]`, bad: faultAttachments},
		{in: "", bad: faultEmpty},
		{in: "7", bad: faultType},
		{in: "x", bad: faultType},
		{in: "abc", bad: faultType},
		{in: "2", bad: faultPayload},
		{in: "3", bad: faultPayload},
		{in: "4", bad: faultPayload},
		{in: `1{}`, bad: faultPayload},
		{in: `0[]`, bad: faultPayload},
		{in: `0"x"`, bad: faultPayload},
		{in: `2{}`, bad: faultPayload},
		{in: `3{}`, bad: faultPayload},
		{in: `2"x"`, bad: faultPayload},
		{in: `4[]`, bad: faultPayload},
		{in: `2["x"`, bad: faultJSON},
		{in: `2["x"]]`, bad: faultJSON},
		{in: `2["x",]`, bad: faultJSON},
		{in: `2[` + strings.Repeat("[", 30000) + strings.Repeat("]", 30000) + `]`, bad: faultJSON},
		{in: "0/" + strings.Repeat("n", NamespaceBytesMax) + ",", bad: faultNamespace},
	} {
		k, bad := parsePacket([]byte(tt.in))
		if bad == "" {
			bad = k.checkPayload()
		}
		if bad != tt.bad {
			t.Errorf("%.60q: %q, want %q", tt.in, bad, tt.bad)
			continue
		}
		if tt.bad != "" {
			continue
		}
		if tt.want.namespace == nil {
			tt.want.namespace = []byte("/")
		}
		if k.kind != tt.want.kind || k.attachments != tt.want.attachments || !bytes.Equal(k.namespace, tt.want.namespace) ||
			k.hasID != tt.want.hasID || k.id != tt.want.id || !bytes.Equal(k.payload, tt.want.payload) {
			t.Errorf("%q: %+v", tt.in, k)
		}
	}
}

// The packets of Node's server, byte for byte.
func TestAppendPacket(t *testing.T) {
	encode := func(kind packetType, nsp string, id int, payload []byte, attachments int) string {
		k := packet{kind: kind, namespace: []byte(nsp), payload: payload, attachments: attachments}
		if id >= 0 {
			k.hasID, k.id = true, uint64(id)
		}
		return string(appendPacket(nil, &k))
	}
	for _, tt := range []struct{ got, want string }{
		{encode(typeConnect, "/", -1, appendConnect(nil, "abc", ""), 0), `0{"sid":"abc"}`},
		{encode(typeConnect, "/", -1, appendConnect(nil, "0OEiClUp7Ij51Yx9AAAA", "NDLFlh5XmUGLXfUbAAAB"), 0), `0{"sid":"0OEiClUp7Ij51Yx9AAAA","pid":"NDLFlh5XmUGLXfUbAAAB"}`},
		{encode(typeConnect, "/custom", -1, nil, 0), `0/custom,`},
		{encode(typeDisconnect, "/", -1, nil, 0), `1`},
		{encode(typeDisconnect, "/admin", -1, nil, 0), `1/admin,`},
		{encode(typeEvent, "/", -1, []byte(`["hello",1]`), 0), `2["hello",1]`},
		{encode(typeEvent, "/admin", 17, []byte(`["q"]`), 0), `2/admin,17["q"]`},
		{encode(typeAck, "/admin", 17, []byte(`["a"]`), 0), `3/admin,17["a"]`},
		{encode(typeEvent, "/", -1, []byte(`["back",{"_placeholder":true,"num":0}]`), 1), `51-["back",{"_placeholder":true,"num":0}]`},
		{encode(typeAck, "/", 7, []byte(`[{"_placeholder":true,"num":0}]`), 1), `61-7[{"_placeholder":true,"num":0}]`},
		{encode(typeConnectError, "/unknown", -1, appendRefusal(nil, "Invalid namespace", nil), 0), `4/unknown,{"message":"Invalid namespace"}`},
		{encode(typeConnectError, "/custom", -1, appendRefusal(nil, "nope", []byte(`{"x":1}`)), 0), `4/custom,{"message":"nope","data":{"x":1}}`},
		{encode(typeConnectError, "/nsp", -1, appendRefusalV4(nil, "Invalid namespace", nil), 0), `4/nsp,"Invalid namespace"`},
		{encode(typeConnectError, "/nsp", -1, appendRefusalV4(nil, "nope", []byte(`{"x":1}`)), 0), `4/nsp,{"x":1}`},
		{string(withOffset([]byte(`["first",1]`), "Q86WT6u")), `["first",1,"Q86WT6u"]`},
	} {
		if tt.got != tt.want {
			t.Errorf("%s, want %s", tt.got, tt.want)
		}
	}
}

func TestSplitEvent(t *testing.T) {
	many := `["e"` + strings.Repeat(",1", ArgumentsMax) + `]`
	for _, tt := range []struct {
		in, name string
		args     []string
		bad      fault
	}{
		{`["hello",1, {"a":[]} ,"x"]`, "hello", []string{"1", `{"a":[]}`, `"x"`}, ""},
		{`[ "h\u00e9" ]`, "hé", nil, ""},
		{`[17,true]`, "17", []string{"true"}, ""},
		{`["__proto__",1]`, "__proto__", []string{"1"}, ""},
		{`[]`, "", nil, faultEvent},
		{`[null]`, "", nil, faultEvent},
		{`[{}]`, "", nil, faultEvent},
		{`[["e"]]`, "", nil, faultEvent},
		{`["\ud800"]`, "", nil, faultEvent},
		{`["` + strings.Repeat("e", EventBytesMax+1) + `"]`, "", nil, faultEvent},
		{`["connect"]`, "", nil, faultReserved},
		{`["c\u006fnnect"]`, "", nil, faultReserved},
		{`["connect_error"]`, "", nil, faultReserved},
		{`["disconnect"]`, "", nil, faultReserved},
		{`["disconnecting"]`, "", nil, faultReserved},
		{`["newListener"]`, "", nil, faultReserved},
		{`["removeListener"]`, "", nil, faultReserved},
		{strings.Replace(many, "]", ",1]", 1), "", nil, faultArguments},
	} {
		name, args, bad := splitEvent(nil, []byte(tt.in))
		if bad != tt.bad || string(name) != tt.name || len(args) != len(tt.args) {
			t.Errorf("%.50s: %q, %d arguments, %q", tt.in, name, len(args), bad)
			continue
		}
		for i := range args {
			if string(args[i]) != tt.args[i] {
				t.Errorf("%s: argument %d is %s", tt.in, i, args[i])
			}
		}
	}
	if _, args, bad := splitEvent(nil, []byte(many)); bad != "" || len(args) != ArgumentsMax {
		t.Errorf("%d arguments, %q", len(args), bad)
	}
}

func TestPlaceholders(t *testing.T) {
	for _, tt := range []struct {
		in, want string
		bad      fault
	}{
		{in: `{"_placeholder":true,"num":0}`, want: `"YQ=="`},
		{in: `{"num":1,"_placeholder":true}`, want: `"YmI="`},
		{in: ` [ {"_placeholder":true,"num":1} , {"x":{"_placeholder":true,"num":0,"more":[1]}}]`, want: ` [ "YmI=" , {"x":"YQ=="}]`},
		{in: `{"_placeholder":true,"num":1.0}`, want: `"YmI="`},
		{in: `{"_placeholder":true,"num":0,"num":1}`, want: `"YmI="`},
		{in: `{"_\u0070laceholder":true,"num":0}`, want: `"YQ=="`},
		{in: `{"_placeholder":false,"num":9}`, want: `{"_placeholder":false,"num":9}`},
		{in: `{"_placeholder":1,"num":9}`, want: `{"_placeholder":1,"num":9}`},
		{in: `{"_placeholder":"true"}`, want: `{"_placeholder":"true"}`},
		{in: `{"__proto__":{"_placeholder":true,"num":0}}`, want: `{"__proto__":"YQ=="}`},
		{in: `{"_placeholder":true,"num":0,"x":{"_placeholder":true,"num":1}}`, want: `"YQ=="`},
		{in: `"{\"_placeholder\":true}"`, want: `"{\"_placeholder\":true}"`},
		{in: `{"_placeholder":true,"num":2}`, bad: faultPlaceholder},
		{in: `{"_placeholder":true,"num":-1}`, bad: faultPlaceholder},
		{in: `{"_placeholder":true,"num":0.5}`, bad: faultPlaceholder},
		{in: `{"_placeholder":true,"num":1e99}`, bad: faultPlaceholder},
		{in: `{"_placeholder":true,"num":"0"}`, bad: faultPlaceholder},
		{in: `{"_placeholder":true,"num":null}`, bad: faultPlaceholder},
		{in: `{"_placeholder":true}`, bad: faultPlaceholder},
		{in: `[[[{"a":{"_placeholder":true,"num":{}}}]]]`, bad: faultPlaceholder},
	} {
		attachments := [][]byte{[]byte("a"), []byte("bb")}
		if bad := checkPlaceholders([]json.RawMessage{json.RawMessage(tt.in)}, len(attachments)); bad != tt.bad {
			t.Errorf("%s: %q, want %q", tt.in, bad, tt.bad)
		} else if bad == "" {
			if got := (Args{raw: []json.RawMessage{[]byte(tt.in)}, attachments: attachments}).JSON(0); string(got) != tt.want {
				t.Errorf("%s: %s, want %s", tt.in, got, tt.want)
			}
		}
	}
	if checkPlaceholders([]json.RawMessage{[]byte(`{"_placeholder":true,"num":7}`)}, 0) != "" {
		t.Error("in a packet without attachments nothing is a placeholder")
	}
}

// FuzzPacket checks that a parsed packet can be written and parsed again to the same, and that
// every event keeps the rules.
func FuzzPacket(f *testing.F) {
	for _, s := range []string{
		"0", `0/admin,{"token":"x"}`, `2["hello",1]`, `2/a,18446744073709551615["q",{"b":[null]}]`, `51-/n,3["b",{"_placeholder":true,"num":0}]`,
		`61-7[{"_placeholder":true,"num":0}]`, `1/admin,`, `4"x"`, `0/c?token=1,`, `2["__proto__"]`, `510-["x"]`, `511-`, `2[[[[[[`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		if !utf8.Valid(p) {
			return
		}
		k, bad := parsePacket(p)
		if bad == "" {
			bad = k.checkPayload()
		}
		if bad != "" {
			return
		}
		if k.attachments > AttachmentsMax || len(k.namespace) > NamespaceBytesMax || bytes.IndexByte(k.namespace, ',') >= 0 {
			t.Fatalf("%q: %+v", p, k)
		}
		if len(k.payload) > 0 && !json.Valid(k.payload) {
			t.Fatalf("%q: payload %q", p, k.payload)
		}
		again, bad := parsePacket(appendPacket(nil, &k))
		if bad == "" {
			bad = again.checkPayload()
		}
		if bad != "" || again.kind != k.kind || again.id != k.id || again.hasID != k.hasID || again.attachments != k.attachments ||
			!bytes.Equal(again.namespace, k.namespace) || !bytes.Equal(again.payload, k.payload) {
			t.Fatalf("%q: %+v, again %+v, %q", p, k, again, bad)
		}
		if k.kind != typeEvent {
			return
		}
		payload := bytes.Clone(k.payload)
		name, args, bad := splitEvent(nil, payload)
		if bad == "" && (reservedEvents[string(name)] || len(args) > ArgumentsMax) {
			t.Fatalf("%q: event %q with %d arguments", p, name, len(args))
		}
		for _, a := range args {
			if bad == "" && !json.Valid(a) {
				t.Fatalf("%q: argument %q", p, a)
			}
		}
	})
}

// FuzzBinary compares binary reconstruction with encoding/json: arguments that passed the check can
// be decoded, with every attachment in its place, for each type that a handler may use.
func FuzzBinary(f *testing.F) {
	for _, s := range []string{
		`[{"_placeholder":true,"num":0},{"a":[{"_placeholder":true,"num":1}]}]`, `[{"_placeholder":true,"num":2}]`, `[{"_placeholder":true,"num":-1}]`,
		`[{"_placeholder":true,"num":"0"}]`, `[{"_placeholder":false,"num":"0"}]`, `[{"_placeholder":true,"num":0,"_placeholder":0}]`, `[1,"x",null]`,
		`[{"_\u0070laceholder":true,"num":1e0}]`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		k := packet{kind: typeAck, namespace: []byte("/"), payload: p}
		if !utf8.Valid(p) || len(p) == 0 || k.checkPayload() != "" {
			return
		}
		raw, bad := splitArray(nil, k.payload)
		if bad != "" || checkPlaceholders(raw, 2) != "" {
			return
		}
		args := Args{raw: raw, attachments: [][]byte{[]byte("first"), []byte("second")}}
		for i := range args.Len() {
			var tree any
			if err := args.Decode(i, &tree); err != nil {
				var direct any
				if json.Unmarshal(raw[i], &direct) == nil {
					t.Fatalf("%s: %v", raw[i], err)
				}
				continue
			}
			if inlined := args.JSON(i); !json.Valid(inlined) {
				t.Fatalf("%s became %s", raw[i], inlined)
			}
			var text string
			wrong := json.Unmarshal(raw[i], &text)
			if got, err := args.text(i); raw[i][0] == '"' && (got != text || (err == nil) != (wrong == nil)) {
				t.Fatalf("%s is the text %q, %v, want %q, %v", raw[i], got, err, text, wrong)
			}
			if data, ok := args.Bytes(i); ok && !bytes.Equal(data, args.attachments[0]) && !bytes.Equal(data, args.attachments[1]) {
				t.Fatalf("%s is %q", raw[i], data)
			}
		}
	})
}
