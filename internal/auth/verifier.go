// Verifier: from a token to a Principal.

package auth

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	"c100k/netpoll"
)

// TokenError is why a token is not valid. Its text is for the client that has sent it, and for
// logs: nothing of the token is in it.
type TokenError struct {
	Expired bool // it was valid once
	Reason  string
}

// Error implements error.
func (e *TokenError) Error() string { return e.Reason }

// ErrExpired is the error of a token that has expired.
var ErrExpired = &TokenError{Expired: true, Reason: "the token has expired"}

// VerifierConfig says which tokens a Verifier believes.
type VerifierConfig struct {
	Files     []string // of keys
	JWKS      string   // URL of a set of keys; empty: none
	Issuers   []string // of which iss must be one; empty: not checked
	Audiences []string // of which aud must have one; empty: not checked
	Leeway    time.Duration
	Registry  *Registry
	Failed    func(error)  // hears of fetches that failed, on any goroutine; nil: nobody
	Client    *http.Client // for JWKS; nil: one of its own
	Now       func() time.Time
}

// Verifier verifies tokens. Any goroutine.
type Verifier struct {
	cfg    VerifierConfig
	keys   []key // of the files
	remote *remote
	quick  bool

	lastHeader atomic.Pointer[header]
	cache      [cacheSlots]atomic.Pointer[verified]
}

// verified is a token that was verified.
type verified struct {
	sum  [sha256.Size]byte
	who  *Principal
	when time.Duration // on the clock of netpoll.Monotonic
}

// NewVerifier reads the keys of cfg. The error names the file that is wrong.
func NewVerifier(cfg VerifierConfig) (*Verifier, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Failed == nil {
		cfg.Failed = func(error) {}
	}
	v := &Verifier{cfg: cfg, quick: cfg.JWKS == ""}
	for _, path := range cfg.Files {
		keys, err := readKeys(path)
		if err != nil {
			return nil, fmt.Errorf("token key %s: %w", path, err)
		}
		v.keys = append(v.keys, keys...)
	}
	for i := range v.keys {
		_, secret := v.keys[i].key.([]byte)
		v.quick = v.quick && secret
	}
	if cfg.JWKS != "" {
		var err error
		if v.remote, err = newRemote(cfg.JWKS, cfg.Client, cfg.Failed); err != nil {
			return nil, fmt.Errorf("token JWKS: %w", err)
		}
	}
	return v, nil
}

// CheckJWKS tells what is wrong with the URL of a set of keys.
func CheckJWKS(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return errors.New("allowed is an http or https URL")
	}
	return nil
}

// Close ends what fetches keys.
func (v *Verifier) Close() {
	if v.remote != nil {
		v.remote.close()
	}
}

// Quick tells whether Verify takes some microseconds and never waits, so that a loop may call it:
// all keys are secrets.
func (v *Verifier) Quick() bool { return v.quick }

// Cached is the principal of a token that was verified within the last minute; known is false for
// another one. The error is that of Verify. It allocates nothing and takes no lock.
func (v *Verifier) Cached(token []byte) (who *Principal, err error, known bool) {
	sum, slot := v.slot(token)
	e := slot.Load()
	now := netpoll.Monotonic()
	if e == nil || e.sum != sum || now-e.when > cacheFor {
		return nil, nil, false
	}
	if e.who.Expired(now) {
		return nil, ErrExpired, true
	}
	return e.who, nil, true
}

func (v *Verifier) slot(token []byte) (sum [sha256.Size]byte, slot *atomic.Pointer[verified]) {
	sum = sha256.Sum256(token)
	return sum, &v.cache[binary.LittleEndian.Uint32(sum[:])%cacheSlots]
}

// ErrKeyUnknown is the error of TryVerify for a token whose key has to be fetched.
var ErrKeyUnknown = errors.New("the key of the token is not known")

// TryVerify is Verify without a wait.
func (v *Verifier) TryVerify(token string) (*Principal, error) { return v.verify(token, nil) }

// Verify is the principal that a token speaks for. The error is a *TokenError, or that of ctx. It
// may wait for a set of keys that is fetched.
func (v *Verifier) Verify(ctx context.Context, token string) (*Principal, error) {
	who, err := v.verify(token, func(kid string) { v.remote.fetch(ctx, kid) })
	if err != nil && ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return who, err
}

// verify verifies a token; fetch fetches the key of that name, nil where nothing may wait.
func (v *Verifier) verify(token string, fetch func(kid string)) (*Principal, error) {
	if len(token) >= TokenBytesMax {
		return nil, &TokenError{Reason: fmt.Sprintf("the token has %d bytes; allowed are less than %d", len(token), TokenBytesMax)}
	}
	c, err := v.open(token, fetch)
	if err != nil {
		return nil, err
	}
	now, mono := v.cfg.Now(), netpoll.Monotonic()
	if err := v.check(c, now); err != nil {
		return nil, err
	}
	sum, slot := v.slot([]byte(token))
	old := slot.Load()
	same := old != nil && old.sum == sum
	if same && old.who.Expired(mono) {
		// The leeway is for a token that arrives late. This one was here before its time was over.
		return nil, ErrExpired
	}
	who, err := NewPrincipal(&c.id, v.cfg.Registry, now, mono, v.cfg.Leeway)
	if err != nil {
		return nil, &TokenError{Reason: "the token is not valid: " + err.Error()}
	}
	if same {
		who = old.who // connections with the same token share it
	}
	slot.Store(&verified{sum, who, mono})
	return who, nil
}

// open reads the claims of a token that is signed by a key of this node.
func (v *Verifier) open(token string, fetch func(kid string)) (*claims, error) {
	p, err := split(token)
	if err != nil {
		return nil, err
	}
	h := v.header(p.header)
	if h.err != nil {
		return nil, h.err
	}
	signature, err := segment.DecodeString(p.signature)
	if err != nil {
		return nil, errMalformed
	}
	if err := v.verifySignature(h, p.signed, signature, fetch); err != nil {
		return nil, err
	}
	text, err := segment.DecodeString(p.claims)
	if err != nil {
		return nil, errMalformed
	}
	c := &claims{}
	if err := c.read(text); err != nil {
		return nil, &TokenError{Reason: "the token's claims are not valid: " + err.Error()}
	}
	return c, nil
}

// verifySignature tries the keys that may have signed a token, by its kid and its algorithm.
func (v *Verifier) verifySignature(h *header, signed string, signature []byte, fetch func(kid string)) error {
	valid, candidate := signedBy(v.keys, h, signed, signature)
	if !valid && v.remote != nil {
		var there bool
		valid, there = signedBy(v.remote.known(), h, signed, signature)
		candidate = candidate || there
		if !candidate {
			if fetch == nil {
				return ErrKeyUnknown
			}
			fetch(h.kid)
			valid, candidate = signedBy(v.remote.known(), h, signed, signature)
		}
	}
	switch {
	case valid:
		return nil
	case candidate:
		return errSignature
	}
	return errNoKey
}

// check judges the claims of a token at the time now.
func (v *Verifier) check(c *claims, now time.Time) error {
	switch {
	case c.id.Expires.IsZero():
		return errNoExpiry
	case !now.Before(c.id.Expires.Add(v.cfg.Leeway)):
		return ErrExpired
	case now.Before(c.before.Add(-v.cfg.Leeway)):
		return errEarly
	case c.id.Subject == "":
		return &TokenError{Reason: "the token has no subject (sub)"}
	case len(v.cfg.Issuers) > 0 && !slices.Contains(v.cfg.Issuers, c.issuer):
		return &TokenError{Reason: "the token is of another issuer (iss)"}
	case len(v.cfg.Audiences) > 0 && !slices.ContainsFunc(c.audience, func(a string) bool { return slices.Contains(v.cfg.Audiences, a) }):
		return &TokenError{Reason: "the token is for another audience (aud)"}
	}
	return nil
}

// LogValue keeps a Principal out of logs, but for its subject.
func (p *Principal) LogValue() slog.Value { return slog.StringValue(p.Subject) }
