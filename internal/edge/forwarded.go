// X-Forwarded-For: the addresses of clients as proxies that forward requests state them.

package edge

import (
	"bytes"
	"net/netip"
)

// Networks are the addresses of trusted proxies.
type Networks []netip.Prefix

// Contains tells whether addr is one of them. Any goroutine.
func (n Networks) Contains(addr netip.Addr) bool {
	addr = addr.Unmap()
	for _, network := range n {
		if network.Contains(addr) {
			return true
		}
	}
	return false
}

// forwardedFor is the client of a request that arrived from one of the proxies. Each proxy appends
// the address from which it got the request. So the rightmost address that is not a proxy's own is
// the last one that a trusted proxy has seen. ok is false if there is none, or if an element to the
// right of it is not an address.
func forwardedFor(h *Head, proxies Networks) (client netip.Addr, ok bool) {
	for i := h.Fields() - 1; i >= 0; i-- {
		name, list := h.Field(i)
		if !equalFold(name, "x-forwarded-for") {
			continue
		}
		for comma := len(list); comma >= 0; {
			list = list[:comma]
			comma = bytes.LastIndexByte(list, ',')
			client, ok = forwardedAddr(trim(list[comma+1:]))
			if !ok || !proxies.Contains(client) {
				return client, ok
			}
		}
	}
	return netip.Addr{}, false
}

// forwardedAddr reads one element: an address, or an address with a port, which some proxies write.
func forwardedAddr(element []byte) (netip.Addr, bool) {
	text := string(element)
	addr, err := netip.ParseAddr(text)
	if err != nil && len(text) > 2 && text[0] == '[' && text[len(text)-1] == ']' {
		addr, err = netip.ParseAddr(text[1 : len(text)-1])
		if err == nil && !addr.Is6() {
			return netip.Addr{}, false
		}
	}
	if err != nil {
		var with netip.AddrPort
		with, err = netip.ParseAddrPort(text)
		addr = with.Addr()
	}
	// A zone names an interface of another host.
	if err != nil || addr.Zone() != "" {
		return netip.Addr{}, false
	}
	return addr.Unmap(), true
}
