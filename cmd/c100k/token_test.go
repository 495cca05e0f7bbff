// Tokens for development: what mint makes, show and explain read, and a node takes.

package main

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"c100k/internal/settings"
)

func keyIn(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func pemOf(t *testing.T, kind string, der []byte, err error) []byte {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// TestMintedTokensAreTaken: with each kind of key, a node that has the other half takes the token.
func TestMintedTokensAreTaken(t *testing.T) {
	secret := []byte(strings.Repeat("s", 32) + "\n")
	pairs := map[string][2][]byte{"secret": {secret, secret}}
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&r.PublicKey)
	pairs["RSA"] = [2][]byte{pemOf(t, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(r), nil), pemOf(t, "PUBLIC KEY", public, err)}
	for name, curve := range map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()} {
		k, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		der, err := x509.MarshalECPrivateKey(k)
		private := pemOf(t, "EC PRIVATE KEY", der, err)
		public, err := x509.MarshalPKIXPublicKey(&k.PublicKey)
		pairs[name] = [2][]byte{private, pemOf(t, "PUBLIC KEY", public, err)}
	}
	edPublic, edPrivate, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(edPrivate)
	private := pemOf(t, "PRIVATE KEY", der, err)
	public, err = x509.MarshalPKIXPublicKey(edPublic)
	pairs["Ed25519"] = [2][]byte{private, pemOf(t, "PUBLIC KEY", public, err)}
	for name, pair := range pairs {
		var o settings.TokenOptions
		o.Mint.Key, o.Mint.Subject, o.Mint.For = keyIn(t, "private", pair[0]), "u17", time.Hour
		o.Mint.Subscribe, o.Mint.Info, o.Mint.Audience = []string{"user.{sub}.>"}, `{"name":"Ann"}`, []string{"push"}
		token, err := mintToken(&o, time.Now())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if refused, err := verifyToken(t.Context(), token, keyIn(t, "public", pair[1])); err != nil || refused != nil {
			t.Errorf("%s: %v, %v", name, refused, err)
		}
	}
}

func TestMintRefuses(t *testing.T) {
	good := keyIn(t, "secret", []byte(strings.Repeat("s", 32)))
	for want, change := range map[string]func(o *settings.TokenOptions){
		"--key is missing":                    func(o *settings.TokenOptions) { o.Mint.Key = "" },
		"--sub is missing":                    func(o *settings.TokenOptions) { o.Mint.Subject = "" },
		"no such file":                        func(o *settings.TokenOptions) { o.Mint.Key += "x" },
		"the secret has 5 bytes":              func(o *settings.TokenOptions) { o.Mint.Key = keyIn(t, "short", []byte("short")) },
		"--for: 0s is refused":                func(o *settings.TokenOptions) { o.Mint.For = 0 },
		"--info: it is not JSON":              func(o *settings.TokenOptions) { o.Mint.Info = "{" },
		"a node would refuse this token: sub": func(o *settings.TokenOptions) { o.Mint.Subscribe = []string{"a*b"} },
		"it is no private key": func(o *settings.TokenOptions) {
			o.Mint.Key = keyIn(t, "public", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte{1}}))
		},
	} {
		var o settings.TokenOptions
		o.Mint.Key, o.Mint.Subject, o.Mint.For = good, "u17", time.Hour
		change(&o)
		if _, err := mintToken(&o, time.Now()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestExplain(t *testing.T) {
	var o settings.TokenOptions
	o.Mint.Key, o.Mint.Subject, o.Mint.For = keyIn(t, "secret", []byte(strings.Repeat("s", 32))), "u17", time.Hour
	o.Mint.Subscribe, o.Mint.Publish, o.Mint.Deny = []string{"chat.>", "user.{sub}.>"}, []string{"chat.*"}, []string{"chat.staff.>"}
	now := time.Now().Truncate(time.Second) // a token has whole seconds
	token, err := mintToken(&o, now)
	if err != nil {
		t.Fatal(err)
	}
	o.Explain.Subscribe, o.Explain.Publish = []string{"chat.staff.1", "chat.1", "user.u17.x", "user.u2.x"}, []string{"chat.1", "chat.a.b"}
	const want = `subscribe chat.staff.1: denied by deny "chat.staff.>"
subscribe chat.1: allowed by subscribe "chat.>"
subscribe user.u17.x: allowed by subscribe "user.{sub}.>"
subscribe user.u2.x: denied: no pattern of the token matches it
publish chat.1: allowed by publish "chat.*"
publish chat.a.b: denied: no pattern of the token matches it
`
	if got, err := explainToken(token, &o, now); got != want || err != nil {
		t.Errorf("%s%v\nwant\n%s", got, err, want)
	}
	if got, err := explainToken(token, &o, now.Add(2*time.Hour)); err != nil || !strings.HasPrefix(got, "the token expired 1h0m0s ago") {
		t.Errorf("%s%v", got, err)
	}
	for _, bad := range []string{"", "a.b", "a.b.c", "e30.!.x", "e30.e30x.x"} {
		if _, err := explainToken(bad, &o, now); err == nil {
			t.Errorf("%q was explained", bad)
		}
	}
	o.Explain.Subscribe, o.Explain.Publish = nil, nil
	if _, err := explainToken(token, &o, now); err == nil || !strings.Contains(err.Error(), "nothing to explain") {
		t.Error(err)
	}
}
