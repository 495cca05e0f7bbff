// TLS: the layer below the roles, of clients; and which handshakes resume a session.

package swarm

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/url"
	"sync/atomic"

	"c100k/internal/tlsconn"
	"c100k/netpoll"
)

// secured is what all clients have in common for TLS.
type secured struct {
	fresh  *tls.Config // for the first connection of a client: it has no session to resume
	again  *tls.Config // for every later one
	common tlsconn.Config
}

// newSecured is nil where the URL is of no encrypted scheme.
func newSecured(s *Swarm) (*secured, error) {
	u, err := url.Parse(s.spec.URL)
	if err != nil || u.Scheme != "wss" && u.Scheme != "https" {
		return nil, nil
	}
	latest := new(atomic.Pointer[tls.ClientSessionState])
	config, err := s.spec.trust().Config(u.Hostname())
	if err != nil {
		return nil, err
	}
	x := &secured{fresh: config.Clone(), again: config.Clone()}
	x.fresh.ClientSessionCache, x.again.ClientSessionCache = &sessions{latest, false}, &sessions{latest, true}
	x.common = tlsconn.Config{Pool: tlsconn.NewPool(), Client: func(tag uint32) *tls.Config {
		if s.clients[tag-1].flags&flagOpened != 0 {
			return x.again
		}
		return x.fresh
	}, Shaken: s.shaken}
	return x, nil
}

// sessions is a tls.ClientSessionCache for clients of one server: all resume the session that came
// last, because a hundred thousand of their own would take more memory than the clients.
type sessions struct {
	latest *atomic.Pointer[tls.ClientSessionState]
	use    bool
}

// Get is ClientSessionCache.Get.
func (c *sessions) Get(string) (*tls.ClientSessionState, bool) {
	if !c.use {
		return nil, false
	}
	cs := c.latest.Load()
	return cs, cs != nil
}

// Put is ClientSessionCache.Put.
func (c *sessions) Put(_ string, cs *tls.ClientSessionState) {
	if cs != nil { // nil is for a session that has expired; the next one replaces it
		c.latest.Store(cs)
	}
}

// shaken takes note of a TLS handshake that is over.
func (s *Swarm) shaken(l *netpoll.Loop, c *netpoll.Conn, resumed bool, err error) {
	switch {
	case c.Closing() || c.Tag() == 0:
	case err != nil:
		s.leave(s.forget(c), tlsCause(err), 0)
	case resumed:
		record(s.measured.resumed, s.at(l)-s.clients[c.Tag()-1].began)
	default:
		record(s.measured.full, s.at(l)-s.clients[c.Tag()-1].began)
	}
}

// tlsCause is the word for why a TLS handshake has failed.
func tlsCause(err error) string {
	var header tls.RecordHeaderError
	var invalid x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	switch {
	case errors.Is(err, io.EOF):
		return "eof"
	case errors.Is(err, tlsconn.ErrNoTLS), errors.As(err, &header):
		return "no TLS"
	case errors.As(err, &invalid), errors.As(err, &unknown), errors.As(err, &name):
		return "bad certificate"
	}
	return fmt.Sprintf("TLS: %.60s", err)
}
