// What is known of a connection from its handshake.

package tlsconn

import (
	"crypto/tls"
	"crypto/x509"
)

// Protocols of ALPN.
const (
	protoHTTP = "http/1.1"
	protoACME = "acme-tls/1"
)

// about is what is kept of a tls.ConnectionState. It is immutable, and connections that have the
// same share it; one with certificates of the peer has its own.
type about struct {
	aboutKey
	peers  []*x509.Certificate
	chains [][]*x509.Certificate
}

// aboutKey is what connections may have in common.
type aboutKey struct {
	name    string // that the client asked for
	proto   string
	suite   uint16
	version uint16
	resumed bool
}

func aboutOf(s *tls.ConnectionState) *about {
	return &about{
		aboutKey{s.ServerName, s.NegotiatedProtocol, s.CipherSuite, s.Version, s.DidResume},
		s.PeerCertificates, s.VerifiedChains,
	}
}

// state is the tls.ConnectionState of which the about is made. What it lacks are exported keys,
// stapled responses and timestamps.
func (a *about) state() tls.ConnectionState {
	return tls.ConnectionState{
		Version: a.version, HandshakeComplete: true, DidResume: a.resumed, CipherSuite: a.suite,
		NegotiatedProtocol: a.proto, ServerName: a.name,
		PeerCertificates: a.peers, VerifiedChains: a.chains,
	}
}

// abouts are those of one layer, counted by reference. Loop only.
type abouts struct {
	all    []aboutEntry // index 1 on; 0 is none
	free   []uint32
	shared map[aboutKey]uint32
}

type aboutEntry struct {
	*about
	uses int
}

// add is the index of a, or of one like it.
func (t *abouts) add(a *about) uint32 {
	if len(a.peers) == 0 {
		if i := t.shared[a.aboutKey]; i != 0 {
			t.all[i].uses++
			return i
		}
	}
	if len(t.all) == 0 {
		t.all, t.shared = make([]aboutEntry, 1), map[aboutKey]uint32{}
	}
	var i uint32
	if n := len(t.free); n > 0 {
		i, t.free = t.free[n-1], t.free[:n-1]
		t.all[i] = aboutEntry{a, 1}
	} else {
		i = uint32(len(t.all))
		t.all = append(t.all, aboutEntry{a, 1})
	}
	if len(a.peers) == 0 {
		t.shared[a.aboutKey] = i
	}
	return i
}

// at is the about of an index that is in use.
func (t *abouts) at(i uint32) *about { return t.all[i].about }

// drop ends one use of an index; 0 is allowed.
func (t *abouts) drop(i uint32) {
	if i == 0 {
		return
	}
	e := &t.all[i]
	if e.uses--; e.uses > 0 {
		return
	}
	if len(e.peers) == 0 {
		delete(t.shared, e.aboutKey)
	}
	*e = aboutEntry{}
	t.free = append(t.free, i)
}
