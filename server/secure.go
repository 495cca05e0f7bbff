// TLS on the connections of the public port: the layer below their protocols.

package server

import (
	"net"
	"net/netip"

	"c100k/internal/certs"
	"c100k/internal/edge"
	"c100k/internal/tlsconn"
	"c100k/netpoll"
)

// secured is what the loops have in common for TLS.
type secured struct {
	cfg    tlsconn.Config
	layers []*tlsconn.Layer // by loop
}

// secure makes the layers; it does nothing where the public port is plain.
func (s *Server) secure() {
	source := s.tlsSource()
	if source == nil {
		return
	}
	s.secured = &secured{cfg: tlsconn.Config{
		Pool: tlsconn.NewPool(), Server: source, Before: edge.BeforeTLS, Logger: s.log,
		PlainHTTP: func(dst []byte, head bool) []byte {
			s.refusedFrom(edge.RefusePlainHTTP, netip.Addr{})
			return edge.AppendRefusal(dst, edge.RefusePlainHTTP, !head)
		},
	}}
	for range s.cfg.Loops {
		s.secured.layers = append(s.secured.layers, tlsconn.New(&s.secured.cfg))
	}
}

// figures are the handshakes of all loops.
func (x *secured) figures() (done map[string]map[string]uint64, failed map[string]uint64) {
	full, resumed := map[string]uint64{}, map[string]uint64{}
	failed = map[string]uint64{}
	for _, layer := range x.layers {
		f := layer.Figures()
		full["1.2"] += f.Full12
		full["1.3"] += f.Full13
		resumed["1.2"] += f.Resumed12
		resumed["1.3"] += f.Resumed13
		for i, n := range f.Failed {
			failed[tlsconn.FailureNames[i]] += n
		}
	}
	return map[string]map[string]uint64{"false": full, "true": resumed}, failed
}

// subjectOf is the subject of the certificate with which a client has proved who it is; empty: it
// has shown none. Loop only.
func (s *Server) subjectOf(l *netpoll.Loop, c *netpoll.Conn) string {
	layer, ok := l.Layer().(*tlsconn.Layer)
	if !ok {
		return ""
	}
	state, ok := layer.ConnectionState(l, c)
	if !ok {
		return ""
	}
	return certs.Subject(&state)
}

// layer gives the layer of each loop of the node; nil without TLS.
func (s *Server) layer() func(loop int) netpoll.Layer {
	if s.secured == nil {
		return s.cfg.layer
	}
	return func(loop int) netpoll.Layer { return s.secured.layers[loop] }
}

// layeredConn continues a connection with TLS for net/http.
func layeredConn(socket net.Conn, moved *netpoll.Moved) edge.Layered {
	return tlsconn.NewConn(socket, moved)
}
