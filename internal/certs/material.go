// What one process of a node knows and all need: certificates, authorities, ticket keys.

package certs

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
)

// Material is all that a handshake needs of files and authorities. It holds secrets and goes
// nowhere but to the node's own processes, as JSON. It is immutable.
type Material struct {
	Pairs       []PairPEM   `json:"pairs"`                 // the first is the default; empty: ACME has none yet
	Authorities []byte      `json:"authorities,omitempty"` // that vouch for clients, PEM; empty: none
	TicketKeys  []TicketKey `json:"ticketKeys"`            // the first seals
	ACME        []string    `json:"acme,omitempty"`        // names for which there may be challenges
}

// parsed is a material in the form in which handshakes use it.
type parsed struct {
	index       *index
	authorities *x509.CertPool
	ticketKeys  []TicketKey
	acme        []string
}

// parse checks a material.
func (m *Material) parse() (*parsed, error) {
	p := &parsed{ticketKeys: m.TicketKeys, acme: m.ACME}
	var all []*tls.Certificate
	for i := range m.Pairs {
		c, err := m.Pairs[i].parse()
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", i, err)
		}
		all = append(all, c)
	}
	p.index = newIndex(all)
	if len(m.Authorities) > 0 {
		var err error
		if p.authorities, err = parseAuthorities(m.Authorities); err != nil {
			return nil, fmt.Errorf("authorities of clients: %w", err)
		}
	}
	if len(m.TicketKeys) == 0 {
		return nil, fmt.Errorf("no key of session tickets")
	}
	return p, nil
}
