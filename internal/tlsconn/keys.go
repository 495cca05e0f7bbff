// Key derivation: RFC 8446, 7 and RFC 5246, 5 and 6.3.

package tlsconn

import (
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"hash"
)

// half is one direction of a connection.
type half struct {
	seq uint64
	// material is, of TLS 1.3, the traffic secret, and behind it the key if there is room: so a
	// connection with AES-128 has its key at hand, and others derive it when they make an AEAD. Of
	// TLS 1.2 it is the key.
	material [48]byte
	iv       [12]byte
	aead     uint32 // index in the cache of a Layer, or when it was used last: see cache.get; 0: never
}

// setSecret begins a direction of TLS 1.3 with a traffic secret.
func (h *half) setSecret(s *suite, secret []byte) {
	h.seq = 0
	n := copy(h.material[:], secret)
	s.expandLabel(h.iv[:], secret, "iv")
	if n+s.keyBytes <= len(h.material) {
		s.expandLabel(h.material[n:][:s.keyBytes], secret, "key")
	}
}

// update replaces the traffic secret by the next one: RFC 8446, 7.2.
func (h *half) update(s *suite) {
	next := make([]byte, s.hashBytes)
	s.expandLabel(next, h.material[:s.hashBytes], "traffic upd")
	h.setSecret(s, next)
}

// key is the key of the direction.
func (h *half) key(s *suite) []byte {
	switch {
	case s.version < version13:
		return h.material[:s.keyBytes]
	case s.hashBytes+s.keyBytes <= len(h.material):
		return h.material[s.hashBytes:][:s.keyBytes]
	}
	key := make([]byte, s.keyBytes)
	s.expandLabel(key, h.material[:s.hashBytes], "key")
	return key
}

// newAEAD makes the AEAD of the direction. A key of the wrong length is a fault of this package, so
// it panics.
func (h *half) newAEAD(s *suite) cipher.AEAD {
	a, err := s.aead(h.key(s))
	if err != nil {
		panic("tlsconn: " + err.Error())
	}
	return a
}

// expandLabel is HKDF-Expand-Label with an empty context: RFC 8446, 7.1. It fills dst, which is at
// most as long as a hash, so HKDF-Expand is one block: RFC 5869, 2.3. A handshake needs six, and
// hmac.New would make four objects for each secret.
func (s *suite) expandLabel(dst, secret []byte, label string) {
	var room [expandBytesMax]byte
	info := binary.BigEndian.AppendUint16(room[:0], uint16(len(dst)))
	info = append(info, byte(len(labelPrefix)+len(label)))
	info = append(append(append(info, labelPrefix...), label...), 0, 1)
	var sum [sha512.Size384]byte
	s.hmac(&sum, secret, info)
	copy(dst, sum[:s.hashBytes])
}

// labelPrefix begins the labels of TLS 1.3, of which the longest has 11 bytes more.
const (
	labelPrefix    = "tls13 "
	expandBytesMax = 3 + len(labelPrefix) + 11 + 2
)

// hmac is HMAC of a message of at most expandBytesMax bytes under a key of at most one block: RFC
// 2104, 2.
func (s *suite) hmac(dst *[sha512.Size384]byte, key, message []byte) {
	var room [sha512.BlockSize + max(expandBytesMax, sha512.Size384)]byte
	block := sha256.BlockSize
	if s.hashBytes == sha512.Size384 {
		block = sha512.BlockSize
	}
	pad := func(with byte, behind []byte) []byte {
		clear(room[copy(room[:], key):block])
		for i := range room[:block] {
			room[i] ^= with
		}
		return room[:block+copy(room[block:], behind)]
	}
	s.sum(dst, pad(0x36, message))
	s.sum(dst, pad(0x5c, dst[:s.hashBytes]))
}

// sum is the hash of the suite.
func (s *suite) sum(dst *[sha512.Size384]byte, p []byte) {
	if s.hashBytes == sha512.Size384 {
		*dst = sha512.Sum384(p)
		return
	}
	sum := sha256.Sum256(p)
	copy(dst[:], sum[:])
}

// prf12 is the PRF of TLS 1.2: RFC 5246, 5.
func prf12(h func() hash.Hash, secret []byte, label string, seed []byte, n int) []byte {
	labelled := append([]byte(label), seed...)
	mac := hmac.New(h, secret)
	sum := func(parts ...[]byte) []byte {
		mac.Reset()
		for _, p := range parts {
			mac.Write(p)
		}
		return mac.Sum(nil)
	}
	var out []byte
	for a := sum(labelled); len(out) < n; a = sum(a) {
		out = append(out, sum(a, labelled)...)
	}
	return out[:n]
}

var errMaster = errors.New("tlsconn: master secret of the wrong length")

// keys12 derives the directions of TLS 1.2 from the master secret: RFC 5246, 6.3.
func keys12(s *suite, master, clientRandom, serverRandom []byte) (client, server half, err error) {
	if len(master) != 48 {
		return client, server, errMaster
	}
	ivBytes := len(client.iv)
	if s.explicit {
		ivBytes = 4
	}
	seed := append(append([]byte(nil), serverRandom...), clientRandom...)
	block := prf12(s.hash, master, "key expansion", seed, 2*s.keyBytes+2*ivBytes)
	take := func(dst []byte, n int) {
		copy(dst, block[:n])
		block = block[n:]
	}
	take(client.material[:], s.keyBytes)
	take(server.material[:], s.keyBytes)
	take(client.iv[:], ivBytes)
	take(server.iv[:], ivBytes)
	return client, server, nil
}
