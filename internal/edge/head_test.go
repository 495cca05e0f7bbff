// Tests of the request head: what passes, what is refused and why, and that no split of the bytes
// changes it.

package edge

import (
	"bufio"
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// head is a request head of lines, which it ends.
func head(lines ...string) string { return strings.Join(lines, "\r\n") + "\r\n\r\n" }

var wholeHeads = []struct {
	name, in                  string
	method, path, query, host string
	minor                     int
	length                    int64
	chunked, upgrade          bool
}{
	{name: "plain", in: head("GET / HTTP/1.1", "Host: example.com"), method: "GET", path: "/", host: "example.com", minor: 1, length: -1},
	{name: "query", in: head("GET /ws?topic=a&b=%zz HTTP/1.1", "host:h:8080"), method: "GET", path: "/ws", query: "topic=a&b=%zz", host: "h:8080", minor: 1, length: -1},
	{name: "no host in 1.0", in: head("GET /x HTTP/1.0"), method: "GET", path: "/x", length: -1},
	{name: "one empty line in front", in: "\r\n" + head("GET /x HTTP/1.0"), method: "GET", path: "/x", length: -1},
	{name: "length", in: head("POST /p HTTP/1.1", "Host: h", "Content-Length: 0042"), method: "POST", path: "/p", host: "h", minor: 1, length: 42},
	{name: "largest length", in: head("POST /p HTTP/1.1", "Host: h", "Content-Length: 9223372036854775807"), method: "POST", path: "/p", host: "h", minor: 1, length: 1<<63 - 1},
	{name: "chunked", in: head("POST /p HTTP/1.1", "Host: h", "TRANSFER-ENCODING: Chunked"), method: "POST", path: "/p", host: "h", minor: 1, length: -1, chunked: true},
	{name: "absolute form wins over Host", in: head("GET HTTP://a.example:81/p?q HTTP/1.1", "Host: b"), method: "GET", path: "/p", query: "q", host: "a.example:81", minor: 1, length: -1},
	{name: "absolute form without a path", in: head("GET http://a?q HTTP/1.1", "Host: a"), method: "GET", path: "/", query: "q", host: "a", minor: 1, length: -1},
	{name: "asterisk", in: head("OPTIONS * HTTP/1.1", "Host: h"), method: "OPTIONS", path: "*", host: "h", minor: 1, length: -1},
	{name: "unknown method", in: head("purge!~ / HTTP/1.1", "Host: h"), method: "purge!~", path: "/", host: "h", minor: 1, length: -1},
	{name: "IPv6 host", in: head("GET / HTTP/1.1", "Host: [::1]:80"), method: "GET", path: "/", host: "[::1]:80", minor: 1, length: -1},
	{name: "empty port", in: head("GET / HTTP/1.1", "Host: h:"), method: "GET", path: "/", host: "h:", minor: 1, length: -1},
	{name: "what browsers leave", in: head("GET /a|[b]?f[x]={y}^`\\ HTTP/1.1", "Host: h"), method: "GET", path: "/a|[b]", query: "f[x]={y}^`\\", host: "h", minor: 1, length: -1},
	{name: "obs-text and tabs in a value", in: head("GET / HTTP/1.1", "Host: h", "X: \t\xffa\tb \t", "Y:"), method: "GET", path: "/", host: "h", minor: 1, length: -1},
	{name: "upgrade", in: head("GET / HTTP/1.1", "Host: h", "Connection: keep-alive , UPGRADE", "Upgrade: foo/2, WebSocket"), method: "GET", path: "/", host: "h", minor: 1, length: -1, upgrade: true},
	{name: "upgrade over two fields", in: head("GET / HTTP/1.1", "Host: h", "Connection: a", "Connection: upgrade", "Upgrade: x"), method: "GET", path: "/", host: "h", minor: 1, length: -1, upgrade: true},
	{name: "upgrade in 1.0 is ignored", in: head("GET / HTTP/1.0", "Host: h", "Connection: upgrade", "Upgrade: websocket"), method: "GET", path: "/", host: "h", length: -1},
	{name: "upgrade without the option", in: head("GET / HTTP/1.1", "Host: h", "Upgrade: websocket"), method: "GET", path: "/", host: "h", minor: 1, length: -1},
	{name: "h2c is no upgrade", in: head("GET / HTTP/1.1", "Host: h", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: x"), method: "GET", path: "/", host: "h", minor: 1, length: -1},
}

func TestParseHead(t *testing.T) {
	for _, tt := range wholeHeads {
		t.Run(tt.name, func(t *testing.T) {
			var h Head
			n, refusal := ParseHead(&h, []byte(tt.in+"rest"), Limits{})
			if refusal != nil || n != len(tt.in) {
				t.Fatalf("n = %d of %d, refusal %v", n, len(tt.in), refusal)
			}
			got := fmt.Sprintf("%s %s %s %s %d %d %t %t", h.Method(), h.Path(), h.Query(), h.Host(), h.Minor(), h.ContentLength(), h.Chunked(), h.UpgradeRequested())
			want := fmt.Sprintf("%s %s %s %s %d %d %t %t", tt.method, tt.path, tt.query, tt.host, tt.minor, tt.length, tt.chunked, tt.upgrade)
			if got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			checkSplits(t, []byte(tt.in+"rest"))
			checkAgainstNetHTTP(t, []byte(tt.in))
		})
	}
}

var refusedHeads = []struct {
	name, in string
	want     *Refusal
}{
	{"bare LF behind the request line", "GET / HTTP/1.1\nHost: h\r\n\r\n", badLineEnd},
	{"bare LF behind a field", "GET / HTTP/1.1\r\nHost: h\n\r\n", badLineEnd},
	{"bare LF at the end", "GET / HTTP/1.1\r\nHost: h\r\n\n", badLineEnd},
	{"bare LF in front", "\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", badLineEnd},
	{"two empty lines in front", "\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", badRequestLine},
	{"bare CR", "GET / HTTP/1.1\r\nHost: h\rX: y\r\n\r\n", badCR},
	{"bare CR in front", "\rGET / HTTP/1.1\r\nHost: h\r\n\r\n", badCR},
	{"CR CR LF", "GET / HTTP/1.1\r\nHost: h\r\r\n\r\n", badCR},
	{"NUL in a value", "GET / HTTP/1.1\r\nHost: h\r\nX: \x00\r\n\r\n", badControl},
	{"DEL in a value", "GET / HTTP/1.1\r\nHost: h\r\nX: \x7f\r\n\r\n", badControl},
	{"a TLS hello", "\x16\x03\x01\x02\x00\x01\x00", badControl},
	{"no version", "GET /\r\n\r\n", badRequestLine},
	{"two spaces", "GET  / HTTP/1.1\r\n\r\n", badTargetForm},
	{"a space behind the version", "GET / HTTP/1.1 \r\n\r\n", badRequestLine},
	{"a space in the target", "GET /a b HTTP/1.1\r\n\r\n", badTarget},
	{"a tab for a space", "GET\t/ HTTP/1.1\r\n\r\n", badRequestLine},
	{"no target", "GET HTTP/1.1\r\n\r\n", badRequestLine},
	{"empty target", "GET  HTTP/1.1\r\n\r\n", badRequestLine},
	{"method is not a token", "G(T / HTTP/1.1\r\n\r\n", badMethod},
	{"a space in front", " GET / HTTP/1.1\r\n\r\n", badMethod},
	{"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", badVersion},
	{"HTTP/1.2", "GET / HTTP/1.2\r\n\r\n", badVersion},
	{"HTTP/0.9", "GET / HTTP/0.9\r\n\r\n", badVersion},
	{"lower-case version", "GET / http/1.1\r\n\r\n", badRequestLine},
	{"long version", "GET / HTTP/1.10\r\n\r\n", badRequestLine},
	{"high byte in the path", "GET /\xc3\xa9 HTTP/1.1\r\n\r\n", badTarget},
	{"high byte in the query", "GET /?\xc3\xa9 HTTP/1.1\r\n\r\n", badTarget},
	{"fragment", "GET /#a HTTP/1.1\r\n\r\n", badTarget},
	{"fragment in the query", "GET /?a#b HTTP/1.1\r\n\r\n", badTarget},
	{"quote", "GET /\" HTTP/1.1\r\n\r\n", badTarget},
	{"malformed escape", "GET /%2 HTTP/1.1\r\n\r\n", badEscape},
	{"malformed escape before the query", "GET /%4?4 HTTP/1.1\r\n\r\n", badEscape},
	{"authority form", "GET h:80 HTTP/1.1\r\nHost: h\r\n\r\n", badTargetForm},
	{"other scheme", "GET ftp://h/ HTTP/1.1\r\nHost: h\r\n\r\n", badTargetForm},
	{"relative", "GET a/b HTTP/1.1\r\nHost: h\r\n\r\n", badTargetForm},
	{"CONNECT", "CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n", noConnect},
	{"CONNECT with a path", "CONNECT / HTTP/1.1\r\nHost: h\r\n\r\n", noConnect},
	{"asterisk", "GET * HTTP/1.1\r\nHost: h\r\n\r\n", badAsterisk},
	{"empty host in the target", "GET http:///x HTTP/1.1\r\nHost: h\r\n\r\n", badAuthority},
	{"user in the target", "GET http://u@h/x HTTP/1.1\r\nHost: h\r\n\r\n", badAuthority},
	{"port too large", "GET http://h:65536/x HTTP/1.1\r\nHost: h\r\n\r\n", badAuthority},
	{"absolute form without Host", "GET http://h/x HTTP/1.1\r\n\r\n", badNoHost},

	{"folded first field", "GET / HTTP/1.1\r\n Host: h\r\n\r\n", badFold},
	{"folded field", "GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n\tb\r\n\r\n", badFold},
	{"field without a colon", "GET / HTTP/1.1\r\nHost: h\r\nabc\r\n\r\n", badNoColon},
	{"field of two words without a colon", "GET / HTTP/1.1\r\nHost: h\r\nabc def\r\n\r\n", badNoColon},
	{"empty name", "GET / HTTP/1.1\r\nHost: h\r\n: x\r\n\r\n", badEmptyName},
	{"space before the colon", "GET / HTTP/1.1\r\nHost : h\r\n\r\n", badNameSpace},
	{"tab before the colon", "GET / HTTP/1.1\r\nHost\t: h\r\n\r\n", badNameSpace},
	{"name is not a token", "GET / HTTP/1.1\r\nHost: h\r\nX[1]: y\r\n\r\n", badName},
	{"high byte in a name", "GET / HTTP/1.1\r\nHost: h\r\n\xe9: y\r\n\r\n", badName},
	{"no Host", "GET / HTTP/1.1\r\nX: y\r\n\r\n", badNoHost},
	{"two Hosts", "GET / HTTP/1.1\r\nHost: h\r\nhost: h\r\n\r\n", badTwoHosts},
	{"two Hosts in 1.0", "GET / HTTP/1.0\r\nHost: h\r\nhost: h\r\n\r\n", badTwoHosts},
	{"empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", badHost},
	{"list of Hosts", "GET / HTTP/1.1\r\nHost: a,b c\r\n\r\n", badHost},
	{"Host with a path", "GET / HTTP/1.1\r\nHost: h/x\r\n\r\n", badHost},
	{"Host with a user", "GET / HTTP/1.1\r\nHost: u@h\r\n\r\n", badHost},
	{"Host with an escape", "GET / HTTP/1.1\r\nHost: h%41\r\n\r\n", badHost},
	{"Host that is a port", "GET / HTTP/1.1\r\nHost: :80\r\n\r\n", badHost},
	{"Host with two ports", "GET / HTTP/1.1\r\nHost: h:80:80\r\n\r\n", badHost},
	{"Host with a bad port", "GET / HTTP/1.1\r\nHost: h:99999\r\n\r\n", badHost},
	{"open bracket in Host", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", badHost},
	{"IPv4 in brackets", "GET / HTTP/1.1\r\nHost: [127.0.0.1]\r\n\r\n", badHost},
	{"zone in Host", "GET / HTTP/1.1\r\nHost: [fe80::1%eth0]\r\n\r\n", badHost},
	{"long Host", "GET / HTTP/1.1\r\nHost: " + strings.Repeat("a", hostBytesMax+1) + "\r\n\r\n", badHost},
	{"Connection is not tokens", "GET / HTTP/1.1\r\nHost: h\r\nConnection: a b\r\n\r\n", badConnection},

	{"Content-Length with a sign", framed("Content-Length: +5"), badLength},
	{"negative Content-Length", framed("Content-Length: -5"), badLength},
	{"hexadecimal Content-Length", framed("Content-Length: 0x5"), badLength},
	{"empty Content-Length", framed("Content-Length:"), badLength},
	{"list of Content-Lengths", framed("Content-Length: 5, 5"), badLength},
	{"Content-Length with a space in it", framed("Content-Length: 5 5"), badLength},
	{"two Content-Lengths", framed("Content-Length: 5", "Content-Length: 6"), badTwoLengths},
	{"the same Content-Length twice", framed("Content-Length: 5", "content-length: 5"), badTwoLengths},
	{"Content-Length too large", framed("Content-Length: 9223372036854775808"), badLengthBig},
	{"very long Content-Length", framed("Content-Length: 111111111111111111111111"), badLengthBig},
	{"Content-Length before Transfer-Encoding", framed("Content-Length: 5", "Transfer-Encoding: chunked"), badBothLengths},
	{"Content-Length behind Transfer-Encoding", framed("Transfer-Encoding: chunked", "Content-Length: 5"), badBothLengths},
	{"Transfer-Encoding in 1.0", "POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", badOldCoding},
	{"chunked twice", framed("Transfer-Encoding: chunked, chunked"), badCodingOrder},
	{"chunked in two fields", framed("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), badCodingOrder},
	{"chunked is not last", framed("Transfer-Encoding: chunked, gzip"), badCodingOrder},
	{"chunked is not in the last field", framed("Transfer-Encoding: chunked", "Transfer-Encoding: gzip"), badCodingOrder},
	{"empty Transfer-Encoding", framed("Transfer-Encoding:"), badCodingOrder},
	{"Transfer-Encoding of commas", framed("Transfer-Encoding: , ,"), badCodingOrder},
	{"chunked among commas", framed("Transfer-Encoding: ,chunked"), badCodingOrder},
	{"chunked and an empty field", framed("Transfer-Encoding: chunked", "Transfer-Encoding:"), badCodingOrder},
	{"gzip, chunked", framed("Transfer-Encoding: gzip, chunked"), badCoding},
	{"identity", framed("Transfer-Encoding: identity"), badCoding},
	{"xchunked", framed("Transfer-Encoding: xchunked"), badCoding},
	{"chunked with a parameter", framed("Transfer-Encoding: chunked;a=b"), badCoding},
	{"chunked in quotes", framed("Transfer-Encoding: \"chunked\""), badCoding},
	{"vertical tab before chunked", framed("Transfer-Encoding: \vchunked"), badControl},
	{"Trailer announces a length", framed("Transfer-Encoding: chunked", "Trailer: a, content-Length"), badTrailerNames},

	{"too many fields", "GET / HTTP/1.1\r\nHost: h\r\n" + strings.Repeat("a:\r\n", FieldsMax) + "\r\n", tooManyFields},
	{"long request line", "GET /" + strings.Repeat("a", HeadBytesMax), tooLongTarget},
	{"long field", "GET / HTTP/1.1\r\nHost: h\r\nX: " + strings.Repeat("a", HeadBytesMax), tooLargeHead},
	{"one byte too many", sizedHead(HeadBytesMax + 1), tooLargeHead},
}

// framed is the head of a POST with these fields.
func framed(fields ...string) string {
	return head(append([]string{"POST / HTTP/1.1", "Host: h"}, fields...)...)
}

// sizedHead is a good head of n bytes.
func sizedHead(n int) string {
	s := head("GET / HTTP/1.1", "Host: h", "X: ")
	return strings.Replace(s, "X: ", "X: "+strings.Repeat("a", n-len(s)), 1)
}

func TestParseHeadRefuses(t *testing.T) {
	for _, tt := range refusedHeads {
		t.Run(tt.name, func(t *testing.T) {
			var h Head
			n, refusal := ParseHead(&h, []byte(tt.in), Limits{})
			if n != 0 || refusal != tt.want {
				t.Fatalf("n = %d, refusal %v, want %v", n, refusal, tt.want)
			}
			checkSplits(t, []byte(tt.in))
		})
	}
}

func TestParseHeadLimits(t *testing.T) {
	var h Head
	if n, refusal := ParseHead(&h, []byte(sizedHead(HeadBytesMax)), Limits{}); n != HeadBytesMax {
		t.Errorf("a head of just the limit: n = %d, %v", n, refusal)
	}
	full := "GET / HTTP/1.1\r\nHost: h\r\n" + strings.Repeat("a:\r\n", FieldsMax-1) + "\r\n"
	if n, refusal := ParseHead(&h, []byte(full), Limits{}); n != len(full) || h.Fields() != FieldsMax {
		t.Errorf("a head of just as many fields: n = %d, %v", n, refusal)
	}
	if _, refusal := ParseHead(&h, []byte(full), Limits{Fields: 3}); refusal != tooManyFields {
		t.Errorf("with fewer fields allowed: %v", refusal)
	}
	if _, refusal := ParseHead(&h, []byte(full), Limits{HeadBytes: 100}); refusal != tooLargeHead {
		t.Errorf("with fewer bytes allowed: %v", refusal)
	}
	if n, refusal := ParseHead(&h, []byte(sizedHead(60000)), Limits{HeadBytes: 1 << 20}); n != 60000 {
		t.Errorf("with more bytes allowed: n = %d, %v", n, refusal)
	}
}

func TestHeadFields(t *testing.T) {
	var h Head
	ParseHead(&h, []byte(head("GET / HTTP/1.1", "Host: h", "X-A:  1 ", "x-a: 2")), Limits{})
	if v, ok := h.Get("x-a"); !ok || string(v) != "1" {
		t.Errorf("Get: %q, %t", v, ok)
	}
	if v, ok := h.Get("x-b"); ok {
		t.Errorf("Get of a missing field: %q", v)
	}
	if name, value := h.Field(2); string(name) != "x-a" || string(value) != "2" || h.Fields() != 3 {
		t.Errorf("Field: %q, %q of %d", name, value, h.Fields())
	}
}

// checkSplits parses every beginning of p, as it would come in pieces: none may be judged otherwise
// than p.
func checkSplits(t *testing.T, p []byte) {
	t.Helper()
	var h Head
	n, refusal := ParseHead(&h, p, Limits{})
	incomplete := 0 // the length of the longest beginning seen to be incomplete
	for i := range len(p) + 1 {
		if incomplete > 0 && !worthParsing(p[:i], incomplete, Limits{}) {
			incomplete = i
			if gotN, got := ParseHead(&h, p[:i], Limits{}); gotN != 0 || got != nil {
				t.Fatalf("%q was worth parsing: n = %d, %v", p[:i], gotN, got)
			}
			continue
		}
		gotN, got := ParseHead(&h, p[:i], Limits{})
		switch {
		case gotN == 0 && got == nil:
			incomplete = i
		case gotN != n || got != refusal:
			t.Fatalf("after %d bytes: n = %d, %v; after all %d: n = %d, %v", i, gotN, got, len(p), n, refusal)
		default:
			return
		}
	}
	if n != 0 || refusal != nil {
		t.Fatalf("in pieces: incomplete; in one: n = %d, %v", n, refusal)
	}
}

// checkAgainstNetHTTP says whether net/http sees in a head what we do.
func checkAgainstNetHTTP(t *testing.T, p []byte) {
	t.Helper()
	var h Head
	n, refusal := ParseHead(&h, p, Limits{})
	if n == 0 {
		t.Fatalf("not accepted: %v", refusal)
	}
	skip, _ := emptyLine(p)
	raw := bufio.NewReader(bytes.NewReader(p[skip:n]))
	req, err := http.ReadRequest(raw)
	if err != nil {
		t.Fatalf("accepted, but net/http says: %v", err)
	}
	if raw.Buffered() > 0 {
		t.Fatalf("net/http finds the end %d bytes earlier", raw.Buffered())
	}
	if req.Method != string(h.Method()) || req.RequestURI != string(h.Target()) || req.Host != string(h.Host()) || req.ProtoMinor != h.Minor() {
		t.Errorf("net/http: %s %s %s 1.%d", req.Method, req.RequestURI, req.Host, req.ProtoMinor)
	}
	path, _ := PathUnescape(h.Path())
	if req.URL.Path != string(path) && req.URL.Path != "" || req.URL.RawQuery != string(h.Query()) {
		t.Errorf("net/http: path %q query %q, here %q %q", req.URL.Path, req.URL.RawQuery, path, h.Query())
	}
	length := max(h.ContentLength(), 0)
	if h.Chunked() {
		length = -1
	}
	if req.ContentLength != length || (len(req.TransferEncoding) > 0) != h.Chunked() {
		t.Errorf("net/http: length %d, codings %q; here %d", req.ContentLength, req.TransferEncoding, length)
	}
	fields := 0
	for _, v := range req.Header {
		fields += len(v)
	}
	if fields > h.Fields() {
		t.Errorf("net/http: %d fields, here %d", fields, h.Fields())
	}
}

func FuzzHead(f *testing.F) {
	for _, tt := range wholeHeads {
		f.Add([]byte(tt.in))
	}
	for _, tt := range refusedHeads {
		if len(tt.in) < 1000 {
			f.Add([]byte(tt.in))
		}
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		if len(p) > 2*HeadBytesMax {
			return
		}
		if len(p) < 1000 {
			checkSplits(t, p)
		}
		var h Head
		n, _ := ParseHead(&h, p, Limits{})
		if n == 0 {
			return
		}
		checkAgainstNetHTTP(t, p)
		text := strings.ToLower(string(p[:n]))
		if strings.Contains(text, "\ncontent-length:") && strings.Contains(text, "\ntransfer-encoding:") {
			t.Error("two framings were accepted")
		}
		if strings.Count(text, "\n") != strings.Count(text, "\r\n") || strings.Contains(text, "\n ") || strings.Contains(text, "\n\t") {
			t.Error("a bare LF or a folded line was accepted")
		}
	})
}

// browserHead is what Chromium sends, but for its longest fields.
var browserHead = []byte(head("GET /ws?topic=news&topic=sports HTTP/1.1", "Host: push.example.com:8080", "Connection: Upgrade",
	"Pragma: no-cache", "Cache-Control: no-cache",
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
	"Upgrade: websocket", "Origin: http://push.example.com:8080", "Sec-WebSocket-Version: 13", "Accept-Encoding: gzip, deflate, br, zstd",
	"Accept-Language: en-GB,en-US;q=0.9,en;q=0.8", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
	"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"))

// BenchmarkParseHead is a browser's request head read by the rules of RFC 9112, without the
// judgement of what it asks for.
func BenchmarkParseHead(b *testing.B) {
	var h Head
	b.SetBytes(int64(len(browserHead)))
	b.ReportAllocs()
	for b.Loop() {
		if n, _ := ParseHead(&h, browserHead, Limits{}); n == 0 {
			b.Fatal("not accepted")
		}
	}
}

// BenchmarkHandshake is all that a handshake costs here: parse, judge, answer.
func BenchmarkHandshake(b *testing.B) {
	var h Head
	var rules OriginRules
	answer := make([]byte, 0, 512)
	b.SetBytes(int64(len(browserHead)))
	b.ReportAllocs()
	for b.Loop() {
		answer = handshake(&h, &rules, answer[:0])
	}
}

func handshake(h *Head, rules *OriginRules, answer []byte) []byte {
	if _, refusal := ParseHead(h, browserHead, Limits{}); refusal != nil {
		return AppendRefusal(answer, refusal, true)
	}
	if refusal := CheckUpgrade(h); refusal != nil {
		return AppendRefusal(answer, refusal, true)
	}
	if refusal := rules.Check(h); refusal != nil {
		return AppendRefusal(answer, refusal, true)
	}
	return AppendSwitching(answer, h.Key(), "", nil)
}

func TestHandshakeDoesNotAllocate(t *testing.T) {
	var h Head
	var rules OriginRules
	answer := make([]byte, 0, 512)
	if n := testing.AllocsPerRun(100, func() { answer = handshake(&h, &rules, answer[:0]) }); n != 0 {
		t.Errorf("a handshake allocates %v times", n)
	}
	if !bytes.HasPrefix(answer, []byte("HTTP/1.1 101 ")) {
		t.Errorf("%s", answer)
	}
}
