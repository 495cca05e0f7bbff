// The configuration of the next handshake.

package certs

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
)

// protocolACME is the ALPN name of the challenge TLS-ALPN-01: RFC 8737, 3.
const protocolACME = "acme-tls/1"

// suites are those of TLS 1.2 that are offered, by preference: with a key exchange that is
// forgotten, and AEAD ciphers. TLS 1.3 has no others.
var suites = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

// Policy is what the operator has decided about handshakes, apart from certificates.
type Policy struct {
	Min        uint16             // the least version: tls.VersionTLS12 or VersionTLS13
	ClientAuth tls.ClientAuthType // NoClientCert, VerifyClientCertIfGiven or RequireAndVerifyClientCert
}

// Challenger finds the certificate that answers an ACME challenge for a name. It may block until
// ctx ends.
type Challenger func(ctx context.Context, name string) (*PairPEM, error)

// Store makes configurations of materials. Any goroutine.
type Store struct {
	challenger Challenger
	looking    chan struct{} // has room for the challenges that may be looked for at the same time
	current    atomic.Pointer[tls.Config]
}

// NewStore makes a store of a first material. challenger may be nil where nobody uses ACME.
func NewStore(m *Material, p Policy, challenger Challenger) (*Store, error) {
	s := &Store{challenger: challenger, looking: make(chan struct{}, challengesMax)}
	return s, s.Set(m, p)
}

// Set replaces the material. Handshakes that have begun end with the old one. If m cannot be used,
// nothing has changed.
func (s *Store) Set(m *Material, p Policy) error {
	of, err := m.parse()
	if err != nil {
		return err
	}
	c := &tls.Config{
		MinVersion:   p.Min,
		CipherSuites: suites,
		NextProtos:   []string{"http/1.1"},
		ClientAuth:   p.ClientAuth,
		ClientCAs:    of.authorities,
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			if len(of.acme) > 0 && IsChallenge(hello.SupportedProtos) {
				return s.challenge(hello, of.acme)
			}
			return of.index.find(hello)
		},
	}
	if len(of.acme) > 0 {
		c.NextProtos = append(c.NextProtos, protocolACME)
	}
	c.SetSessionTicketKeys(of.ticketKeys)
	s.current.Store(c)
	return nil
}

// Config is the configuration for the next handshake. It must not be changed; Clone keeps its
// ticket keys. A later call may return another one.
func (s *Store) Config() *tls.Config { return s.current.Load() }

// IsChallenge tells whether an ACME authority shakes hands to check a challenge. RFC 8737, 3: it
// offers acme-tls/1 and nothing else, and sends nothing after the handshake.
func IsChallenge(protocols []string) bool {
	return len(protocols) == 1 && protocols[0] == protocolACME
}

var (
	errNotOurs  = errors.New("an ACME challenge for a name that is not ours")
	errTooMany  = errors.New("too many ACME challenges at the same time")
	errNoSolver = errors.New("nobody knows of ACME challenges")
)

// challenge is the certificate that proves to an ACME authority that a name is ours.
func (s *Store) challenge(hello *tls.ClientHelloInfo, names []string) (*tls.Certificate, error) {
	name := strings.ToLower(hello.ServerName)
	switch {
	case s.challenger == nil:
		return nil, errNoSolver
	case !slices.Contains(names, name):
		return nil, errNotOurs
	}
	select {
	case s.looking <- struct{}{}:
		defer func() { <-s.looking }()
	default:
		return nil, errTooMany
	}
	ctx, cancel := context.WithTimeout(hello.Context(), challengeTimeout)
	defer cancel()
	pair, err := s.challenger(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("find the challenge for %s: %w", name, err)
	}
	return pair.parse()
}

// Subject is the subject of the certificate with which a client has proved who it is, in the form
// of RFC 4514: "CN=u17,O=Example". Empty: it has shown none, or none that was verified.
func Subject(state *tls.ConnectionState) string {
	if state == nil || len(state.VerifiedChains) == 0 || len(state.VerifiedChains[0]) == 0 {
		return ""
	}
	return state.VerifiedChains[0][0].Subject.String()
}
