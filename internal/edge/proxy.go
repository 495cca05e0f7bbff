// The PROXY protocol: the header in which a proxy that forwards bytes names the client.

package edge

import (
	"bytes"
	"encoding/binary"
	"net/netip"
)

// How the two versions of the header begin: HAProxy's proxy-protocol.txt, 2.1 and 2.2.
const (
	proxyText      = "PROXY "
	proxySignature = "\r\n\r\n\x00\r\nQUIT\n"
)

// Positions in the binary header.
const (
	proxyCommandAt = len(proxySignature)
	proxyFamilyAt  = proxyCommandAt + 1
	proxyLengthAt  = proxyFamilyAt + 1
	proxyFixed     = proxyLengthAt + 2 // bytes before the addresses
)

// Values of the two bytes before the length: version and command, family and transport.
const (
	proxyV2Local = 0x20
	proxyV2Proxy = 0x21

	proxyUnspecified = 0x00
	proxyTCP4        = 0x11
	proxyTCP6        = 0x21
	proxyUnixStream  = 0x31
)

// parseProxy parses the PROXY header that p begins with. complete false means that more bytes are
// needed. n is the length of the header, and 0 if p begins with something else. The client is not
// valid if the header names none (LOCAL, UNKNOWN, UNSPEC, or a client on a Unix socket); then the
// peer itself is the client. It keeps nothing of p; each call starts from the beginning. Any
// goroutine.
func parseProxy(p []byte) (client netip.AddrPort, n int, complete bool, refusal *Refusal) {
	switch {
	case begins(p, proxyText):
		return parseProxyText(p)
	case begins(p, proxySignature):
		return parseProxyBinary(p)
	}
	return client, 0, true, nil
}

// begins tells whether p begins with want, as far as p goes.
func begins(p []byte, want string) bool {
	n := min(len(p), len(want))
	return string(p[:n]) == want[:n]
}

// parseProxyText parses version 1: "PROXY TCP4 192.0.2.1 198.51.100.1 51234 443" and CRLF.
func parseProxyText(p []byte) (client netip.AddrPort, n int, complete bool, refusal *Refusal) {
	line := p[:min(len(p), proxyTextBytesMax)]
	end, refusal := lineEnd(line, 0)
	switch {
	case refusal != nil || end < 0 && len(line) == proxyTextBytesMax:
		return client, 0, true, badProxy
	case end < 0:
		return client, 0, false, nil
	}
	client, ok := proxyLine(line[:end])
	if !ok {
		return client, 0, true, badProxy
	}
	return client, end + 2, true, nil
}

// proxyLine reads version 1 without its CRLF.
func proxyLine(line []byte) (client netip.AddrPort, ok bool) {
	words := bytes.Split(line, []byte(" "))
	family := string(words[1])
	// 2.1: for UNKNOWN, the receiver must ignore anything presented before the CRLF is found.
	if family == "UNKNOWN" {
		return client, true
	}
	if len(words) != 6 || family != "TCP4" && family != "TCP6" {
		return client, false
	}
	from, ok := proxyAddr(words[2], family)
	if !ok {
		return client, false
	}
	if _, ok = proxyAddr(words[3], family); !ok {
		return client, false
	}
	port, ok := proxyPort(words[4])
	if !ok {
		return client, false
	}
	if _, ok = proxyPort(words[5]); !ok {
		return client, false
	}
	return netip.AddrPortFrom(from.Unmap(), port), true
}

func proxyAddr(word []byte, family string) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(string(word))
	return addr, err == nil && addr.Is4() == (family == "TCP4") && addr.Zone() == ""
}

// proxyPort reads a decimal port without leading zeros.
func proxyPort(word []byte) (uint16, bool) {
	if len(word) == 0 || len(word) > 5 || !is(word, inDigits) || word[0] == '0' && len(word) > 1 {
		return 0, false
	}
	port := 0
	for _, b := range word {
		port = port*10 + int(b-'0')
	}
	return uint16(port), port <= 65535
}

// parseProxyBinary parses version 2. The TLVs behind the addresses are ignored.
func parseProxyBinary(p []byte) (client netip.AddrPort, n int, complete bool, refusal *Refusal) {
	switch {
	case len(p) > proxyCommandAt && p[proxyCommandAt] != proxyV2Local && p[proxyCommandAt] != proxyV2Proxy:
		return client, 0, true, badProxy
	case len(p) < proxyFixed:
		return client, 0, false, nil
	}
	length := int(binary.BigEndian.Uint16(p[proxyLengthAt:]))
	var addrBytes int // of one address
	// 2.2: for LOCAL, the receiver must discard the protocol block including the family, which is
	// ignored.
	if p[proxyCommandAt] == proxyV2Proxy {
		switch p[proxyFamilyAt] {
		case proxyTCP4:
			addrBytes = 4
		case proxyTCP6:
			addrBytes = 16
		case proxyUnspecified, proxyUnixStream:
		default: // datagrams, and what must be rejected as invalid
			return client, 0, true, badProxy
		}
	}
	switch {
	case length > proxyBinaryBytesMax || addrBytes > 0 && length < 2*addrBytes+4:
		return client, 0, true, badProxy
	case len(p) < proxyFixed+length:
		return client, 0, false, nil
	case addrBytes > 0:
		block := p[proxyFixed:]
		from, _ := netip.AddrFromSlice(block[:addrBytes]) // 4 and 16 bytes are always an address
		client = netip.AddrPortFrom(from.Unmap(), binary.BigEndian.Uint16(block[2*addrBytes:]))
	}
	return client, proxyFixed + length, true, nil
}
