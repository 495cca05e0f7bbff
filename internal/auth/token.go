// The parts of a token, in the compact form of RFC 7515, 7.1: they are taken apart here, and
// golang-jwt verifies the signature. Its parser reads the header and the claims into maps first,
// which takes longer than the signature of a secret.

package auth

import (
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"
)

// The errors of tokens that are not even well-formed, or not signed by a key of this node.
var (
	errMalformed = &TokenError{Reason: "the token is not a JWT"}
	errSignature = &TokenError{Reason: "the token's signature is not valid"}
	errAlgorithm = &TokenError{Reason: "the token's algorithm is not accepted"}
	errNoKey     = &TokenError{Reason: "no key of this node is for the token's algorithm and kid"}
	errCrit      = &TokenError{Reason: "the token asks for extensions that are not known here (crit)"}
	errKid       = &TokenError{Reason: "the token's kid is no string of at most 256 bytes"}
	errNoExpiry  = &TokenError{Reason: "the token has no expiry (exp)"}
	errEarly     = &TokenError{Reason: "the token is not valid yet (nbf)"}
)

// segment is the encoding of a token's parts: RFC 7515, 2, and no bits beside the last byte.
var segment = base64.RawURLEncoding.Strict()

// parts are those of a token.
type parts struct {
	header, claims, signature string
	signed                    string // the first two
}

func split(token string) (p parts, err error) {
	var ok bool
	if p.header, p.claims, ok = strings.Cut(token, "."); !ok {
		return p, errMalformed
	}
	if p.claims, p.signature, ok = strings.Cut(p.claims, "."); !ok || strings.Contains(p.signature, ".") {
		return p, errMalformed
	}
	p.signed = token[:len(p.header)+1+len(p.claims)]
	return p, nil
}

// header is what is looked at of a token's header. What else it says of keys (jku, jwk, x5u, x5c)
// is not: the sender wrote it.
type header struct {
	text      string // as it came
	algorithm string
	method    jwt.SigningMethod
	kid       string // empty: none
	err       error  // why no token with this header is valid
}

// header reads that of a token. Most tokens of an issuer have the same one, so the last is kept.
func (v *Verifier) header(text string) *header {
	if last := v.lastHeader.Load(); last != nil && last.text == text {
		return last
	}
	h := &header{text: strings.Clone(text)} // and not the whole token with it
	h.err = h.read()
	v.lastHeader.Store(h)
	return h
}

func (h *header) read() error {
	p, err := segment.DecodeString(h.text)
	if err != nil || !utf8.Valid(p) {
		return errMalformed
	}
	err = eachMember(p, func(name string, value []byte) (err error) {
		switch name {
		case "alg":
			if h.algorithm, err = textOf(value); err != nil {
				return errAlgorithm
			}
		case "kid":
			if h.kid, err = textOf(value); err != nil || len(h.kid) > kidBytesMax {
				return errKid
			}
		case "crit":
			// RFC 7515, 4.1.11: a header that MUST be understood and is not makes the token invalid.
			return errCrit
		}
		return nil
	})
	var known *TokenError
	switch {
	case errors.As(err, &known):
		return known
	case err != nil:
		return errMalformed
	}
	if h.method = jwt.GetSigningMethod(h.algorithm); h.method == nil {
		return errAlgorithm
	}
	if !slices.Contains(allAlgorithms, h.algorithm) {
		return errSignature // none, which golang-jwt has too
	}
	return nil
}

// signedBy tells whether one of the keys has signed a token, and whether one of them could have.
func signedBy(keys []key, h *header, signed string, signature []byte) (valid, candidate bool) {
	for i := range keys {
		k := &keys[i]
		if !k.allows(h.algorithm) || k.id != h.kid && k.id != "" && h.kid != "" {
			continue
		}
		if candidate = true; h.method.Verify(signed, signature, k.key) == nil {
			return true, true
		}
	}
	return false, candidate
}
