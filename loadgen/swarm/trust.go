// Whom a client of TLS trusts, and how it proves who it is.

package swarm

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"os"
)

// Trust is what a client of TLS has been told. The zero value trusts the authorities of the system.
type Trust struct {
	Insecure bool   // every certificate is good
	CA       string // file of authorities, PEM, in place of those of the system; empty: those
	Cert     string // file of a certificate, PEM, that is shown to servers that ask; empty: none
	Key      string // file of its key, PEM; empty where Cert is
}

// authoritiesBytesMax bounds a file of authorities, in bytes: all public ones have 220 KB.
const authoritiesBytesMax = 4 << 20

// Config reads the files. server is the name that the certificate has to have; empty where a
// library fills it in. The error names the flag of the file that cannot be used.
func (t *Trust) Config(server string) (*tls.Config, error) {
	c := &tls.Config{ServerName: server, InsecureSkipVerify: t.Insecure, NextProtos: []string{"http/1.1"}}
	if t.CA != "" {
		pool, err := readAuthorities(t.CA)
		if err != nil {
			return nil, fmt.Errorf("--ca: %w", err)
		}
		c.RootCAs = pool
	}
	if (t.Cert == "") != (t.Key == "") {
		return nil, fmt.Errorf("--cert and --key come together")
	}
	if t.Cert != "" {
		pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
		if err != nil {
			return nil, fmt.Errorf("--cert, --key: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

func readAuthorities(path string) (*x509.CertPool, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, authoritiesBytesMax))
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s holds no certificate in PEM", path)
	}
	return pool, nil
}

// trust is what the clients of a run have been told.
func (s *Spec) trust() *Trust {
	return &Trust{Insecure: s.Insecure, CA: s.CA, Cert: s.Cert, Key: s.Key}
}
