// Tests of the PROXY header: both versions, good and bad, in one piece and in many.

package edge

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"
)

// proxyV2 is a header of version 2.
func proxyV2(command, family byte, block string) string {
	p := append([]byte(proxySignature), command, family)
	return string(binary.BigEndian.AppendUint16(p, uint16(len(block)))) + block
}

const (
	block4 = "\xc0\x00\x02\x01\xc6\x33\x64\x01\xc8\x22\x01\xbb" // 192.0.2.1:51234 to 198.51.100.1:443
	block6 = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" +
		"\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\xc8\x22\x01\xbb"
	mapped6 = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xc0\x00\x02\x01" +
		"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xc6\x33\x64\x01\xc8\x22\x01\xbb"
	noop = "\x04\x00\x03abc" // a TLV
)

const longestV1 = "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"

// goodProxies are headers with the client they name; "" is the peer's own connection.
var goodProxies = []struct{ name, in, client string }{
	{"v1 TCP4", "PROXY TCP4 192.0.2.1 198.51.100.1 51234 443\r\n", "192.0.2.1:51234"},
	{"v1 TCP6", "PROXY TCP6 2001:db8::1 2001:DB8::2 51234 443\r\n", "[2001:db8::1]:51234"},
	{"v1 TCP6 with IPv4", "PROXY TCP6 ::ffff:192.0.2.1 ::ffff:198.51.100.1 0 65535\r\n", "192.0.2.1:0"},
	{"v1 UNKNOWN", "PROXY UNKNOWN\r\n", ""},
	{"v1 UNKNOWN and more", longestV1, ""},
	{"v2 TCP4", proxyV2(proxyV2Proxy, proxyTCP4, block4), "192.0.2.1:51234"},
	{"v2 TCP4 with TLVs", proxyV2(proxyV2Proxy, proxyTCP4, block4+noop+noop), "192.0.2.1:51234"},
	{"v2 TCP6", proxyV2(proxyV2Proxy, proxyTCP6, block6), "[2001:db8::1]:51234"},
	{"v2 TCP6 with IPv4", proxyV2(proxyV2Proxy, proxyTCP6, mapped6+noop), "192.0.2.1:51234"},
	{"v2 LOCAL", proxyV2(proxyV2Local, proxyUnspecified, ""), ""},
	{"v2 LOCAL with a family", proxyV2(proxyV2Local, proxyTCP4, block4), ""},
	{"v2 LOCAL with nonsense", proxyV2(proxyV2Local, 0xff, "abc"), ""},
	{"v2 UNSPEC", proxyV2(proxyV2Proxy, proxyUnspecified, noop), ""},
	{"v2 UNIX", proxyV2(proxyV2Proxy, proxyUnixStream, strings.Repeat("\x00", 216)), ""},
	{"v2 as long as may be", proxyV2(proxyV2Proxy, proxyTCP4, block4+strings.Repeat("x", proxyBinaryBytesMax-len(block4))), "192.0.2.1:51234"},
}

var badProxies = []struct{ name, in string }{
	{"v1 bare LF", "PROXY TCP4 192.0.2.1 198.51.100.1 51234 443\n"},
	{"v1 bare CR", "PROXY TCP4 192.0.2.1 198.51.100.1 51234 443\rG"},
	{"v1 NUL", "PROXY UNKNOWN \x00\r\n"},
	{"v1 nothing", "PROXY \r\n"},
	{"v1 family", "PROXY UDP4 192.0.2.1 198.51.100.1 51234 443\r\n"},
	{"v1 family in lower case", "PROXY tcp4 192.0.2.1 198.51.100.1 51234 443\r\n"},
	{"v1 IPv6 as TCP4", "PROXY TCP4 ::1 ::1 51234 443\r\n"},
	{"v1 IPv4 as TCP6", "PROXY TCP6 192.0.2.1 198.51.100.1 51234 443\r\n"},
	{"v1 bad source", "PROXY TCP4 192.0.2.256 198.51.100.1 51234 443\r\n"},
	{"v1 leading zero", "PROXY TCP4 192.0.02.1 198.51.100.1 51234 443\r\n"},
	{"v1 bad destination", "PROXY TCP4 192.0.2.1 x 51234 443\r\n"},
	{"v1 zone", "PROXY TCP6 fe80::1%lo fe80::2 51234 443\r\n"},
	{"v1 port", "PROXY TCP4 192.0.2.1 198.51.100.1 65536 443\r\n"},
	{"v1 long port", "PROXY TCP4 192.0.2.1 198.51.100.1 051234 443\r\n"},
	{"v1 port with a zero", "PROXY TCP4 192.0.2.1 198.51.100.1 01 443\r\n"},
	{"v1 port with a sign", "PROXY TCP4 192.0.2.1 198.51.100.1 +1 443\r\n"},
	{"v1 bad second port", "PROXY TCP4 192.0.2.1 198.51.100.1 1 \r\n"},
	{"v1 too few", "PROXY TCP4 192.0.2.1 198.51.100.1 51234\r\n"},
	{"v1 too many", "PROXY TCP4 192.0.2.1 198.51.100.1 51234 443 \r\n"},
	{"v1 two spaces", "PROXY TCP4  192.0.2.1 198.51.100.1 51234 443\r\n"},
	{"v1 too long", strings.Replace(longestV1, "UNKNOWN", "UNKNOWN ", 1) + " "},
	{"v1 endless", "PROXY UNKNOWN " + strings.Repeat("x", 200)},
	{"a request", "PROXY / HTTP/1.1\r\n"},
	{"v2 version 1", proxyV2(0x11, proxyTCP4, block4)},
	{"v2 command", proxyV2(0x22, proxyTCP4, block4)},
	{"v2 UDP", proxyV2(proxyV2Proxy, 0x12, block4)},
	{"v2 family", proxyV2(proxyV2Proxy, 0x41, block4)},
	{"v2 too short for TCP4", proxyV2(proxyV2Proxy, proxyTCP4, block4[1:])},
	{"v2 too short for TCP6", proxyV2(proxyV2Proxy, proxyTCP6, block6[1:])},
	{"v2 too long", proxyV2(proxyV2Proxy, proxyTCP4, block4+strings.Repeat("x", proxyBinaryBytesMax))},
	{"v2 LOCAL too long", proxyV2(proxyV2Local, proxyUnspecified, strings.Repeat("x", proxyBinaryBytesMax+1))},
}

func TestParseProxy(t *testing.T) {
	if len(longestV1) != proxyTextBytesMax {
		t.Fatalf("the longest header has %d bytes", len(longestV1))
	}
	for _, tt := range goodProxies {
		for _, behind := range []string{"", "GET / HTTP/1.1\r\n", "\x00"} {
			client, n, complete, refusal := parseProxy([]byte(tt.in + behind))
			if n != len(tt.in) || !complete || refusal != nil {
				t.Errorf("%s: %d of %d, complete %t, %v", tt.name, n, len(tt.in), complete, refusal)
			}
			if got := client.String(); client.IsValid() && got != tt.client || client.IsValid() != (tt.client != "") {
				t.Errorf("%s: client %s, want %s", tt.name, got, tt.client)
			}
		}
		checkProxySplits(t, []byte(tt.in))
	}
	for _, tt := range badProxies {
		if _, n, complete, refusal := parseProxy([]byte(tt.in)); n != 0 || !complete || refusal != badProxy {
			t.Errorf("%s: %d, complete %t, %v", tt.name, n, complete, refusal)
		}
		checkProxySplits(t, []byte(tt.in))
	}
	for _, in := range []string{"GET", "POST", "PUT", "PROXX", "PROPFIND ", "PROXY\t", "\r\nG", "\r\n\r\nG", "\r\n\r\n\x00\r\nQUIX", "\x16\x03\x01"} {
		if _, n, complete, refusal := parseProxy([]byte(in)); n != 0 || !complete || refusal != nil {
			t.Errorf("%q: %d, complete %t, %v", in, n, complete, refusal)
		}
		checkProxySplits(t, []byte(in))
	}
}

// checkProxySplits parses every beginning of p: none may be judged otherwise than p.
func checkProxySplits(t *testing.T, p []byte) {
	t.Helper()
	wantClient, wantN, wantComplete, wantRefusal := parseProxy(p)
	for i := range len(p) {
		client, n, complete, refusal := parseProxy(p[:i])
		if !complete {
			if n != 0 || refusal != nil || client.IsValid() {
				t.Fatalf("%q is incomplete, and %d, %v, %v", p[:i], n, refusal, client)
			}
			continue
		}
		if client != wantClient || n != wantN || !wantComplete || refusal != wantRefusal {
			t.Fatalf("%q: %v, %d, %v; all of %q: %v, %d, %v", p[:i], client, n, refusal, p, wantClient, wantN, wantRefusal)
		}
		return
	}
}

func FuzzProxyHeader(f *testing.F) {
	for _, tt := range goodProxies {
		f.Add([]byte(tt.in + "GET"))
	}
	for _, tt := range badProxies {
		f.Add([]byte(tt.in))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		if len(p) > 2*proxyBinaryBytesMax {
			return
		}
		checkProxySplits(t, p)
		client, n, complete, refusal := parseProxy(p)
		switch {
		case n > len(p) || n > proxyFixed+proxyBinaryBytesMax:
			t.Errorf("a header of %d bytes in %d", n, len(p))
		case refusal != nil && (n != 0 || !complete || client.IsValid()):
			t.Errorf("refused, and %d, %t, %v", n, complete, client)
		case !complete && len(p) >= proxyFixed+proxyBinaryBytesMax:
			t.Errorf("%d bytes are not enough", len(p))
		case !client.IsValid():
			return
		}
		addr := client.Addr()
		if n == 0 || addr.Zone() != "" || addr.Is4In6() {
			t.Errorf("%v in %d bytes", client, n)
		}
		// Written again as text, it says the same.
		family, to := "TCP6", "::"
		if addr.Is4() {
			family, to = "TCP4", "0.0.0.0"
		}
		_, port, _ := strings.Cut(client.String()[strings.LastIndexByte(client.String(), ']')+1:], ":")
		again, _, _, refusal := parseProxy([]byte("PROXY " + family + " " + addr.String() + " " + to + " " + port + " 0\r\n"))
		if again != client || refusal != nil {
			t.Errorf("%v became %v, %v", client, again, refusal)
		}
	})
}

func TestForwardedFor(t *testing.T) {
	proxies := Networks{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8:ffff::/48")}
	for _, tt := range []struct {
		name   string
		fields []string
		want   string
	}{
		{"none", nil, ""},
		{"one", []string{"192.0.2.1"}, "192.0.2.1"},
		{"the client's own claim stands left", []string{"127.0.0.1, 192.0.2.1"}, "192.0.2.1"},
		{"proxies are passed over", []string{"6.6.6.6, 192.0.2.1, 10.0.0.1,10.255.0.1 "}, "192.0.2.1"},
		{"several lines are one list", []string{"6.6.6.6", "192.0.2.1, 2001:db8:ffff::1", "10.0.0.1"}, "192.0.2.1"},
		{"only proxies", []string{"10.0.0.1", "10.0.0.2"}, ""},
		{"IPv6", []string{"2001:db8::1"}, "2001:db8::1"},
		{"IPv4 in IPv6", []string{"::ffff:192.0.2.1, ::ffff:10.1.1.1"}, "192.0.2.1"},
		{"port", []string{"192.0.2.1:51234"}, "192.0.2.1"},
		{"IPv6 in brackets", []string{"[2001:db8::1]"}, "2001:db8::1"},
		{"IPv6 with a port", []string{"[2001:db8::1]:51234, 10.0.0.1:1"}, "2001:db8::1"},
		{"IPv4 in brackets", []string{"[192.0.2.1]"}, ""},
		{"malformed", []string{"unknown"}, ""},
		{"behind the malformed", []string{"unknown, 192.0.2.1"}, "192.0.2.1"},
		{"before the malformed", []string{"192.0.2.1, unknown"}, ""},
		{"before the malformed and a proxy", []string{"192.0.2.1, _hidden, 10.0.0.1"}, ""},
		{"before the malformed, in another line", []string{"192.0.2.1", "1.2.3", "10.0.0.1"}, ""},
		{"empty", []string{""}, ""},
		{"empty element", []string{"192.0.2.1,"}, ""},
		{"empty element between", []string{"192.0.2.1,,10.0.0.1"}, ""},
		{"empty first", []string{", 192.0.2.1"}, "192.0.2.1"},
		{"zone", []string{"fe80::1%eth0"}, ""},
		{"leading zeros", []string{"010.0.0.1"}, ""},
		{"bad port", []string{"192.0.2.1:x"}, ""},
	} {
		lines := []string{"GET / HTTP/1.1", "Host: h", "Forwarded-For: 6.6.6.6"}
		for i, field := range tt.fields {
			lines = append(lines, []string{"X-Forwarded-For: ", "x-forwarded-for:"}[i%2]+field)
		}
		var h Head
		if n, refusal := ParseHead(&h, []byte(head(lines...)), Limits{}); n == 0 {
			t.Fatal(refusal)
		}
		client, ok := forwardedFor(&h, proxies)
		if ok != (tt.want != "") || ok && client.String() != tt.want {
			t.Errorf("%s: %s, %t; want %q", tt.name, client, ok, tt.want)
		}
	}
}
