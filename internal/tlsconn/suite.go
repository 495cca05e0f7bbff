// The cipher suites: TLS 1.3, and those of TLS 1.2 with an AEAD and forward secrecy.

package tlsconn

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"hash"

	"golang.org/x/crypto/chacha20poly1305"
)

// suite is what the record layer has to know of a cipher suite.
type suite struct {
	id        uint16
	version   uint16
	keyBytes  int
	hash      func() hash.Hash
	hashBytes int
	// explicit: each record begins with 8 bytes of its nonce, and the secret part has 4 (RFC 5288).
	// Otherwise the nonce is the sequence number XORed with 12 secret bytes (RFC 7905; RFC 8446,
	// 5.3).
	explicit bool
	aead     func(key []byte) (cipher.AEAD, error)
	// aeadBytes is what an AEAD costs in memory, in bytes.
	aeadBytes int
}

func newGCM(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// suites are all that are offered. A session names one by 1 + its index.
var suites = [...]suite{
	{tls.TLS_AES_128_GCM_SHA256, tls.VersionTLS13, 16, sha256.New, sha256.Size, false, newGCM, gcmBytes},
	{tls.TLS_AES_256_GCM_SHA384, tls.VersionTLS13, 32, sha512.New384, sha512.Size384, false, newGCM, gcmBytes},
	{tls.TLS_CHACHA20_POLY1305_SHA256, tls.VersionTLS13, 32, sha256.New, sha256.Size, false, chacha20poly1305.New, chachaBytes},
	{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.VersionTLS12, 16, sha256.New, sha256.Size, true, newGCM, gcmBytes},
	{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.VersionTLS12, 16, sha256.New, sha256.Size, true, newGCM, gcmBytes},
	{tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.VersionTLS12, 32, sha512.New384, sha512.Size384, true, newGCM, gcmBytes},
	{tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, tls.VersionTLS12, 32, sha512.New384, sha512.Size384, true, newGCM, gcmBytes},
	{tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.VersionTLS12, 32, sha256.New, sha256.Size, false, chacha20poly1305.New, chachaBytes},
	{tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, tls.VersionTLS12, 32, sha256.New, sha256.Size, false, chacha20poly1305.New, chachaBytes},
}

// What an AEAD costs in bytes, with its place in the cache.
const (
	gcmBytes    = 1024
	chachaBytes = 96
)

// suiteOf is 1 + the index of a suite, 0 for one that is not offered.
func suiteOf(id uint16) uint8 {
	for i := range suites {
		if suites[i].id == id {
			return uint8(i + 1)
		}
	}
	return 0
}

// suites12 are those of TLS 1.2, for tls.Config.CipherSuites.
func suites12() (ids []uint16) {
	for i := range suites {
		if suites[i].version == tls.VersionTLS12 {
			ids = append(ids, suites[i].id)
		}
	}
	return ids
}
