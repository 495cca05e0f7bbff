// Certificates by ACME (RFC 8555): obtained and renewed by certmagic, kept in a directory that
// processes and nodes may share.

package certs

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"
	"go.uber.org/zap"
)

// ACME says for which names certificates are obtained, and how. Setting Names is agreeing to
// the terms of the authority.
type ACME struct {
	Names     []string // in lower case, without wildcards
	Email     string   // of the account; empty: none
	Directory string   // URL of the authority; empty: Let's Encrypt
	Storage   string   // directory of account, certificates and locks; nodes may share it
	HTTP      bool     // there is a port for plain HTTP, and Challenges answers on it

	roots      *x509.CertPool // that vouch for the directory; nil: the system's
	checkEvery time.Duration  // between two looks at what must be renewed; 0: certmagic's
}

// issuer obtains certificates.
type issuer struct {
	names   []string
	log     *slog.Logger
	cache   *certmagic.Cache
	magic   *certmagic.Config
	acme    *certmagic.ACMEIssuer
	storage certmagic.Storage
	ctx     context.Context
	cancel  context.CancelFunc
	changed func()

	mu   sync.Mutex // guards the field below
	have map[string]*held
}

// newIssuer makes one that does nothing before start. changed is called when a certificate has been
// obtained; it must not block.
func newIssuer(a *ACME, log *slog.Logger, changed func()) *issuer {
	i := &issuer{names: a.Names, log: log, changed: changed, storage: &certmagic.FileStorage{Path: a.Storage}, have: map[string]*held{}}
	i.ctx, i.cancel = context.WithCancel(context.Background())
	logger := zap.New(zapCore{log})
	i.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert:   func(certmagic.Certificate) (*certmagic.Config, error) { return i.magic, nil },
		RenewCheckInterval: a.checkEvery, Capacity: PairsMax, Logger: logger,
	})
	i.magic = certmagic.New(i.cache, certmagic.Config{Storage: i.storage, Logger: logger, OnEvent: i.event})
	i.acme = certmagic.NewACMEIssuer(i.magic, certmagic.ACMEIssuer{
		CA: a.Directory, Email: a.Email, Agreed: true, TrustedRoots: a.roots, DisableHTTPChallenge: !a.HTTP, Logger: logger,
	})
	i.magic.Issuers = []certmagic.Issuer{i.acme}
	i.read()
	return i
}

// start begins to obtain what is missing. public and redirect are the ports on which challenges are
// answered; both must be open, for certmagic opens one that is not. nil: there is none.
func (i *issuer) start(public, redirect net.Addr) error {
	i.acme.ListenHost, i.acme.AltTLSALPNPort = hostPort(public)
	i.acme.DisableTLSALPNChallenge = i.acme.AltTLSALPNPort == 0
	_, i.acme.AltHTTPPort = hostPort(redirect)
	return i.magic.ManageAsync(i.ctx, i.names)
}

// hostPort is the host and port of a TCP address; the port is 0 for any other.
func hostPort(addr net.Addr) (string, int) {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return "", 0
	}
	if tcp.IP.IsUnspecified() {
		return "", tcp.Port
	}
	return tcp.IP.String(), tcp.Port
}

// event hears what certmagic does.
func (i *issuer) event(_ context.Context, event string, data map[string]any) error {
	switch event {
	case "cert_obtained":
		i.log.Info("certificate obtained by ACME", "name", data["identifier"], "renewal", data["renewal"])
		i.changed()
	case "cert_failed":
		i.log.Error("no certificate by ACME; it is tried again", "name", data["identifier"], "err", data["error"])
	}
	return nil
}

// read reads from the storage what this node, or another that shares it, has obtained.
func (i *issuer) read() {
	for _, name := range i.names {
		text, err := i.load(name)
		if err != nil {
			continue // there is none yet; certmagic reports what keeps it from obtaining one
		}
		i.mu.Lock()
		old := i.have[name]
		i.mu.Unlock()
		if old != nil && old.text.equal(text) {
			continue
		}
		cert, err := text.parse()
		if err != nil {
			continue // certificate and key are written one after the other
		}
		i.mu.Lock()
		i.have[name] = &held{files: Pair{Cert: "acme:" + name}, text: text, cert: cert}
		i.mu.Unlock()
	}
}

func (i *issuer) load(name string) (*PairPEM, error) {
	key := i.acme.IssuerKey()
	cert, err := i.storage.Load(i.ctx, certmagic.StorageKeys.SiteCert(key, name))
	if err != nil {
		return nil, err
	}
	secret, err := i.storage.Load(i.ctx, certmagic.StorageKeys.SitePrivateKey(key, name))
	if err != nil {
		return nil, err
	}
	return &PairPEM{Cert: cert, Key: secret}, nil
}

// Stored are the files in which a certificate by ACME lies, in the storage of an authority's
// directory.
func Stored(storage, directory, name string) Pair {
	files := &certmagic.FileStorage{Path: storage}
	key := certmagic.NewACMEIssuer(new(certmagic.Config), certmagic.ACMEIssuer{CA: directory}).IssuerKey()
	return Pair{Cert: files.Filename(certmagic.StorageKeys.SiteCert(key, name)), Key: files.Filename(certmagic.StorageKeys.SitePrivateKey(key, name))}
}

// held are the certificates that were read, in the order of the names.
func (i *issuer) held() []*held {
	i.mu.Lock()
	defer i.mu.Unlock()
	var all []*held
	for _, name := range i.names {
		if h := i.have[name]; h != nil {
			all = append(all, h)
		}
	}
	return all
}

// challenge is the certificate that answers TLS-ALPN-01 for a name.
func (i *issuer) challenge(ctx context.Context, name string) (*PairPEM, error) {
	if !slices.Contains(i.names, name) {
		return nil, errNotOurs
	}
	challenge, err := i.challengeFor(ctx, name)
	if err != nil {
		return nil, err
	}
	cert, err := acmez.TLSALPN01ChallengeCert(challenge)
	if err != nil {
		return nil, err
	}
	return encode(cert.Certificate, cert.PrivateKey)
}

// challengeFor finds the challenge of an order that is under way here, or on a node that shares the
// storage. certmagic keeps the latter where its distributedSolver has put it.
func (i *issuer) challengeFor(ctx context.Context, name string) (acme.Challenge, error) {
	if here, ok := certmagic.GetACMEChallenge(name); ok {
		return here.Challenge, nil
	}
	keys := certmagic.StorageKeys
	text, err := i.storage.Load(ctx, path.Join("acme", keys.Safe(i.acme.IssuerKey()), "challenge_tokens", keys.Safe(name)+".json"))
	if errors.Is(err, fs.ErrNotExist) {
		err = errNoChallenge
	}
	var there acme.Challenge
	if err == nil {
		err = json.Unmarshal(text, &there)
	}
	return there, err
}

var errNoChallenge = errors.New("nobody has asked for a certificate of this name")

// close ends what is under way; locks in the storage are given back.
func (i *issuer) close() {
	i.cancel()
	i.cache.Stop()
	certmagic.CleanUpOwnLocks(context.Background(), i.magic.Logger)
}

// StartACME begins to obtain certificates. public is the port that speaks TLS and redirect the one
// for plain HTTP; both must be open. It does nothing without
// ACME, also on a nil source.
func (s *Source) StartACME(public, redirect net.Addr) {
	if s == nil || s.issuer == nil {
		return
	}
	if err := s.issuer.start(public, redirect); err != nil {
		s.log.Error("ACME does not start", "err", err)
	}
}

// Challenge is a Challenger.
func (s *Source) Challenge(ctx context.Context, name string) (*PairPEM, error) {
	if s.issuer == nil {
		return nil, errNoSolver
	}
	return s.issuer.challenge(ctx, name)
}

// Challenges answers HTTP-01 challenges, which begin with /.well-known/acme-challenge/, and passes
// everything else to next.
func (s *Source) Challenges(next http.Handler) http.Handler {
	if s == nil || s.issuer == nil {
		return next
	}
	return s.issuer.acme.HTTPChallengeHandler(next)
}

// CheckName tells whether ACME can obtain a certificate for a name by the challenges that we
// answer: a domain name without a wildcard.
func CheckName(name string) error {
	switch {
	case strings.HasPrefix(name, "*."):
		return fmt.Errorf("a wildcard needs a challenge by DNS, which is not offered")
	case strings.ToLower(name) != name:
		return fmt.Errorf("names are in lower case")
	case !certmagic.SubjectQualifiesForCert(name) || net.ParseIP(name) != nil:
		return fmt.Errorf("it is no domain name")
	}
	return nil
}
