// A certificate with its key: read from files, judged, and named.

package certs

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// Pair is the files of a certificate, with its chain, and of its key, both PEM.
type Pair struct{ Cert, Key string }

// PairPEM is a certificate with its chain and its key.
type PairPEM struct {
	Cert []byte `json:"cert"`
	Key  []byte `json:"key"` // secret
}

// equal tells whether both are the same bytes.
func (p *PairPEM) equal(other *PairPEM) bool {
	return bytes.Equal(p.Cert, other.Cert) && bytes.Equal(p.Key, other.Key)
}

// ErrExpired and ErrNotYetValid say that a certificate is not good today. Read returns them, with
// the date.
var (
	ErrExpired     = errors.New("has expired")
	ErrNotYetValid = errors.New("is not valid yet")
)

// Read reads a pair and judges it: the files can be read, they hold a certificate and a key, the
// key is that of the certificate, and the certificate is good at the given time. The error names
// the file.
func (p Pair) Read(now time.Time) (*PairPEM, *tls.Certificate, error) {
	cert, err := readFile(p.Cert)
	if err != nil {
		return nil, nil, err
	}
	key, err := readFile(p.Key)
	if err != nil {
		return nil, nil, err
	}
	text := &PairPEM{Cert: cert, Key: key}
	parsed, err := text.parse()
	if err != nil {
		return nil, nil, fmt.Errorf("certificate %s with key %s: %w", p.Cert, p.Key, err)
	}
	if err := goodAt(parsed.Leaf, now); err != nil {
		return nil, nil, fmt.Errorf("certificate %s %w", p.Cert, err)
	}
	return text, parsed, nil
}

// parse makes a certificate of the text, with its leaf.
func (p *PairPEM) parse() (*tls.Certificate, error) {
	if block, _ := pem.Decode(p.Cert); block == nil {
		return nil, errors.New("the file of the certificate is not PEM")
	}
	if block, _ := pem.Decode(p.Key); block == nil {
		return nil, errors.New("the file of the key is not PEM")
	}
	parsed, err := tls.X509KeyPair(p.Cert, p.Key)
	if err != nil {
		return nil, err
	}
	if parsed.Leaf == nil {
		if parsed.Leaf, err = x509.ParseCertificate(parsed.Certificate[0]); err != nil {
			return nil, err
		}
	}
	return &parsed, nil
}

// goodAt is nil while the certificate is valid.
func goodAt(leaf *x509.Certificate, now time.Time) error {
	switch {
	case now.After(leaf.NotAfter):
		return fmt.Errorf("%w: on %s", ErrExpired, leaf.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(leaf.NotBefore):
		return fmt.Errorf("%w: from %s on", ErrNotYetValid, leaf.NotBefore.UTC().Format(time.RFC3339))
	}
	return nil
}

// NameOf is what a certificate is called in texts and figures: its first name, or address, or the
// common name of its subject.
func NameOf(leaf *x509.Certificate) string {
	switch {
	case len(leaf.DNSNames) > 0:
		return leaf.DNSNames[0]
	case len(leaf.IPAddresses) > 0:
		return leaf.IPAddresses[0].String()
	case leaf.Subject.CommonName != "":
		return leaf.Subject.CommonName
	}
	return "unnamed"
}

// readFile reads a file of bounded size. The error names the file.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, fileBytesMax+1))
	switch {
	case err != nil:
		return nil, err
	case len(text) > fileBytesMax:
		return nil, fmt.Errorf("%s: a file of more than %d bytes", path, fileBytesMax)
	case len(bytes.TrimSpace(text)) == 0:
		return nil, fmt.Errorf("%s: the file is empty", path)
	}
	return text, nil
}

// ReadAuthorities reads a file of certificates, PEM, of the authorities that vouch for others.
func ReadAuthorities(path string) (text []byte, pool *x509.CertPool, err error) {
	if text, err = readFile(path); err != nil {
		return nil, nil, err
	}
	if pool, err = parseAuthorities(text); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return text, pool, nil
}

func parseAuthorities(text []byte) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	found := false
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		pool.AddCert(cert)
		found = true
	}
	if !found {
		return nil, errors.New("the file holds no certificate in PEM")
	}
	return pool, nil
}
