// Whose word about a client's address is believed, and where it counts.
//
// Config.TrustedProxies speak for their clients in two ways. In front of a connection a PROXY
// header names the client of all of it: that address counts against Config.MaxConnsPerIP, and
// net/http has it as the request's RemoteAddr. In each request X-Forwarded-For names a client: it
// counts where the request keeps the connection for itself, which is to say for streams. A proxy's
// kept-alive connection for plain requests, each of another client, counts in the total only.

package server

import "net/netip"

// trusted tells whether a request's RemoteAddr, "address:port", is one of Config.TrustedProxies.
func (s *Server) trusted(remote string) bool {
	addr, err := netip.ParseAddrPort(remote)
	return err == nil && s.admission.Trusted.Contains(addr.Addr())
}
