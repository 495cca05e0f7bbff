// Fuzz targets of parsers that no other file has: bodies alone, X-Forwarded-For, upgrades and
// subprotocols, refused origins.

package edge

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// FuzzBody: data and refusal do not depend on the pieces, and what is accepted is what net/http
// reads.
func FuzzBody(f *testing.F) {
	f.Add([]byte("5\r\nhello\r\n0\r\n\r\nGET"), uint8(1), true)
	f.Add([]byte("1;a=\"b\\\"\"\r\nx\r\n0\r\nA: b\r\n\r\n"), uint8(3), true)
	f.Add([]byte("helloGET"), uint8(2), false)
	f.Fuzz(func(t *testing.T, in []byte, step uint8, chunked bool) {
		field := "Content-Length: 5"
		if chunked {
			field = "Transfer-Encoding: chunked"
		}
		h := parsed(t, framed(field))
		var whole, pieces Body
		whole.Begin(h)
		pieces.Begin(h)
		data, used, refusal := readBody(&whole, string(in), len(in)+1)
		gotData, gotUsed, gotRefusal := readBody(&pieces, string(in), int(step)+1)
		if data != gotData || used != gotUsed || refusal != gotRefusal {
			t.Fatalf("%q %d %v, in pieces %q %d %v", data, used, refusal, gotData, gotUsed, gotRefusal)
		}
		if !chunked || refusal != nil || !whole.Done() {
			return
		}
		want, err := io.ReadAll(httputil.NewChunkedReader(bytes.NewReader(in)))
		if err != nil || string(want) != data {
			t.Fatalf("%q, net/http reads %q, %v", data, want, err)
		}
	})
}

// FuzzForwardedFor: the client is an address of the list, and none of the trusted ones is to the
// left of it.
func FuzzForwardedFor(f *testing.F) {
	f.Add("192.0.2.1, 10.0.0.1", "[2001:db8::1]:80")
	f.Add("unknown,, 10.0.0.1", "10.1.1.1:1")
	f.Add("10.0.0.1", "10.1.1.1")
	f.Fuzz(func(t *testing.T, first, second string) {
		var h Head
		in := "GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: " + first + "\r\nx-forwarded-for: " + second + "\r\n\r\n"
		if n, refusal := ParseHead(&h, []byte(in), Limits{}); n != len(in) || refusal != nil {
			return
		}
		proxies := Networks{netip.MustParsePrefix("10.0.0.0/8")}
		client, ok := forwardedFor(&h, proxies)
		// By a list that is split from the left.
		elements := strings.Split(first+","+second, ",")
		slices.Reverse(elements)
		want, wantOK := netip.Addr{}, false
		for _, e := range elements {
			if want, wantOK = forwardedAddr(trim([]byte(e))); !wantOK || !proxies.Contains(want) {
				break
			}
			want, wantOK = netip.Addr{}, false // proxies alone have no client
		}
		if client != want || ok != wantOK {
			t.Fatalf("%q, %q: %v %t, want %v %t", first, second, client, ok, want, wantOK)
		}
		if ok && (client.Zone() != "" || client.Is4In6()) {
			t.Fatalf("%v", client)
		}
	})
}

// FuzzUpgrade: what passes as a handshake is one to net/http's parser too, and the subprotocol was
// offered.
func FuzzUpgrade(f *testing.F) {
	f.Add("Upgrade", "websocket", "13", sampleKey, "c100k.v1, other")
	f.Add("keep-alive, Upgrade", "h2c, websocket", "13", "x", ",")
	f.Fuzz(func(t *testing.T, connection, upgrade, version, key, protocols string) {
		in := "GET /ws HTTP/1.1\r\nHost: h\r\nConnection: " + connection + "\r\nUpgrade: " + upgrade + "\r\nSec-WebSocket-Version: " + version +
			"\r\nSec-WebSocket-Key: " + key + "\r\nSec-WebSocket-Protocol: " + protocols + "\r\n\r\n"
		var h Head
		if n, refusal := ParseHead(&h, []byte(in), Limits{}); n != len(in) || refusal != nil {
			return
		}
		if CheckUpgrade(&h) == nil {
			r := http.Header{"Connection": {connection}, "Upgrade": {upgrade}}
			if !hasToken(r, "Connection", "upgrade") || !hasToken(r, "Upgrade", "websocket") || strings.Trim(version, " \t") != "13" || len(strings.Trim(key, " \t")) != keyLength {
				t.Fatalf("%q is a handshake", in)
			}
		}
		supported := []string{"c100k.v1", "other"}
		chosen, refusal := SelectProtocol(&h, supported)
		if chosen != "" && (refusal != nil || !slices.Contains(supported, chosen) || !strings.Contains(protocols, chosen)) {
			t.Fatalf("%q of %q, %v", chosen, protocols, refusal)
		}
	})
}

func hasToken(h http.Header, field, token string) bool {
	for _, list := range h[field] {
		for element := range strings.SplitSeq(list, ",") {
			if strings.EqualFold(strings.Trim(element, " \t"), token) {
				return true
			}
		}
	}
	return false
}

// FuzzOriginRefusal: what is repeated of an origin is short, and can end neither a header nor a
// line.
func FuzzOriginRefusal(f *testing.F) {
	f.Add("https://evil.example\r\nSet-Cookie: a=b")
	f.Fuzz(func(t *testing.T, origin string) {
		r := OriginRefusal(origin)
		if len(r.Reason) > 10*quotedBytesMax || strings.ContainsFunc(r.Reason, func(c rune) bool { return c < ' ' || c > '~' }) || !r.Is(RefuseOrigin) {
			t.Fatalf("%q", r.Reason)
		}
		res, body := answer(t, AppendRefusal(nil, r, true), "GET")
		if res.StatusCode != 403 || body != r.Reason+"\n" {
			t.Fatalf("%s %q", res.Status, body)
		}
	})
}

// FuzzToken: a token is what the request has in one of the four places, and the first of them wins.
func FuzzToken(f *testing.F) {
	f.Add("Bearer a.b.c", "c100k.v1, c100k.token.d.e.f", "topic=a&access_token=g", "x=y; session=h")
	f.Add("Basic x", "c100k.token.", "%61ccess_token=%41+b", `session="h"`)
	f.Add("bearer", ",,c100k.token.a,c100k.token.b", "access_token=a&access_token=b", "session; =x")
	f.Fuzz(func(t *testing.T, authorization, protocols, query, cookie string) {
		in := "GET /ws?" + query + " HTTP/1.1\r\nHost: h\r\nAuthorization: " + authorization +
			"\r\nSec-WebSocket-Protocol: " + protocols + "\r\nCookie: " + cookie + "\r\n\r\n"
		var h Head
		if n, refusal := ParseHead(&h, []byte(in), Limits{}); n != len(in) || refusal != nil {
			return
		}
		scheme, rest, _ := strings.Cut(strings.Trim(authorization, " \t"), " ")
		inHeader := strings.EqualFold(scheme, "bearer")
		inProtocols := strings.Contains(protocols, TokenProtocol)
		token, place, refusal := Token(&h, "session")
		if refusal != nil {
			if place != TokenNowhere || token != nil || inHeader {
				t.Fatalf("%q: %q in %s and %v", in, token, place, refusal)
			}
			return
		}
		if inHeader != (place == TokenHeader) || place > TokenSubprotocol && strings.HasPrefix(protocols, TokenProtocol) {
			t.Fatalf("%q: %q in %s", in, token, place)
		}
		right := false
		switch place {
		case TokenHeader:
			right = string(token) == strings.TrimLeft(rest, " ")
		case TokenSubprotocol:
			right = inProtocols && strings.Contains(protocols, TokenProtocol+string(token))
		case TokenQuery:
			values, err := url.ParseQuery(query)
			right = err != nil || len(values[TokenParam]) == 1 && values.Get(TokenParam) == string(token)
		case TokenCookie:
			right = strings.Contains(cookie, "session=") && strings.Contains(cookie, string(token))
		case TokenNowhere:
			right = token == nil
		}
		if !right {
			t.Fatalf("%q: %q in %s", in, token, place)
		}
	})
}
