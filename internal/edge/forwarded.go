// X-Forwarded-For: what proxies that pass on requests say of the client.

package edge

import (
	"bytes"
	"net/netip"
)

// Networks are the addresses of proxies whose word is believed.
type Networks []netip.Prefix

// Contains says whether addr is one of them. Any goroutine.
func (n Networks) Contains(addr netip.Addr) bool {
	addr = addr.Unmap()
	for _, network := range n {
		if network.Contains(addr) {
			return true
		}
	}
	return false
}

// forwardedFor is the client of a request that came from one of the proxies: each adds, at the right end, the address
// that it has the request from, so the first from the right that is not itself one of them is the last that anybody
// trusted has seen. Not ok means that there is none, or something else than an address before it.
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

// forwardedAddr reads one element: an address, or, as some proxies write it, an address with a port.
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
	// A zone is somebody else's name for an interface.
	if err != nil || addr.Zone() != "" {
		return netip.Addr{}, false
	}
	return addr.Unmap(), true
}
