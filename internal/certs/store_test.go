// Which certificate a client gets, and who may come in.

package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"
)

func roots(a *authority) *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// TestSNI: exact names before wildcards, a wildcard for one level, the first for all else.
func TestSNI(t *testing.T) {
	a, dir := newAuthority(t), t.TempDir()
	s := open(t, Options{Files: Files{Pairs: []Pair{
		put(t, dir, "0", a.good(t, "default.example")),
		put(t, dir, "1", a.good(t, "*.example.com")),
		put(t, dir, "2", a.good(t, "Push.Example.com", "other.example")),
		put(t, dir, "3", a.good(t, "127.0.0.1")),
	}}})
	store := process(t, s.Material())
	for asked, want := range map[string]string{
		"default.example": "default.example", "push.example.com": "push.example.com", "PUSH.example.COM": "push.example.com",
		"www.example.com": "*.example.com", "a.b.example.com": "default.example", "example.com": "default.example",
		"other.example": "push.example.com", "unknown.example": "default.example", "": "default.example", "other.example.": "push.example.com",
	} {
		got, err := store.Config().GetCertificate(&tls.ClientHelloInfo{ServerName: asked})
		if err != nil || !strings.EqualFold(NameOf(got.Leaf), want) {
			t.Errorf("%q gets %v, %v; want %s", asked, got, err, want)
		}
	}
}

// TestNamesInFigures: certificates of one name are told apart.
func TestNamesInFigures(t *testing.T) {
	a, dir := newAuthority(t), t.TempDir()
	s := open(t, Options{Files: Files{Pairs: []Pair{
		put(t, dir, "0", a.good(t, "a.example")), put(t, dir, "1", a.good(t, "a.example")), put(t, dir, "2", a.good(t, "10.0.0.1")), put(t, dir, "3", a.good(t)),
	}}})
	var got []string
	for _, e := range s.Expiries() {
		got = append(got, e.Name)
	}
	if want := "a.example a.example#2 10.0.0.1 u17"; strings.Join(got, " ") != want {
		t.Errorf("names are %v; want %s", got, want)
	}
}

// TestClientCertificates: off, optional and required, with the subject for hooks.
func TestClientCertificates(t *testing.T) {
	a, stranger, dir := newAuthority(t), newAuthority(t), t.TempDir()
	write(t, filepath.Join(dir, "ca.pem"), a.pem())
	s := open(t, Options{Files: Files{Pairs: []Pair{put(t, dir, "site", a.good(t, "example.com"))}, ClientCA: filepath.Join(dir, "ca.pem")}})
	known, err := a.good(t).parse()
	if err != nil {
		t.Fatal(err)
	}
	unknown, err := stranger.good(t).parse()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		auth tls.ClientAuthType
		cert *tls.Certificate
		ok   bool
		want string
	}{
		{tls.VerifyClientCertIfGiven, nil, true, ""},
		{tls.VerifyClientCertIfGiven, known, true, "CN=u17,O=Example"},
		{tls.VerifyClientCertIfGiven, unknown, false, ""},
		{tls.RequireAndVerifyClientCert, nil, false, ""},
		{tls.RequireAndVerifyClientCert, known, true, "CN=u17,O=Example"},
		{tls.RequireAndVerifyClientCert, unknown, false, ""},
	} {
		store, err := NewStore(s.Material(), Policy{Min: tls.VersionTLS12, ClientAuth: test.auth}, nil)
		if err != nil {
			t.Fatal(err)
		}
		subject := ""
		config := store.Config().Clone()
		config.Time = fixed
		config.VerifyConnection = func(state tls.ConnectionState) error { subject = Subject(&state); return nil }
		client := &tls.Config{ServerName: "example.com", RootCAs: roots(a), Time: fixed}
		if test.cert != nil {
			client.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return test.cert, nil }
		}
		if _, err := tryShake(t, config, client); (err == nil) != test.ok || subject != test.want {
			t.Errorf("%v: error %v, subject %q; want ok %v, %q", test.auth, err, subject, test.ok, test.want)
		}
	}
}

// TestVersionsAndSuites: 1.2 with AEAD suites only, 1.3, nothing older; --tls-min holds.
func TestVersionsAndSuites(t *testing.T) {
	a, dir := newAuthority(t), t.TempDir()
	s := open(t, Options{Files: Files{Pairs: []Pair{put(t, dir, "site", a.good(t, "example.com"))}}})
	client := func(change func(*tls.Config)) *tls.Config {
		c := &tls.Config{ServerName: "example.com", RootCAs: roots(a), Time: fixed}
		change(c)
		return c
	}
	for _, test := range []struct {
		name   string
		min    uint16
		client *tls.Config
		ok     bool
	}{
		{"1.3", tls.VersionTLS12, client(func(c *tls.Config) { c.MinVersion = tls.VersionTLS13 }), true},
		{"1.2", tls.VersionTLS12, client(func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }), true},
		{"1.2 refused", tls.VersionTLS13, client(func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }), false},
		{"1.1", tls.VersionTLS12, client(func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }), false},
		{"CBC", tls.VersionTLS12, client(func(c *tls.Config) {
			c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}
		}), false},
		{"h2 alone", tls.VersionTLS12, client(func(c *tls.Config) { c.NextProtos = []string{"h2"} }), false},
		{"http/1.1", tls.VersionTLS12, client(func(c *tls.Config) { c.NextProtos = []string{"h2", "http/1.1"} }), true},
	} {
		store, err := NewStore(s.Material(), Policy{Min: test.min}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tryShake(t, store.Config(), test.client); (err == nil) != test.ok {
			t.Errorf("%s: error %v; want ok %v", test.name, err, test.ok)
		}
	}
}

// TestChallengeInHandshake: acme-tls/1 gets the certificate of the challenge, for our names only,
// and a bounded number at the same time.
func TestChallengeInHandshake(t *testing.T) {
	a := newAuthority(t)
	proof := a.good(t, "proof.example")
	m := &Material{TicketKeys: []TicketKey{{1}}, ACME: []string{"push.example"}}
	asked := ""
	store, err := NewStore(m, Policy{Min: tls.VersionTLS12}, func(_ context.Context, name string) (*PairPEM, error) {
		asked = name
		return proof, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	hello := func(name string, protocols ...string) *tls.Config {
		return &tls.Config{ServerName: name, NextProtos: protocols, InsecureSkipVerify: true}
	}
	state, err := tryShake(t, store.Config(), hello("push.example", "acme-tls/1"))
	if err != nil || state.NegotiatedProtocol != "acme-tls/1" || asked != "push.example" || NameOf(state.PeerCertificates[0]) != "proof.example" {
		t.Errorf("challenge: %v, asked for %q", err, asked)
	}
	asked = ""
	if _, err := tryShake(t, store.Config(), hello("other.example", "acme-tls/1")); err == nil || asked != "" {
		t.Errorf("a name that is not ours: %v, asked for %q", err, asked)
	}
	if _, err := tryShake(t, store.Config(), hello("push.example", "http/1.1")); err == nil {
		t.Error("a handshake without a certificate")
	}
	for range challengesMax {
		store.looking <- struct{}{}
	}
	if _, err := store.challenge(&tls.ClientHelloInfo{ServerName: "push.example"}, m.ACME); !errors.Is(err, errTooMany) {
		t.Errorf("error is %v; want %v", err, errTooMany)
	}
}

// TestMaterialTravels: a material is the same behind the link to a worker; a broken one is refused
// and changes nothing.
func TestMaterialTravels(t *testing.T) {
	a, dir := newAuthority(t), t.TempDir()
	write(t, filepath.Join(dir, "ca.pem"), a.pem())
	s := open(t, Options{Files: Files{Pairs: []Pair{put(t, dir, "site", a.good(t, "example.com"))}, ClientCA: filepath.Join(dir, "ca.pem")}})
	text, err := json.Marshal(s.Material())
	if err != nil {
		t.Fatal(err)
	}
	m := new(Material)
	if err := json.Unmarshal(text, m); err != nil {
		t.Fatal(err)
	}
	store := process(t, m)
	client := &tls.Config{ServerName: "example.com", RootCAs: roots(a), Time: fixed}
	shake(t, store, client)
	before := store.Config()
	for _, bad := range []*Material{{}, {TicketKeys: m.TicketKeys, Pairs: []PairPEM{{Cert: []byte("x")}}}, {TicketKeys: m.TicketKeys, Pairs: m.Pairs, Authorities: []byte("x")}} {
		if err := store.Set(bad, Policy{}); err == nil {
			t.Error("a broken material is taken")
		}
	}
	if store.Config() != before {
		t.Error("a broken material has changed something")
	}
}
