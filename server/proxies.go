// Whose word about a client's address is believed.

package server

import "net/netip"

// trusted tells whether a peer, "address:port", is one of Config.TrustedProxies.
func (s *Server) trusted(peer string) bool {
	addr, err := netip.ParseAddrPort(peer)
	if err != nil {
		return false
	}
	return s.trustedAddr(addr.Addr())
}

func (s *Server) trustedAddr(addr netip.Addr) bool {
	for _, network := range s.cfg.TrustedProxies {
		if network.Contains(addr.Unmap()) {
			return true
		}
	}
	return false
}
