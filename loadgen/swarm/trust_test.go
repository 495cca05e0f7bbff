// Whom clients trust, and how they prove who they are.

package swarm_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"c100k/loadgen/swarm"
)

// selfSigned writes a certificate for 127.0.0.1 and its key.
func selfSigned(t *testing.T, dir, name string) (cert, key string) {
	t.Helper()
	secret, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &secret.PublicKey, secret)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

func TestTrust(t *testing.T) {
	dir := t.TempDir()
	cert, key := selfSigned(t, dir, "server")
	other, otherKey := selfSigned(t, dir, "other")
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte("no PEM"), 0o600); err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	node := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TLS.PeerCertificates) > 0 {
			_, _ = w.Write([]byte(r.TLS.PeerCertificates[0].Subject.CommonName))
		}
	}))
	node.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequestClientCert}
	node.Config.ErrorLog = quiet
	node.StartTLS()
	defer node.Close()
	for _, test := range []struct {
		trust swarm.Trust
		err   string // of the files
		ok    bool   // of the handshake
	}{
		{swarm.Trust{}, "", false},
		{swarm.Trust{Insecure: true}, "", true},
		{swarm.Trust{CA: cert}, "", true},
		{swarm.Trust{CA: other}, "", false},
		{swarm.Trust{CA: cert, Cert: other, Key: otherKey}, "", true},
		{swarm.Trust{CA: dir + "/none"}, "--ca: open", false},
		{swarm.Trust{CA: text}, "holds no certificate", false},
		{swarm.Trust{Cert: cert}, "--cert and --key come together", false},
		{swarm.Trust{Cert: cert, Key: otherKey}, "--cert, --key: tls: private key does not match", false},
	} {
		config, err := test.trust.Config("127.0.0.1")
		if test.err != "" {
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("%+v: error %v; want %q", test.trust, err, test.err)
			}
			if _, err := swarm.New(swarm.Spec{URL: "wss://127.0.0.1:1/", Mode: swarm.Idle, Conns: 1, CA: test.trust.CA, Cert: test.trust.Cert, Key: test.trust.Key}); err == nil {
				t.Errorf("%+v: a swarm is made", test.trust)
			}
			continue
		}
		if err != nil {
			t.Errorf("%+v: %v", test.trust, err)
			continue
		}
		c := http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
		r, err := c.Get(node.URL)
		if (err == nil) != test.ok {
			t.Errorf("%+v: %v; want ok %v", test.trust, err, test.ok)
		}
		if err != nil {
			continue
		}
		name := make([]byte, 5)
		n, _ := r.Body.Read(name)
		r.Body.Close()
		if shown := test.trust.Cert != ""; shown != (string(name[:n]) == "other") {
			t.Errorf("%+v: the server was shown %q", test.trust, name[:n])
		}
	}
}
