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

	"github.com/golang-jwt/jwt/v5"
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
	parser *jwt.Parser
	quick  bool
	cache  [cacheSlots]atomic.Pointer[verified]
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
	v.parser = jwt.NewParser(jwt.WithValidMethods(allAlgorithms), jwt.WithExpirationRequired(), jwt.WithLeeway(cfg.Leeway),
		jwt.WithTimeFunc(cfg.Now), jwt.WithStrictDecoding())
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
	c := &claims{}
	_, err := v.parser.ParseWithClaims(token, c, func(t *jwt.Token) (any, error) { return v.choose(t, fetch) })
	now, mono := v.cfg.Now(), netpoll.Monotonic()
	sum, slot := v.slot([]byte(token))
	old := slot.Load()
	same := old != nil && old.sum == sum
	switch {
	case errors.Is(err, ErrKeyUnknown):
		return nil, ErrKeyUnknown
	case err != nil:
		return nil, explain(err)
	case same && old.who.Expired(mono):
		// The leeway is for a token that arrives late. This one was here before its time was over.
		return nil, ErrExpired
	}
	if err := v.check(c); err != nil {
		return nil, err
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

// choose is a jwt.Keyfunc: the keys that may have signed the token, by its kid and its algorithm.
// What else a header says of keys (jku, jwk, x5u, x5c) is not looked at: the sender wrote it.
func (v *Verifier) choose(t *jwt.Token, fetch func(kid string)) (any, error) {
	if _, there := t.Header["crit"]; there {
		// RFC 7515, 4.1.11: a header that MUST be understood and is not makes the token invalid.
		return nil, &TokenError{Reason: "the token asks for extensions that are not known here (crit)"}
	}
	kid := ""
	if value, there := t.Header["kid"]; there {
		text, isText := value.(string)
		if !isText || len(text) > kidBytesMax {
			return nil, &TokenError{Reason: "the token's kid is no string of at most 256 bytes"}
		}
		kid = text
	}
	algorithm := t.Method.Alg()
	found := candidates(nil, v.keys, kid, algorithm)
	if v.remote != nil {
		found = candidates(found, v.remote.known(), kid, algorithm)
		if len(found) == 0 && fetch == nil {
			return nil, ErrKeyUnknown
		}
		if len(found) == 0 {
			fetch(kid)
			found = candidates(found, v.remote.known(), kid, algorithm)
		}
	}
	if len(found) == 0 {
		return nil, &TokenError{Reason: "no key of this node is for the token's algorithm and kid"}
	}
	return jwt.VerificationKeySet{Keys: found}, nil
}

// candidates appends the keys of that name, or without one, that are for the algorithm.
func candidates(found []jwt.VerificationKey, keys []key, kid, algorithm string) []jwt.VerificationKey {
	for i := range keys {
		if k := &keys[i]; k.allows(algorithm) && (k.id == kid || k.id == "" || kid == "") {
			found = append(found, k.key)
		}
	}
	return found
}

// check judges what the parser does not.
func (v *Verifier) check(c *claims) error {
	switch {
	case c.id.Subject == "":
		return &TokenError{Reason: "the token has no subject (sub)"}
	case len(v.cfg.Issuers) > 0 && !slices.Contains(v.cfg.Issuers, c.issuer):
		return &TokenError{Reason: "the token is of another issuer (iss)"}
	case len(v.cfg.Audiences) > 0 && !slices.ContainsFunc(c.audience, func(a string) bool { return slices.Contains(v.cfg.Audiences, a) }):
		return &TokenError{Reason: "the token is for another audience (aud)"}
	}
	return nil
}

// explain makes of an error of the parser one for the client.
func explain(err error) *TokenError {
	var own *TokenError
	switch {
	case errors.As(err, &own):
		return own
	case errors.Is(err, jwt.ErrTokenExpired):
		return ErrExpired
	case errors.Is(err, jwt.ErrTokenNotValidYet):
		return &TokenError{Reason: "the token is not valid yet (nbf)"}
	case errors.Is(err, jwt.ErrTokenRequiredClaimMissing):
		return &TokenError{Reason: "the token has no expiry (exp)"}
	case errors.Is(err, jwt.ErrTokenMalformed):
		return &TokenError{Reason: "the token is not a JWT"}
	case errors.Is(err, jwt.ErrTokenSignatureInvalid):
		return &TokenError{Reason: "the token's signature is not valid"}
	}
	return &TokenError{Reason: "the token's algorithm is not accepted"}
}

// LogValue keeps a Principal out of logs, but for its subject.
func (p *Principal) LogValue() slog.Value { return slog.StringValue(p.Subject) }
