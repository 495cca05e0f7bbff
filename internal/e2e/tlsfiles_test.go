// Certificates for the tests of TLS: an authority, and what it signs.

package e2e

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// authority signs certificates into files of a directory of the test.
type authority struct {
	t    *testing.T
	dir  string
	file string // its own certificate
	cert *x509.Certificate
	key  crypto.Signer
	pool *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir(), pool: x509.NewCertPool()}
	template := &x509.Certificate{Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0)}
	a.key = a.newKey()
	a.cert, a.file, _ = a.write("ca", template, a.key)
	a.pool.AddCert(a.cert)
	return a
}

// sign makes a certificate for the name and for 127.0.0.1, and returns its files.
func (a *authority) sign(file, name string) (cert, key string) {
	a.t.Helper()
	return a.signKey(file, name, a.newKey())
}

// signRSA is sign with a key of RSA.
func (a *authority) signRSA(file, name string) (cert, key string) {
	a.t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		a.t.Fatal(err)
	}
	return a.signKey(file, name, private)
}

func (a *authority) newKey() crypto.Signer {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	return key
}

func (a *authority) signKey(file, name string, private crypto.Signer) (cert, key string) {
	a.t.Helper()
	_, cert, key = a.write(file, &x509.Certificate{
		Subject: pkix.Name{CommonName: name, Organization: []string{"Example"}}, DNSNames: []string{name, "localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(0, 1, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}, private)
	return cert, key
}

// write makes the certificate of a key. The authority signs it; its own signs itself. Files are
// replaced by renaming.
func (a *authority) write(file string, template *x509.Certificate, key crypto.Signer) (of *x509.Certificate, certFile, keyFile string) {
	a.t.Helper()
	fatal := func(err error) {
		a.t.Helper()
		if err != nil {
			a.t.Fatal(err)
		}
	}
	var err error
	template.SerialNumber, err = rand.Int(rand.Reader, big.NewInt(1<<62))
	fatal(err)
	parent := a.cert
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), a.key)
	fatal(err)
	cert, err := x509.ParseCertificate(der)
	fatal(err)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	fatal(err)
	paths := [2]string{filepath.Join(a.dir, file+".crt"), filepath.Join(a.dir, file+".key")}
	for i, block := range []*pem.Block{{Type: "CERTIFICATE", Bytes: der}, {Type: "PRIVATE KEY", Bytes: secret}} {
		fatal(os.WriteFile(paths[i]+".new", pem.EncodeToMemory(block), 0o600))
		fatal(os.Rename(paths[i]+".new", paths[i]))
	}
	return cert, paths[0], paths[1]
}

// secureNode is a node with a certificate for node.test.
func secureNode(t *testing.T, a *authority, args ...string) *node {
	t.Helper()
	cert, key := a.sign("node", "node.test")
	return serve(t, append([]string{"--dev", "--tls-cert", cert, "--tls-key", key}, args...)...)
}

// leaf is the certificate that a server shows for a name.
func leaf(t *testing.T, address, name string) (*x509.Certificate, error) {
	t.Helper()
	d := &net.Dialer{Timeout: patience}
	c, err := tls.DialWithDialer(d, "tcp", address, &tls.Config{ServerName: name, InsecureSkipVerify: true})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0], nil
}
