// Key derivation: RFC 8446, 7 and RFC 5246, 5 and 6.3.

package tlsconn

import (
	"crypto/cipher"
	"crypto/hmac"
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
	mac := hmac.New(s.hash, secret)
	copy(h.iv[:], expandLabel(mac, "iv", len(h.iv)))
	if n+s.keyBytes <= len(h.material) {
		copy(h.material[n:], expandLabel(mac, "key", s.keyBytes))
	}
}

// update replaces the traffic secret by the next one: RFC 8446, 7.2.
func (h *half) update(s *suite) {
	h.setSecret(s, expandLabel(hmac.New(s.hash, h.material[:s.hashBytes]), "traffic upd", s.hashBytes))
}

// key is the key of the direction.
func (h *half) key(s *suite) []byte {
	switch {
	case s.version < version13:
		return h.material[:s.keyBytes]
	case s.hashBytes+s.keyBytes <= len(h.material):
		return h.material[s.hashBytes:][:s.keyBytes]
	}
	return expandLabel(hmac.New(s.hash, h.material[:s.hashBytes]), "key", s.keyBytes)
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

// expandLabel is HKDF-Expand-Label with an empty context: RFC 8446, 7.1. mac is HMAC with the
// secret. n is at most the size of a hash, so HKDF-Expand is one block: RFC 5869, 2.3.
func expandLabel(mac hash.Hash, label string, n int) []byte {
	info := make([]byte, 0, 5+len("tls13 ")+len(label))
	info = binary.BigEndian.AppendUint16(info, uint16(n))
	info = append(info, byte(len("tls13 ")+len(label)))
	info = append(append(append(info, "tls13 "...), label...), 0, 1)
	mac.Reset()
	mac.Write(info)
	return mac.Sum(nil)[:n]
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
