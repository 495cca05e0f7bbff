// TLS of a node: where handshakes get their configuration, the redirect port, and what becomes of a
// reload.

package server

import (
	"crypto/tls"
	"fmt"
	"net"
	"sync"

	"c100k/internal/certs"
	"c100k/internal/redirect"
)

// tlsParts are what a Server needs for TLS; all are nil where nothing speaks it.
type tlsParts struct {
	// immutable after New
	source *certs.Source // nil in a worker: its parent has it
	store  *certs.Store
	admin  *AdminTLS

	mu     sync.Mutex // guards the field below, and is held while the material is replaced
	policy certs.Policy
}

// openTLS reads what TLS needs.
func (s *Server) openTLS() error {
	err := s.readTLS()
	if err != nil {
		s.tls.close()
	}
	return err
}

func (s *Server) readTLS() (err error) {
	t := &s.tls
	t.mu.Lock()
	defer t.mu.Unlock()
	t.policy = s.cfg.TLSPolicy()
	var material *certs.Material
	var challenger certs.Challenger
	if w := s.cfg.Worker; w != nil {
		material, challenger = w.TLS, w.Challenge
	} else {
		if t.source, err = s.cfg.OpenTLS(s.materialChanged); err != nil {
			return err
		}
		if t.source != nil {
			material, challenger = t.source.Material(), t.source.Challenge
		}
		t.admin, err = s.cfg.OpenAdminTLS()
	}
	if err == nil && material != nil {
		t.store, err = certs.NewStore(material, t.policy, challenger)
	}
	return err
}

// materialChanged takes what the source has read by itself.
func (s *Server) materialChanged() {
	t := &s.tls
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.store == nil {
		return // New has failed
	}
	if err := t.store.Set(t.source.Material(), t.policy); err != nil {
		s.log.Error("certificates not replaced", "err", err)
	}
}

// close ends what New has opened.
func (t *tlsParts) close() {
	t.source.Close()
	if t.admin != nil {
		t.admin.Close()
	}
}

// tlsSource is where a handshake on the public port gets its configuration; nil: the port is plain.
func (s *Server) tlsSource() func() *tls.Config {
	switch c := s.cfg.TLS; {
	case c != nil:
		return func() *tls.Config { return c }
	case s.tls.store != nil:
		return s.tls.store.Config
	}
	return nil
}

// reloadTLS applies what a new configuration says about TLS, all or nothing.
func (s *Server) reloadTLS(c *Config) error {
	t := &s.tls
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.admin.Reload(c); err != nil {
		return err
	}
	if t.store == nil {
		return nil
	}
	var material *certs.Material
	if w := c.Worker; w != nil {
		material = w.TLS
	} else {
		if err := c.ReloadTLS(t.source); err != nil {
			return err
		}
		material = t.source.Material()
	}
	policy := c.TLSPolicy()
	if err := t.store.Set(material, policy); err != nil {
		return fmt.Errorf("TLS: %w", err)
	}
	t.policy = policy
	return nil
}

// listenRedirect opens the port for plain HTTP, if the configuration has one. public is the port
// that it leads to. The caller holds mu.
func (s *Server) listenRedirect(public net.Addr) (net.Addr, error) {
	if s.cfg.HTTPRedirect == "" || s.redirect != nil || s.cfg.Worker != nil {
		return nil, nil
	}
	ln, err := s.cfg.ListenRedirect()
	if err != nil {
		return nil, err
	}
	s.redirect = redirect.Server(redirect.Options{To: public, Here: ln.Addr(), Challenges: s.tls.source.Challenges})
	go s.serveHTTP(s.redirect, ln, "redirect")
	return ln.Addr(), nil
}

// DevFingerprint is the fingerprint of the certificate that was made for this start: SHA-256, as
// browsers show it. Empty without Config.DevTLS.
func (s *Server) DevFingerprint() string { return s.tls.source.DevFingerprint() }
