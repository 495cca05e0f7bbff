// The part of the configuration that is about TLS: what it asks for, and what it may be.

package server

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"c100k/internal/certs"
	"c100k/internal/figures"
	"c100k/internal/tlsconn"
)

// SpeaksTLS tells whether the public port speaks TLS.
func (c *Config) SpeaksTLS() bool { return len(c.TLSCerts) > 0 || len(c.ACME) > 0 || c.DevTLS }

// tlsFiles are the files of the public port's TLS. Certificates and keys are as many.
func (c *Config) tlsFiles() certs.Files {
	f := certs.Files{ClientCA: c.TLSClientCA, TicketKeys: c.TLSTicketKeys}
	for i := range c.TLSCerts {
		f.Pairs = append(f.Pairs, certs.Pair{Cert: c.TLSCerts[i], Key: c.TLSKeys[i]})
	}
	return f
}

// adminFiles are those of the admin port.
func (c *Config) adminFiles() certs.Files {
	return certs.Files{Pairs: []certs.Pair{{Cert: c.AdminTLSCert, Key: c.AdminTLSKey}}}
}

// CertificateFiles are the pairs of files of all certificates that the configuration has or that
// ACME has obtained.
func (c *Config) CertificateFiles() []certs.Pair {
	all := c.tlsFiles().Pairs
	for _, name := range c.ACME {
		all = append(all, certs.Stored(c.ACMEStorage, c.ACMEDirectory, name))
	}
	if c.AdminTLSCert != "" {
		all = append(all, c.adminFiles().Pairs...)
	}
	return all
}

// TLSPolicy is what the configuration says about handshakes beyond certificates.
func (c *Config) TLSPolicy() certs.Policy {
	p := certs.Policy{Min: tls.VersionTLS12}
	if c.TLSMin == TLSMin13 {
		p.Min = tls.VersionTLS13
	}
	switch c.TLSClientAuth {
	case ClientAuthOptional:
		p.ClientAuth = tls.VerifyClientCertIfGiven
	case ClientAuthRequire:
		p.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return p
}

// OpenTLS reads what the public port's TLS needs; nil where the port is plain. changed is called on
// another goroutine when it has changed by itself. The error is a *FieldError for a file that
// cannot be used. One process of a node calls it.
func (c *Config) OpenTLS(changed func()) (*certs.Source, error) {
	if !c.SpeaksTLS() {
		return nil, nil
	}
	opt := certs.Options{Files: c.tlsFiles(), Dev: c.DevTLS, Changed: changed, Logger: c.Logger}
	if len(c.ACME) > 0 {
		opt.ACME = &certs.ACME{Names: c.ACME, Email: c.ACMEEmail, Directory: c.ACMEDirectory, Storage: c.ACMEStorage, HTTP: c.HTTPRedirect != ""}
	}
	source, err := certs.Open(opt)
	return source, c.fileErrors(err, "TLSCerts")
}

// AdminTLS is the admin port's TLS. Any goroutine.
type AdminTLS struct {
	*certs.Source
	*certs.Store

	ready atomic.Pointer[certs.Store] // Store, once a change of the files can be taken
}

// OpenAdminTLS reads the certificate of the admin port; nil where that is plain. One process of a
// node calls it.
func (c *Config) OpenAdminTLS() (*AdminTLS, error) {
	if c.AdminTLSCert == "" {
		return nil, nil
	}
	a := new(AdminTLS)
	var err error
	a.Source, err = certs.Open(certs.Options{Files: c.adminFiles(), Logger: c.adminLog(), Changed: func() {
		// A material of a source can be used. The policy is the one of now: a reload may have changed it.
		if store := a.ready.Load(); store != nil {
			_ = store.Set(a.Material(), certs.Policy{Min: store.Config().MinVersion})
		}
	}})
	if err != nil {
		return nil, c.fileErrors(err, "AdminTLSCert")
	}
	if a.Store, err = certs.NewStore(a.Material(), c.adminPolicy(), nil); err != nil {
		a.Source.Close()
		return nil, err
	}
	a.ready.Store(a.Store)
	return a, a.Set(a.Material(), c.adminPolicy()) // what has changed since
}

// Listener shakes hands on the connections of ln.
func (a *AdminTLS) Listener(ln net.Listener) net.Listener {
	return tls.NewListener(ln, &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		return a.Config(), nil
	}})
}

// adminLog says of what it tells that it is the admin port's.
func (c *Config) adminLog() *slog.Logger {
	if c.Logger == nil {
		return nil
	}
	return c.Logger.With("port", "admin")
}

// adminPolicy is TLSPolicy for the admin port: who comes is judged by the API key.
func (c *Config) adminPolicy() certs.Policy { return certs.Policy{Min: c.TLSPolicy().Min} }

// Reload reads the certificate again, which may stand in other files.
func (a *AdminTLS) Reload(c *Config) error {
	if a == nil {
		return nil
	}
	if err := a.Source.Reload(c.adminFiles()); err != nil {
		return c.fileErrors(err, "AdminTLSCert")
	}
	return a.Set(a.Material(), c.adminPolicy())
}

// ReloadTLS gives a source the files of this configuration.
func (c *Config) ReloadTLS(s *certs.Source) error {
	return c.fileErrors(s.Reload(c.tlsFiles()), "TLSCerts")
}

// fileErrors names the fields of files that cannot be used. pairs is the field of certificates.
func (c *Config) fileErrors(err error, pairs string) error {
	if err == nil {
		return nil
	}
	parts := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		parts = joined.Unwrap()
	}
	for i, part := range parts {
		var file *certs.FileError
		if !errors.As(part, &file) {
			continue
		}
		field := map[string]string{certs.OfPair: pairs, certs.OfClientCA: "TLSClientCA", certs.OfTicketKeys: "TLSTicketKeys"}[file.For]
		parts[i] = &FieldError{Field: field, Given: strconv.Quote(file.Path), Allowed: file.Err.Error()}
	}
	return errors.Join(parts...)
}

// Certificates are those in use on the public port and on the admin port, as figures. Both may be
// nil.
func Certificates(public *certs.Source, admin *AdminTLS, now time.Time) []figures.Certificate {
	var all []figures.Certificate
	add := func(prefix string, s *certs.Source) {
		for _, e := range s.Expiries() {
			all = append(all, figures.Certificate{Name: prefix + e.Name, NotAfter: e.NotAfter, Left: e.NotAfter.Sub(now)})
		}
	}
	add("", public)
	if admin != nil {
		add("admin:", admin.Source)
	}
	return all
}

// CheckTLS reads all files of TLS as a start would: *FieldErrors for those that cannot be used.
func (c *Config) CheckTLS() error {
	quiet := *c
	quiet.Logger = slog.New(slog.DiscardHandler)
	quiet.ACME = nil // its storage need not be there yet
	source, err := quiet.OpenTLS(nil)
	if source != nil {
		source.Close()
	}
	admin, adminErr := quiet.OpenAdminTLS()
	if admin != nil {
		admin.Close()
	}
	return errors.Join(err, adminErr)
}

func (c *Config) validateTLS(v *validator) {
	v.oneOf("TLSMin", c.TLSMin, TLSMin12, TLSMin13)
	v.oneOf("TLSClientAuth", c.TLSClientAuth, ClientAuthOff, ClientAuthOptional, ClientAuthRequire)
	switch {
	case len(c.TLSCerts) != len(c.TLSKeys):
		v.refuse("TLSKeys", fmt.Sprintf("%d keys", len(c.TLSKeys)), fmt.Sprintf("each of the %d certificates needs its key, in the same order", len(c.TLSCerts)))
	case len(c.TLSCerts)+len(c.ACME) > certs.PairsMax:
		v.refuse("TLSCerts", fmt.Sprintf("%d certificates", len(c.TLSCerts)+len(c.ACME)), fmt.Sprintf("allowed are %d, with those of ACME", certs.PairsMax))
	}
	if slices.Contains(c.TLSCerts, "") {
		v.refuse("TLSCerts", `""`, "allowed is the path of a file")
	}
	if slices.Contains(c.TLSKeys, "") {
		v.refuse("TLSKeys", `""`, "allowed is the path of a file")
	}
	switch {
	case c.TLSClientCA != "" && c.TLSClientAuth == ClientAuthOff:
		v.refuse("TLSClientAuth", strconv.Quote(c.TLSClientAuth), "with TLSClientCA, allowed are optional, require")
	case c.TLSClientCA == "" && c.TLSClientAuth != ClientAuthOff:
		v.refuse("TLSClientCA", `""`, "client certificates are judged by it: a file of authorities is needed")
	}
	if c.DevTLS {
		c.validateDevTLS(v)
	}
	if c.TLS != nil {
		c.validateProgramTLS(v)
	}
	c.validateACME(v)
	c.validateRedirect(v)
	if !c.SpeaksTLS() {
		for _, of := range []struct{ field, given string }{
			{"TLSClientCA", c.TLSClientCA}, {"TLSTicketKeys", c.TLSTicketKeys}, {"HTTPRedirect", c.HTTPRedirect},
		} {
			if of.given != "" {
				v.refuse(of.field, strconv.Quote(of.given), "the public port is plain: it needs a certificate first")
			}
		}
	}
	switch {
	case (c.AdminTLSCert == "") != (c.AdminTLSKey == ""):
		v.refuse("AdminTLSKey", strconv.Quote(c.AdminTLSKey), "a certificate and its key come together")
	case c.AdminTLSCert != "" && c.Admin == "":
		v.refuse("AdminTLSCert", strconv.Quote(c.AdminTLSCert), "there is no admin port")
	}
}

// validateProgramTLS judges a program's configuration, which leaves no room for files.
func (c *Config) validateProgramTLS(v *validator) {
	if err := tlsconn.Check(c.TLS); err != nil {
		v.refuse("TLS", "a configuration that is not honoured", err.Error())
	}
	if c.SpeaksTLS() {
		v.refuse("TLS", "set", "it excludes TLSCerts, ACME and DevTLS: the program's configuration has the certificates")
	}
}

func (c *Config) validateDevTLS(v *validator) {
	switch {
	case !c.Dev:
		v.refuse("DevTLS", "true", "a certificate that nobody can verify is for development: it needs Dev")
	case len(c.TLSCerts) > 0 || len(c.ACME) > 0:
		v.refuse("DevTLS", "true", "certificates are given as well: one of the two")
	}
}

func (c *Config) validateACME(v *validator) {
	if len(c.ACME) == 0 {
		for _, of := range []struct{ field, given string }{
			{"ACMEEmail", c.ACMEEmail}, {"ACMEDirectory", c.ACMEDirectory}, {"ACMEStorage", c.ACMEStorage},
		} {
			if of.given != "" {
				v.refuse(of.field, strconv.Quote(of.given), "it means nothing without a name in ACME")
			}
		}
		return
	}
	for i, name := range c.ACME {
		if err := certs.CheckName(name); err != nil {
			v.refuse("ACME", strconv.Quote(name), err.Error()+": allowed are names such as push.example.com")
		} else if slices.Contains(c.ACME[:i], name) {
			v.refuse("ACME", strconv.Quote(name), "it is there twice")
		}
	}
	if c.ACMEStorage == "" {
		v.refuse("ACMEStorage", `""`, "certificates must outlive the node, for authorities limit how many they issue: a directory is needed, such as /var/lib/c100k/acme")
	}
	if c.ACMEEmail != "" && !strings.Contains(strings.Trim(c.ACMEEmail, "@"), "@") {
		v.refuse("ACMEEmail", strconv.Quote(c.ACMEEmail), "allowed is an address such as ops@example.com")
	}
	if c.ACMEDirectory != "" && !validDirectory(c.ACMEDirectory) {
		v.refuse("ACMEDirectory", strconv.Quote(redacted(c.ACMEDirectory)), "allowed is a URL that begins with https://")
	}
	if c.isUnix() && c.HTTPRedirect == "" {
		v.refuse("ACME", strconv.Quote(c.ACME[0]), "on a Unix socket no challenge can be answered: HTTPRedirect is needed")
	}
}

// validDirectory takes https, and http for a test server on this machine.
func validDirectory(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return false
	}
	addr, err := netip.ParseAddr(u.Hostname())
	loopback := u.Hostname() == "localhost" || err == nil && addr.IsLoopback()
	return u.Scheme == "https" || u.Scheme == "http" && loopback
}

func (c *Config) validateRedirect(v *validator) {
	if c.HTTPRedirect == "" {
		return
	}
	v.address("HTTPRedirect", c.HTTPRedirect)
	for _, other := range []string{c.Listen, c.Admin} {
		if other == c.HTTPRedirect && !strings.HasSuffix(other, ":0") {
			v.refuse("HTTPRedirect", strconv.Quote(c.HTTPRedirect), "another port has this address: it needs one of its own")
		}
	}
}
