// TLS of a node: files that cannot be used, reloads, the redirect port, the admin port, figures.

package server

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"c100k/internal/certs"
)

// pairFiles writes a certificate for loopback names and others, and its key.
func pairFiles(t *testing.T, dir, name string, names ...string) (cert, key string) {
	t.Helper()
	p, err := certs.Self(time.Now(), names...)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")
	if err := errors.Join(os.WriteFile(cert, p.Cert, 0o600), os.WriteFile(key, p.Key, 0o600)); err != nil {
		t.Fatal(err)
	}
	return cert, key
}

// trusting is a client that takes the certificate of a file, and does not follow redirects.
func trusting(t *testing.T, cert string) *http.Client {
	t.Helper()
	text, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	return &http.Client{
		Timeout:       patience,
		Transport:     &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: pool}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// TestTLSFilesAreNamed: each file that cannot be used is a FieldError with its path.
func TestTLSFilesAreNamed(t *testing.T) {
	dir := t.TempDir()
	cert, key := pairFiles(t, dir, "good")
	none := filepath.Join(dir, "none")
	for field, c := range map[string]Config{
		"TLSCerts":      {TLSCerts: []string{cert, none}, TLSKeys: []string{key, key}},
		"TLSClientCA":   {TLSCerts: []string{cert}, TLSKeys: []string{key}, TLSClientCA: none, TLSClientAuth: ClientAuthRequire},
		"TLSTicketKeys": {TLSCerts: []string{cert}, TLSKeys: []string{key}, TLSTicketKeys: none},
		"AdminTLSCert":  {Admin: "127.0.0.1:0", AdminTLSCert: none, AdminTLSKey: key},
	} {
		for what, err := range map[string]error{"New": second(New(c)), "CheckTLS": c.CheckTLS()} {
			var of *FieldError
			if !errors.As(err, &of) || of.Field != field || !strings.Contains(of.Given, none) || !strings.Contains(of.Allowed, "no such file") {
				t.Errorf("%s of %s: %v", what, field, err)
			}
		}
	}
}

func second[T any](_ T, err error) error { return err }

// TestAdminPortSpeaksTLS: with its own certificate, which is replaced by a reload; and the figures
// have its end.
func TestAdminPortSpeaksTLS(t *testing.T) {
	dir := t.TempDir()
	cert, key := pairFiles(t, dir, "admin", "admin.example")
	c := Config{Admin: "127.0.0.1:0", AdminTLSCert: cert, AdminTLSKey: key}
	s := start(t, c)
	get := func(path string) string {
		t.Helper()
		r, err := trusting(t, cert).Get("https://" + s.AdminAddr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		text, err := io.ReadAll(r.Body)
		if err != nil || r.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d, %v", path, r.StatusCode, err)
		}
		return string(text)
	}
	if got := get("/metrics"); !strings.Contains(got, `c100k_tls_certificate_expiry_timestamp_seconds{name="admin:localhost"} `) {
		t.Errorf("metrics have no end of the certificate: %s", got)
	}
	var stats struct {
		TLS struct {
			Valid map[string]float64 `json:"certificate_valid_seconds"`
		} `json:"tls"`
	}
	if err := json.Unmarshal([]byte(get("/v1/stats")), &stats); err != nil {
		t.Fatal(err)
	}
	if days := stats.TLS.Valid["admin:localhost"] / 86400; days < 29 || days > 30 {
		t.Errorf("valid for %v days", days)
	}
	plain, err := trusting(t, cert).Get("http://" + s.AdminAddr().String() + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	plain.Body.Close()
	if plain.StatusCode != http.StatusBadRequest {
		t.Errorf("plain HTTP gets %d", plain.StatusCode)
	}
	before, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	pairFiles(t, dir, "admin", "admin.example") // another certificate in the same files
	if err := s.Reload(s.cfg); err != nil {
		t.Fatal(err)
	}
	get("/healthz") // the client trusts the new one only
	if now, _ := os.ReadFile(cert); string(now) == string(before) {
		t.Fatal("the certificate was not replaced")
	}
}

// TestReloadOfTLS: what is refused, and that a file which has become bad is not.
func TestReloadOfTLS(t *testing.T) {
	dir := t.TempDir()
	cert, key := pairFiles(t, dir, "one")
	other, otherKey := pairFiles(t, dir, "two", "two.example")
	s := start(t, Config{TLSCerts: []string{cert}, TLSKeys: []string{key}})
	refused := func(field string, c Config) {
		t.Helper()
		var of *FieldError
		c.Listen = s.cfg.Listen
		if err := s.Reload(c); !errors.As(err, &of) || of.Field != field {
			t.Errorf("reload: %v; want a *FieldError of %s", err, field)
		}
	}
	refused("TLSCerts", Config{})
	refused("TLSCerts", Config{TLSCerts: []string{cert, dir + "/none"}, TLSKeys: []string{key, key}})
	refused("HTTPRedirect", Config{TLSCerts: []string{cert}, TLSKeys: []string{key}, HTTPRedirect: "127.0.0.1:0"})
	if err := s.Reload(Config{Listen: s.cfg.Listen, TLSCerts: []string{cert, other}, TLSKeys: []string{key, otherKey}, TLSMin: TLSMin13}); err != nil {
		t.Fatal(err)
	}
	config := s.tlsSource()()
	if got, err := config.GetCertificate(&tls.ClientHelloInfo{ServerName: "two.example"}); err != nil || got.Leaf.VerifyHostname("two.example") != nil || config.MinVersion != tls.VersionTLS13 {
		t.Errorf("the reload was not applied: %v", err)
	}
	if err := os.WriteFile(cert, []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Reload(s.cfg); err != nil {
		t.Errorf("a file that is bad now fails the reload: %v", err)
	}
	if got, err := s.tlsSource()().GetCertificate(&tls.ClientHelloInfo{}); err != nil || got.Leaf.VerifyHostname("localhost") != nil {
		t.Errorf("the old certificate did not stay: %v", err)
	}
}

// TestRedirectPort: plain HTTP is sent to the public port.
func TestRedirectPort(t *testing.T) {
	s := start(t, Config{Dev: true, Listen: "127.0.0.1:0", DevTLS: true, HTTPRedirect: "127.0.0.1:0"})
	s.mu.Lock()
	h := s.redirect.Handler
	s.mu.Unlock()
	if h == nil || s.DevFingerprint() == "" {
		t.Fatal("no redirect port, or no certificate")
	}
	if block, _ := pem.Decode(s.tls.source.Material().Pairs[0].Cert); certs.Fingerprint(block.Bytes) != s.DevFingerprint() {
		t.Error("the fingerprint is that of another certificate")
	}
}
