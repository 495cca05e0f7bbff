// What the shared secret of a cluster proves: a key of TLS that only its owners can make, and the
// password of a route.

package natsd

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"fmt"
	"math/big"
	"os"
	"time"
)

// keys are what is derived from a secret: the same on each server.
type keys struct {
	password string
	config   *tls.Config
}

// ReadSecret reads the secret of a cluster from a file, without white space around it.
func ReadSecret(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("read the cluster's secret: %w", err)
	}
	defer f.Close()
	text := make([]byte, secretBytesMax+1)
	n, err := f.Read(text)
	if err != nil {
		return nil, fmt.Errorf("read the cluster's secret from %s: %w", file, err)
	}
	if n > secretBytesMax {
		return nil, fmt.Errorf("read the cluster's secret: %s is larger than %d bytes", file, secretBytesMax)
	}
	secret := bytes.TrimSpace(text[:n])
	if len(secret) < SecretBytesMin {
		return nil, fmt.Errorf("read the cluster's secret: %s has %d bytes; needed are %d, for example of openssl rand -hex 32",
			file, len(secret), SecretBytesMin)
	}
	return secret, nil
}

// deriveKeys derives the keys of a cluster (RFC 5869). Both ends of a route present the same
// certificate, of a key pair that is made of the secret, and accept no other: who does not know the
// secret cannot make the key, and fails the handshake on either end.
func deriveKeys(secret []byte) (keys, error) {
	if len(secret) < SecretBytesMin {
		return keys{}, fmt.Errorf("the cluster's secret has %d bytes; needed are %d", len(secret), SecretBytesMin)
	}
	derive := func(what string, size int) ([]byte, error) {
		return hkdf.Key(sha256.New, secret, nil, "c100k cluster "+what, size)
	}
	password, err := derive("password", 32)
	if err != nil {
		return keys{}, err
	}
	seed, err := derive("tls", ed25519.SeedSize)
	if err != nil {
		return keys{}, err
	}
	key := ed25519.NewKeyFromSeed(seed)
	// All of it is fixed, and a signature of Ed25519 is too, so that each server makes the same bytes.
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: clusterName}, DNSNames: []string{clusterName},
		NotBefore: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC),
		// RFC 5280, 4.1.2.5: a certificate without an end has this one.
		NotAfter: time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{
			x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth,
		},
		BasicConstraintsValid: true, IsCA: true,
	}
	der, err := x509.CreateCertificate(nil, template, template, key.Public(), key)
	if err != nil {
		return keys{}, err
	}
	own, err := x509.ParseCertificate(der)
	if err != nil {
		return keys{}, err
	}
	only := x509.NewCertPool()
	only.AddCert(own)
	return keys{password: hex.EncodeToString(password), config: &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key, Leaf: own}},
		MinVersion:   tls.VersionTLS13, ServerName: clusterName,
		RootCAs: only, ClientCAs: only, ClientAuth: tls.RequireAndVerifyClientCert,
	}}, nil
}
