// How long certificates are still good.

package certs

import (
	"crypto/tls"
	"time"
)

// Expiry is the end of one certificate.
type Expiry struct {
	Name     string // its first name; a second certificate of that name has "#2" behind it
	NotAfter time.Time
}

// warning is what was last said about a certificate.
type warning struct {
	state string
	at    time.Time
}

// The states of a certificate that is in use.
const (
	stateGood    = ""
	stateSoon    = "certificate expires soon"
	stateExpired = "certificate has expired; clients refuse it"
)

// stateOf tells how well a certificate is.
func stateOf(c *tls.Certificate, now time.Time) string {
	left, life := c.Leaf.NotAfter.Sub(now), c.Leaf.NotAfter.Sub(c.Leaf.NotBefore)
	switch {
	case left < 0:
		return stateExpired
	case left < Soon(life):
		return stateSoon
	}
	return stateGood
}

// Soon is how long before its end a certificate should have been renewed, by its whole lifetime.
func Soon(life time.Duration) time.Duration { return min(life/soonShare, soonMax) }

// check warns of certificates that have expired or soon will. It also lets keys of tickets go that
// are too old, for it runs by the clock.
func (s *Source) check() {
	now := s.now()
	all := s.all()
	certificates := make([]*tls.Certificate, len(all))
	for i, h := range all {
		certificates[i] = h.cert
	}
	for i, name := range labels(certificates) {
		state, last := stateOf(certificates[i], now), s.warned[name]
		if state == stateGood {
			delete(s.warned, name)
			continue
		}
		if state == last.state && now.Sub(last.at) < warnEvery {
			continue
		}
		s.warned[name] = warning{state, now}
		log := s.log.Warn
		if state == stateExpired {
			log = s.log.Error
		}
		log(state, "name", name, "file", all[i].files.Cert, "expires", certificates[i].Leaf.NotAfter.UTC().Format(time.RFC3339))
	}
}

// Expiries are the ends of all certificates in use, the default first; none on a nil source.
func (s *Source) Expiries() []Expiry {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.all()
	certificates := make([]*tls.Certificate, len(all))
	for i, h := range all {
		certificates[i] = h.cert
	}
	ends := make([]Expiry, len(all))
	for i, name := range labels(certificates) {
		ends[i] = Expiry{name, certificates[i].Leaf.NotAfter}
	}
	return ends
}
