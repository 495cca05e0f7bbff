// TLS of a node of several processes: the parent reads files and runs ACME, the workers get what
// their handshakes need.

package workers

import (
	"context"
	"net/http"
	"net/url"

	"c100k/internal/admin"
	"c100k/internal/certs"
	"c100k/server"
)

// openTLS reads what TLS needs.
func (s *Supervisor) openTLS(c *server.Config) error {
	s.reloading.Lock() // the source may find a change before there is a setup
	defer s.reloading.Unlock()
	var err error
	if s.tls, err = c.OpenTLS(s.materialChanged); err != nil {
		return err
	}
	if s.secure, err = c.OpenAdminTLS(); err != nil {
		s.tls.Close()
	}
	return err
}

// closeTLS ends what openTLS has begun.
func (s *Supervisor) closeTLS() {
	s.tls.Close()
	if s.secure != nil {
		s.secure.Close()
	}
}

// materialChanged gives the workers what the source has read by itself, or a new key of session
// tickets.
func (s *Supervisor) materialChanged() {
	s.reloading.Lock()
	now := s.setup.Load()
	if now == nil {
		s.reloading.Unlock()
		return // New has failed, or gives the setup what it has found
	}
	s.setup.Store(&setup{now.config, now.key, s.tls.Material()})
	s.reloading.Unlock()
	for i, err := range s.fleet.catchUp() {
		if err != nil {
			s.log.Debug("worker does not have the new certificates and keys yet, and is told again", "worker", i, "err", err)
		}
	}
}

// reloadTLS reads the files of a configuration, all or nothing.
func (s *Supervisor) reloadTLS(c *server.Config) error {
	if err := s.secure.Reload(c); err != nil {
		return err
	}
	if s.tls == nil {
		return nil
	}
	return c.ReloadTLS(s.tls)
}

// DevFingerprint is the fingerprint of the certificate that was made for this start; empty: none.
func (s *Supervisor) DevFingerprint() string { return s.tls.DevFingerprint() }

// serveChallenge answers a worker that an ACME authority shakes hands with.
func (s *Supervisor) serveChallenge(rw http.ResponseWriter, r *http.Request) {
	pair, err := s.tls.Challenge(r.Context(), r.URL.Query().Get("name"))
	if err != nil {
		admin.NewProblem(http.StatusNotFound, "no_challenge", err.Error()).Write(rw)
		return
	}
	writeDocument(rw, pair)
}

// challenge asks the parent for the certificate that answers a challenge. It is a certs.Challenger.
func (w *worker) challenge(ctx context.Context, name string) (*certs.PairPEM, error) {
	pair := new(certs.PairPEM)
	err := w.parent.do(ctx, http.MethodGet, "/worker/challenge?name="+url.QueryEscape(name), nil, pair)
	return pair, err
}
