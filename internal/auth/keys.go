// Keys from files: a secret, a PEM public key, or a set in JSON.

package auth

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"unicode"
	"unicode/utf8"

	"github.com/MicahParks/jwkset"
)

// key is one that verifies tokens, and the algorithms that it is for. They are fixed by the key:
// what a token says about its algorithm chooses among them, and never makes of a public key a
// secret.
type key struct {
	id         string // kid; empty: it is tried for each token
	key        any
	algorithms []string
}

var (
	hmacAlgorithms = []string{"HS256", "HS384", "HS512"}
	rsaAlgorithms  = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
	// allAlgorithms are those of any key.
	allAlgorithms = append(append([]string{"ES256", "ES384", "ES512", "EdDSA"}, hmacAlgorithms...), rsaAlgorithms...)
)

// newKey is a key of the standard library; public is the half of it that verifies.
func newKey(id string, k any) (key, error) {
	if private, ok := k.(interface{ Public() crypto.PublicKey }); ok {
		k = private.Public()
	}
	switch k := k.(type) {
	case []byte:
		if len(k) < SecretBytesMin {
			return key{}, fmt.Errorf("the secret has %d bytes; allowed are %d or more, as from: openssl rand -hex 32", len(k), SecretBytesMin)
		}
		return key{id, k, hmacAlgorithms}, nil
	case *rsa.PublicKey:
		if k.N.BitLen() < rsaBitsMin {
			return key{}, fmt.Errorf("the RSA key has %d bits; allowed are %d or more", k.N.BitLen(), rsaBitsMin)
		}
		return key{id, k, rsaAlgorithms}, nil
	case *ecdsa.PublicKey:
		if algorithm := map[int]string{256: "ES256", 384: "ES384", 521: "ES512"}[k.Curve.Params().BitSize]; algorithm != "" {
			return key{id, k, []string{algorithm}}, nil
		}
	case ed25519.PublicKey:
		return key{id, k, []string{"EdDSA"}}, nil
	}
	return key{}, fmt.Errorf("a key of type %T verifies no token; allowed are RSA, P-256, P-384, P-521 and Ed25519", k)
}

// allows tells whether k verifies tokens of an algorithm.
func (k *key) allows(algorithm string) bool {
	for _, a := range k.algorithms {
		if a == algorithm {
			return true
		}
	}
	return false
}

// CheckKeyFile tells what is wrong with a file of keys. It reads the file.
func CheckKeyFile(path string) error {
	_, err := readKeys(path)
	return err
}

// ReadSecret is a file's content as a secret: text without the line end behind it, or all of its
// bytes. Those who sign with the file must do the same.
func ReadSecret(content []byte) []byte {
	text := bytes.TrimRight(content, "\r\n")
	if utf8.Valid(text) && bytes.IndexFunc(text, unicode.IsControl) < 0 {
		return text
	}
	return content
}

// readKeys reads the keys of a file. The error does not show what is in it.
func readKeys(path string) ([]key, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, keyFileBytesMax+1))
	if err != nil {
		return nil, err
	}
	if len(content) > keyFileBytesMax {
		return nil, fmt.Errorf("it has more than %d bytes", keyFileBytesMax)
	}
	trimmed := bytes.TrimSpace(content)
	switch {
	case len(trimmed) == 0:
		return nil, errors.New("it is empty")
	case bytes.Contains(trimmed, []byte("-----BEGIN ")):
		return pemKeys(trimmed)
	case trimmed[0] == '{' && json.Valid(trimmed):
		return setKeys(trimmed)
	}
	k, err := newKey("", ReadSecret(content))
	return []key{k}, err
}

// pemKeys reads public keys and certificates; of a private key it takes the public half.
func pemKeys(text []byte) (keys []key, err error) {
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		k, err := parseBlock(block)
		if err != nil {
			return nil, fmt.Errorf("PEM block %q: %w", block.Type, err)
		}
		if k == nil {
			continue
		}
		one, err := newKey("", k)
		if err != nil {
			return nil, err
		}
		if keys = append(keys, one); len(keys) > keysMax {
			return nil, fmt.Errorf("more than %d keys", keysMax)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("there is no key in its PEM blocks")
	}
	return keys, nil
}

func parseBlock(block *pem.Block) (any, error) {
	switch block.Type {
	case "PUBLIC KEY":
		return x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		return x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		return c.PublicKey, nil
	case "PRIVATE KEY":
		return x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		return x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		return x509.ParseECPrivateKey(block.Bytes)
	case "EC PARAMETERS":
		return nil, nil // what openssl ecparam writes in front of a key
	}
	return nil, errors.New("it is no key that verifies tokens")
}

// setKeys reads a JWK Set, or one JWK (RFC 7517).
func setKeys(text []byte) ([]key, error) {
	var set jwkset.JWKSMarshal
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, fmt.Errorf("a JWK Set is expected: %w", err)
	}
	if set.Keys == nil {
		var one jwkset.JWKMarshal
		if err := json.Unmarshal(text, &one); err != nil || one.KTY == "" {
			return nil, errors.New("a JWK Set is expected, and it has no keys")
		}
		set.Keys = []jwkset.JWKMarshal{one}
	}
	var list []jwkset.JWK
	for _, m := range set.Keys {
		one, err := jwkset.NewJWKFromMarshal(m, jwkset.JWKMarshalOptions{Private: true}, jwkset.JWKValidateOptions{})
		if errors.Is(err, jwkset.ErrUnsupportedKey) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("key %.64q: %w", m.KID, err)
		}
		list = append(list, one)
	}
	return usable(list, true)
}

// usable are the keys of a set that verify tokens. secrets tells whether some may be secrets: not
// those that were fetched, which others can fetch too.
func usable(set []jwkset.JWK, secrets bool) (keys []key, err error) {
	for _, one := range set {
		m := one.Marshal()
		if m.USE != "" && m.USE != jwkset.UseSig {
			continue
		}
		k, bad := newKey(m.KID, one.Key())
		if _, secret := k.key.([]byte); bad != nil || secret && !secrets {
			err = bad
			continue
		}
		if m.ALG != "" { // RFC 7517, 4.4: the algorithm that the key is for
			if !k.allows(m.ALG.String()) {
				continue
			}
			k.algorithms = []string{m.ALG.String()}
		}
		if keys = append(keys, k); len(keys) > keysMax {
			return nil, fmt.Errorf("more than %d keys", keysMax)
		}
	}
	if len(keys) == 0 {
		return nil, errors.Join(errors.New("the set has no key that verifies tokens"), err)
	}
	return keys, nil
}
