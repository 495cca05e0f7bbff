// Tests of the WebSocket handshake.

package edge

import (
	"strings"
	"testing"
)

// parsed is the head in, which must be one.
func parsed(t testing.TB, in string) *Head {
	t.Helper()
	var h Head
	if n, refusal := ParseHead(&h, []byte(in), Limits{}); n == 0 {
		t.Fatalf("%q is not a head: %v", in, refusal)
	}
	return &h
}

const sampleKey = "dGhlIHNhbXBsZSBub25jZQ==" // RFC 6455, 1.3

// offer is a good handshake, changed by pairs of replacements.
func offer(changes ...string) string {
	return strings.NewReplacer(changes...).Replace(head("GET /ws HTTP/1.1", "Host: h", "Connection: Upgrade", "Upgrade: websocket",
		"Sec-WebSocket-Key: "+sampleKey, "Sec-WebSocket-Version: 13"))
}

func TestCheckUpgrade(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     *Refusal
	}{
		{"good", offer(), nil},
		{"a body of no bytes", offer("Host: h", "Host: h\r\nContent-Length: 0"), nil},
		{"bits to spare in the key", offer("ZQ==", "ZR=="), nil},
		{"ordinary request", head("GET /ws HTTP/1.1", "Host: h"), RefuseNotUpgrade},
		{"ordinary request of 1.0", head("GET /ws HTTP/1.0", "Host: h"), RefuseNotUpgrade},
		{"other protocol", offer("websocket", "irc"), RefuseNotUpgrade},
		{"h2c", offer("websocket", "h2c"), RefuseNotUpgrade},
		{"no connection option", offer("Connection: Upgrade", "Connection: close"), RefuseNotUpgrade},
		{"POST", offer("GET", "POST"), wrongMethod},
		{"HTTP/1.0", offer("HTTP/1.1", "HTTP/1.0"), wrongOldHTTP},
		{"version 8", offer("Version: 13", "Version: 8"), wrongVersion},
		{"list of versions", offer("Version: 13", "Version: 13, 8"), wrongVersion},
		{"no version", offer("Sec-WebSocket-Version: 13\r\n", ""), wrongVersion},
		{"two versions", offer("Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Version: 13"), wrongVersion},
		{"no key", offer("Sec-WebSocket-Key: "+sampleKey+"\r\n", ""), wrongNoKey},
		{"two keys", offer("Sec-WebSocket-Key:", "Sec-WebSocket-Key: "+sampleKey+"\r\nSec-WebSocket-Key:"), wrongTwoKeys},
		{"empty key", offer(sampleKey, ""), wrongKey},
		{"short key", offer(sampleKey, "dGhlIHNhbXBsZQ=="), wrongKey},
		{"15 bytes of key", offer("ZQ==", "Z==="), wrongKey},
		{"17 bytes of key", offer("ZQ==", "ZQA="), wrongKey},
		{"URL-safe key", offer("dGhl", "dG-_"), wrongKey},
		{"body", offer("Host: h", "Host: h\r\nContent-Length: 5"), wrongBody},
		{"chunked body", offer("Host: h", "Host: h\r\nTransfer-Encoding: chunked"), wrongBody},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := CheckUpgrade(parsed(t, tt.in)); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestSelectProtocol(t *testing.T) {
	supported := []string{"c100k.v1", "other"}
	for _, tt := range []struct {
		name, fields string // separated by |
		want         string
		refusal      *Refusal
	}{
		{"none offered", "", "", nil},
		{"the one", "c100k.v1", "c100k.v1", nil},
		{"the client's first choice", "x, other,c100k.v1", "other", nil},
		{"in the second field", "x|c100k.v1", "c100k.v1", nil},
		{"the first field first", "other|c100k.v1", "other", nil},
		{"not supported", "graphql-ws", "", nil},
		{"other case", "C100K.V1", "", nil},
		{"empty elements", ",, c100k.v1 ,", "c100k.v1", nil},
		{"only commas", ", ,", "", wrongProtocols},
		{"not a token", "a b", "", wrongProtocols},
		{"not a token behind a good one", "c100k.v1, \"q\"", "", wrongProtocols},
		{"not a token in the second field", "c100k.v1|{}", "", wrongProtocols},
	} {
		t.Run(tt.name, func(t *testing.T) {
			lines := []string{"GET / HTTP/1.1", "Host: h"}
			if tt.fields != "" {
				for _, f := range strings.Split(tt.fields, "|") {
					lines = append(lines, "Sec-WebSocket-Protocol: "+f)
				}
			}
			got, refusal := SelectProtocol(parsed(t, head(lines...)), supported)
			if refusal != tt.refusal || refusal == nil && got != tt.want {
				t.Errorf("got %q, %v", got, refusal)
			}
		})
	}
	if _, refusal := SelectProtocol(parsed(t, head("GET / HTTP/1.1", "Host: h", "Sec-WebSocket-Protocol:")), supported); refusal != wrongProtocols {
		t.Errorf("an empty field: %v", refusal)
	}
}

func TestAppendSwitching(t *testing.T) {
	const start = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
	if got := string(AppendSwitching(nil, []byte(sampleKey), "", nil)); got != start+"\r\n\r\n" {
		t.Errorf("%q", got)
	}
	got := string(AppendSwitching([]byte("x"), []byte(sampleKey), "c100k.v1", []byte("permessage-deflate")))
	if want := "x" + start + "\r\nSec-WebSocket-Protocol: c100k.v1\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"; got != want {
		t.Errorf("%q", got)
	}
}

func TestHandshakeFields(t *testing.T) {
	h := parsed(t, offer("Host: h", "Host: h\r\nSec-WebSocket-Extensions: a\r\nX: y\r\nSec-WebSocket-Extensions: b;c"))
	if string(h.Key()) != sampleKey || string(h.Extensions()) != "a, b;c" {
		t.Errorf("key %q, extensions %q", h.Key(), h.Extensions())
	}
	h = parsed(t, offer("Sec-WebSocket-Key: "+sampleKey, "Sec-WebSocket-Extensions: a"))
	if h.Key() != nil || string(h.Extensions()) != "a" {
		t.Errorf("key %q, extensions %q", h.Key(), h.Extensions())
	}
	if parsed(t, head("GET / HTTP/1.0")).Extensions() != nil {
		t.Error("extensions out of nothing")
	}
}
