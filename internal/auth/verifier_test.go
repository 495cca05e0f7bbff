package auth

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"c100k/netpoll"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
)

const secret = "0123456789abcdef0123456789abcdef"

// keyring are keys for the tests; RSA keys take long to make.
var keyring = sync.OnceValue(func() (k struct {
	rsa, other *rsa.PrivateKey
	p256       *ecdsa.PrivateKey
	ed         ed25519.PrivateKey
}) {
	k.rsa, _ = rsa.GenerateKey(rand.Reader, 2048)
	k.other, _ = rsa.GenerateKey(rand.Reader, 2048)
	k.p256, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	_, k.ed, _ = ed25519.GenerateKey(rand.Reader)
	return k
})

func publicPEM(t testing.TB, k crypto.PublicKey) []byte {
	der, err := x509.MarshalPKIXPublicKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func file(t testing.TB, content []byte) string {
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// start is the time of the tests.
var start = time.Unix(1_800_000_000, 0)

func verifier(t testing.TB, cfg VerifierConfig, keys ...[]byte) *Verifier {
	t.Helper()
	for _, k := range keys {
		cfg.Files = append(cfg.Files, file(t, k))
	}
	cfg.Registry = &Registry{}
	if cfg.Now == nil {
		cfg.Now = func() time.Time { return start }
	}
	v, err := NewVerifier(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	return v
}

// raw signs a header and claims as they are written.
func raw(t testing.TB, header, claims string, key any) string {
	t.Helper()
	var h struct{ Alg string }
	if err := json.Unmarshal([]byte(header), &h); err != nil {
		t.Fatal(err)
	}
	text := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
	method := jwt.GetSigningMethod(h.Alg)
	if method == nil {
		method = jwt.SigningMethodHS256
	}
	signature, err := method.Sign(text, key)
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

const valid = `{"sub":"u17","exp":1800000060,"jti":"a1","iat":1799999000,"c100k":{"subscribe":["chat.>","user.{sub}.>"],"deny":["chat.staff.>"],"join":["user.{sub}.inbox"],"info":{"name":"Ann"}}}`

func hs256(t testing.TB, claims string) string {
	return raw(t, `{"alg":"HS256","typ":"JWT"}`, claims, []byte(secret))
}

func TestVerify(t *testing.T) {
	k := keyring()
	v := verifier(t, VerifierConfig{}, []byte(secret+"\n"), publicPEM(t, k.rsa.Public()), publicPEM(t, k.p256.Public()), publicPEM(t, k.ed.Public()))
	if v.Quick() {
		t.Error("RSA is not quick")
	}
	for algorithm, key := range map[string]any{
		"HS256": []byte(secret), "HS384": []byte(secret), "HS512": []byte(secret), "RS256": k.rsa, "RS512": k.rsa, "PS256": k.rsa, "PS384": k.rsa, "ES256": k.p256, "EdDSA": k.ed,
	} {
		p, err := v.Verify(t.Context(), raw(t, fmt.Sprintf(`{"alg":%q}`, algorithm), valid, key))
		if err != nil {
			t.Errorf("%s: %v", algorithm, err)
			continue
		}
		if p.Subject != "u17" || p.ID != "a1" || p.ExpiresAt != 1800000060 || p.IssuedAt != 1799999000 || string(p.Info) != `{"name":"Ann"}` ||
			!p.May(Subscribe, "user.u17.x", 0) || p.May(Subscribe, "chat.staff.1", 0) || p.May(Publish, "chat.a", 0) || p.AppendJoin(nil)[0] != "user.u17.inbox" {
			t.Errorf("%s: %+v", algorithm, p)
		}
	}
}

// Each bad token has an answer. None of the answers has anything of the token in it.
func TestVerifyRefuses(t *testing.T) {
	k := keyring()
	rsaPEM := publicPEM(t, k.rsa.Public())
	v := verifier(t, VerifierConfig{Issuers: []string{"us"}, Audiences: []string{"push", "chat"}, Leeway: 10 * time.Second}, []byte(secret), rsaPEM, publicPEM(t, k.p256.Public()))
	ok := func(more string) string { return `{"sub":"u","exp":1800000060,"iss":"us","aud":"push"` + more + `}` }
	const h = `{"alg":"HS256"}`
	s := []byte(secret)
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + base64.RawURLEncoding.EncodeToString([]byte(ok("")))
	many := strings.Repeat(`"a",`, 10_000)
	for name, row := range map[string]struct{ token, want string }{
		"fine":                     {raw(t, h, ok(""), s), ""},
		"alg none":                 {none + ".", "signature is not valid"},
		"alg none, signed":         {none + ".AAAA", "signature is not valid"},
		"alg of no method":         {raw(t, `{"alg":"HS1"}`, ok(""), s), "algorithm is not accepted"},
		"no alg":                   {raw(t, `{}`, ok(""), s), "algorithm is not accepted"},
		"alg is a number":          {strings.Replace(raw(t, h, ok(""), s), "eyJhbGciOiJIUzI1NiJ9", base64.RawURLEncoding.EncodeToString([]byte(`{"alg":1}`)), 1), "algorithm is not accepted"},
		"HS256 with the RSA key":   {raw(t, h, ok(""), rsaPEM), "signature is not valid"},
		"ES384 for a P-256 key":    {strings.Replace(raw(t, `{"alg":"ES256"}`, ok(""), k.p256), "eyJhbGciOiJFUzI1NiJ9", base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES384"}`)), 1), "no key of this node"},
		"EdDSA without such a key": {raw(t, `{"alg":"EdDSA"}`, ok(""), k.ed), "no key of this node"},
		"another RSA key":          {raw(t, `{"alg":"RS256"}`, ok(""), k.other), "signature is not valid"},
		"another secret":           {raw(t, h, ok(""), []byte(strings.ToUpper(secret))), "signature is not valid"},
		"signature cut":            {raw(t, h, ok(""), s)[:100], "not"},
		"another signature":        {raw(t, h, ok(""), s) + "A", "not"},
		"two parts":                {"a.b", "not a JWT"},
		"empty":                    {"", "not a JWT"},
		"four parts":               {raw(t, h, ok(""), s) + ".x", "not a JWT"},
		"no base64":                {"!.!.!", "not a JWT"},
		"kid with a path":          {raw(t, `{"alg":"HS256","kid":"../../etc/passwd"}`, ok(""), s), ""}, // a key without a name is tried for each
		"kid with SQL":             {raw(t, `{"alg":"HS256","kid":"x' OR 1=1 --"}`, ok(""), []byte("wrong-wrong-wrong-wrong-wrong-wrong")), "signature is not valid"},
		"kid is a number":          {raw(t, `{"alg":"HS256","kid":1}`, ok(""), s), "kid is no string"},
		"kid too long":             {raw(t, `{"alg":"HS256","kid":"`+strings.Repeat("k", 300)+`"}`, ok(""), s), "kid is no string"},
		"jku":                      {raw(t, `{"alg":"RS256","jku":"http://127.0.0.1:1/keys"}`, ok(""), k.other), "signature is not valid"},
		"x5u":                      {raw(t, `{"alg":"RS256","x5u":"http://127.0.0.1:1/keys"}`, ok(""), k.other), "signature is not valid"},
		"own jwk":                  {raw(t, `{"alg":"HS256","jwk":{"kty":"oct","k":"d3Jvbmctd3Jvbmctd3Jvbmctd3Jvbmctd3Jvbmctd3Jvbmc"}}`, ok(""), []byte("wrong-wrong-wrong-wrong-wrong-wrong")), "signature is not valid"},
		"crit":                     {raw(t, `{"alg":"HS256","crit":["x"],"x":1}`, ok(""), s), "crit"},
		"crit empty":               {raw(t, `{"alg":"HS256","crit":[]}`, ok(""), s), "crit"},
		"no exp":                   {raw(t, h, `{"sub":"u","iss":"us","aud":"push"}`, s), "no expiry"},
		"exp null":                 {raw(t, h, `{"sub":"u","exp":null}`, s), "exp: a number"},
		"exp as text":              {raw(t, h, `{"sub":"u","exp":"1800000060"}`, s), "exp: a number"},
		"exp far past":             {raw(t, h, `{"sub":"u","exp":1,"iss":"us","aud":"push"}`, s), "expired"},
		"exp negative":             {raw(t, h, `{"sub":"u","exp":-1}`, s), "exp: it is not between"},
		"exp far future":           {raw(t, h, `{"sub":"u","exp":1e300}`, s), "exp: it is not between"},
		"exp beyond floats":        {raw(t, h, `{"sub":"u","exp":1e400}`, s), "exp: it is not between"},
		"exp with a fraction":      {raw(t, h, `{"sub":"u","exp":1800000060.5,"iss":"us","aud":"push"}`, s), ""},
		"exp in year 9999":         {raw(t, h, `{"sub":"u","exp":253402300799,"iss":"us","aud":"push"}`, s), ""},
		"exp within leeway":        {raw(t, h, `{"sub":"u","exp":1799999991,"iss":"us","aud":"push"}`, s), ""},
		"exp beyond leeway":        {raw(t, h, `{"sub":"u","exp":1799999989,"iss":"us","aud":"push"}`, s), "expired"},
		"nbf":                      {raw(t, h, ok(`,"nbf":1800000011`), s), "not valid yet"},
		"nbf within leeway":        {raw(t, h, ok(`,"nbf":1800000009`), s), ""},
		"another iss":              {raw(t, h, `{"sub":"u","exp":1800000060,"iss":"them","aud":"push"}`, s), "another issuer"},
		"no iss":                   {raw(t, h, `{"sub":"u","exp":1800000060,"aud":"push"}`, s), "another issuer"},
		"another aud":              {raw(t, h, `{"sub":"u","exp":1800000060,"iss":"us","aud":["mail"]}`, s), "another audience"},
		"no aud":                   {raw(t, h, `{"sub":"u","exp":1800000060,"iss":"us"}`, s), "another audience"},
		"one aud of several":       {raw(t, h, `{"sub":"u","exp":1800000060,"iss":"us","aud":["mail","chat"]}`, s), ""},
		"aud is a number":          {raw(t, h, `{"sub":"u","exp":1800000060,"iss":"us","aud":1}`, s), "aud: an array"},
		"no sub":                   {raw(t, h, `{"exp":1800000060,"iss":"us","aud":"push"}`, s), "no subject"},
		"sub empty":                {raw(t, h, `{"sub":"","exp":1800000060,"iss":"us","aud":"push"}`, s), "no subject"},
		"sub with a line end":      {raw(t, h, `{"sub":"a\nb","exp":1800000060,"iss":"us","aud":"push"}`, s), "a subject is"},
		"sub too long":             {raw(t, h, `{"sub":"`+strings.Repeat("u", 129)+`","exp":1800000060,"iss":"us","aud":"push"}`, s), "a subject is"},
		"claim twice":              {raw(t, h, ok(`,"sub":"v"`), s), `"sub" stands there twice`},
		"claim twice, escaped":     {raw(t, h, ok(`,"\u0073ub":"v"`), s), `"sub" stands there twice`},
		"claim in another case":    {raw(t, h, ok(`,"SUB":"root","Exp":1`), s), ""}, // another claim, and not looked at
		"list twice":               {raw(t, h, ok(`,"c100k":{"deny":["a"],"deny":[]}`), s), `"deny" stands there twice`},
		"no object":                {raw(t, h, `[]`, s), "an object is expected"},
		"many claims":              {raw(t, h, `{"sub":"u"`+manyMembers(70)+`}`, s), "more than 64 members"},
		"c100k is no object":       {raw(t, h, ok(`,"c100k":[]`), s), "c100k: an object"},
		"unknown list":             {raw(t, h, ok(`,"c100k":{"denny":["a"]}`), s), `unknown member "denny"`},
		"list is text":             {raw(t, h, ok(`,"c100k":{"subscribe":"a"}`), s), "subscribe: an array of strings"},
		"list of numbers":          {raw(t, h, ok(`,"c100k":{"subscribe":[1]}`), s), "subscribe: an array of strings"},
		"300 patterns":             {raw(t, h, ok(`,"c100k":{"subscribe":[`+many[:300*4-1]+`]}`), s), "more than 256 elements"},
		"10,000 patterns":          {raw(t, h, ok(`,"c100k":{"subscribe":[`+many[:len(many)-1]+`]}`), s), "allowed are less than 8192"},
		"8 KiB":                    {raw(t, h, ok(`,"x":"`+strings.Repeat("x", 6100)+`"`), s), "allowed are less than 8192"},
		"> in the middle":          {raw(t, h, ok(`,"c100k":{"subscribe":["a.>.b"]}`), s), "must be the last"},
		"empty level":              {raw(t, h, ok(`,"c100k":{"deny":["a..b"]}`), s), "deny: not a pattern: a level is empty"},
		"join with a wildcard":     {raw(t, h, ok(`,"c100k":{"join":["a.*"]}`), s), "has a wildcard"},
		"info too long":            {raw(t, h, ok(`,"c100k":{"info":"`+strings.Repeat("x", 2100)+`"}`), s), "info is JSON"},
		"jti too long":             {raw(t, h, ok(`,"jti":"`+strings.Repeat("x", 129)+`"`), s), "its id has"},
		"not UTF-8":                {raw(t, h, ok(",\"x\":\"\xff\""), s), "not UTF-8"},
	} {
		_, err := v.Verify(t.Context(), row.token)
		var refused *TokenError
		switch {
		case row.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case row.want != "" && (!errors.As(err, &refused) || !strings.Contains(err.Error(), row.want)):
			t.Errorf("%s: %v, want %q", name, err, row.want)
		case err != nil && len(row.token) > 20 && (strings.Contains(err.Error(), row.token[:20]) || strings.Contains(err.Error(), row.token[len(row.token)-20:])):
			t.Errorf("%s: a part of the token is in %q", name, err)
		}
		if _, _, known := v.Cached([]byte(row.token)); known != (row.want == "") {
			t.Errorf("%s: cached is %v", name, known)
		}
	}
}

func manyMembers(n int) (text string) {
	for i := range n {
		text += fmt.Sprintf(`,"c%d":1`, i)
	}
	return text
}

// A verified token is known for a minute, to those who show all of it. Connections share it.
func TestCache(t *testing.T) {
	now := time.Now()
	v := verifier(t, VerifierConfig{Leeway: time.Hour, Now: func() time.Time { return now }}, []byte(secret))
	if !v.Quick() {
		t.Error("a secret is quick")
	}
	token := hs256(t, fmt.Sprintf(`{"sub":"u","exp":%d}`, now.Unix()+3600))
	if _, _, known := v.Cached([]byte(token)); known {
		t.Fatal("known before")
	}
	p, err := v.Verify(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	if q, err, known := v.Cached([]byte(token)); q != p || err != nil || !known {
		t.Error("not known")
	}
	if q, err := v.Verify(t.Context(), token); q != p || err != nil {
		t.Error("not shared")
	}
	if _, _, known := v.Cached([]byte(token[:len(token)-1] + "x")); known {
		t.Error("another token is known")
	}
	text := []byte(token)
	if n := testing.AllocsPerRun(100, func() { v.Cached(text) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
	sum, slot := v.slot([]byte(token))
	slot.Store(&verified{sum, p, netpoll.Monotonic() - cacheFor - 1})
	if _, _, known := v.Cached([]byte(token)); known {
		t.Error("known for longer than a minute")
	}
	// A token that was here before its time was over has no leeway when it returns.
	gone := &Principal{Subject: "u", Expires: 1}
	slot.Store(&verified{sum, gone, netpoll.Monotonic()})
	if _, err, known := v.Cached([]byte(token)); err != ErrExpired || !known {
		t.Errorf("%v %v", err, known)
	}
	if _, err := v.Verify(t.Context(), token); err != ErrExpired {
		t.Error(err)
	}
}

func TestKeyFiles(t *testing.T) {
	k := keyring()
	small, _ := rsa.GenerateKey(rand.Reader, 1024)
	p224, _ := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	pkcs8, _ := x509.MarshalPKCS8PrivateKey(k.ed)
	for name, row := range map[string]struct {
		content []byte
		want    string // the error; "": none
	}{
		"secret": {[]byte(secret), ""}, "secret with a line end": {[]byte(secret + "\r\n"), ""}, "short": {[]byte(secret[:31] + "\n"), "the secret has 31 bytes"},
		"bytes that end in a line end": {append(make([]byte, 31), '\n'), ""}, "empty": {[]byte(" \n"), "it is empty"},
		"public PEM": {publicPEM(t, k.rsa.Public()), ""}, "private PEM": {pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), ""},
		"small RSA": {publicPEM(t, small.Public()), "the RSA key has 1024 bits"}, "P-224": {publicPEM(t, p224.Public()), "verifies no token"},
		"PEM of something": {pem.EncodeToMemory(&pem.Block{Type: "MESSAGE", Bytes: []byte("x")}), `PEM block "MESSAGE"`}, "broken PEM": {[]byte("-----BEGIN PUBLIC KEY-----\nx"), "no key in its PEM"},
		"PEM of nothing": {pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte("x")}), "PUBLIC KEY"},
		"JWKS":           {[]byte(`{"keys":[{"kty":"oct","k":"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY","kid":"a"}]}`), ""}, "JWK": {[]byte(`{"kty":"oct","k":"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"}`), ""},
		"JWKS of short secrets": {[]byte(`{"keys":[{"kty":"oct","k":"MDEy","kid":"a"}]}`), "no key that verifies"}, "JWKS without keys": {[]byte(`{"keys":[]}`), "no key"},
		"no JWKS": {[]byte(`{"a":1}`), "JWK Set is expected"}, "JWKS for encryption": {[]byte(`{"keys":[{"kty":"oct","use":"enc","k":"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"}]}`), "no key that verifies"},
		"too large": {make([]byte, keyFileBytesMax+1), "more than"},
	} {
		err := CheckKeyFile(file(t, row.content))
		if (err == nil) != (row.want == "") || err != nil && !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v, want %q", name, err, row.want)
		}
	}
	if err := CheckKeyFile("/does/not/exist"); err == nil {
		t.Error("a file that is not there")
	}
}

// issuer serves a set of keys.
type issuer struct {
	*httptest.Server
	answer  atomic.Value // func(http.ResponseWriter)
	fetches atomic.Int32
}

func newIssuer(t *testing.T) *issuer {
	i := &issuer{}
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		i.fetches.Add(1)
		i.answer.Load().(func(http.ResponseWriter))(w)
	}))
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) serve(text string) {
	i.answer.Store(func(w http.ResponseWriter) { _, _ = w.Write([]byte(text)) })
}

func jwks(t *testing.T, keys map[string]any) string {
	set := jwkset.JWKSMarshal{}
	for kid, k := range keys {
		one, err := jwkset.NewJWKFromKey(k, jwkset.JWKOptions{Metadata: jwkset.JWKMetadataOptions{KID: kid}})
		if err != nil {
			t.Fatal(err)
		}
		set.Keys = append(set.Keys, one.Marshal())
	}
	text, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestJWKS(t *testing.T) {
	k := keyring()
	i := newIssuer(t)
	i.serve(jwks(t, map[string]any{"a": k.p256.Public(), "r": k.rsa.Public()}))
	var failures atomic.Int32
	v := verifier(t, VerifierConfig{JWKS: i.URL, Client: i.Client(), Failed: func(error) { failures.Add(1) }})
	if v.Quick() {
		t.Error("a set that is fetched is not quick")
	}
	a := raw(t, `{"alg":"ES256","kid":"a"}`, valid, k.p256)
	b := raw(t, `{"alg":"EdDSA","kid":"b"}`, valid, k.ed)
	if _, err := v.Verify(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	// The keys change while many connect: one fetch is made, and all of them are let in.
	i.serve(jwks(t, map[string]any{"a": k.p256.Public(), "b": k.ed.Public()}))
	var crowd sync.WaitGroup
	var refused atomic.Int32
	for range 200 {
		crowd.Go(func() {
			if _, err := v.Verify(context.Background(), b); err != nil {
				refused.Add(1)
			}
		})
	}
	crowd.Wait()
	if refused.Load() > 0 || i.fetches.Load() != 2 {
		t.Errorf("%d refused, %d fetches", refused.Load(), i.fetches.Load())
	}
	// Another unknown key does not cause another fetch within half a minute, and nobody waits for it.
	for range 10 {
		if _, err := v.Verify(t.Context(), raw(t, `{"alg":"ES256","kid":"c"}`, valid, k.p256)); err == nil || !strings.Contains(err.Error(), "no key of this node") {
			t.Error(err)
		}
	}
	if i.fetches.Load() != 2 {
		t.Errorf("%d fetches", i.fetches.Load())
	}
	// An algorithm that the named key is not for.
	if _, err := v.Verify(t.Context(), raw(t, `{"alg":"HS256","kid":"a"}`, valid, []byte(secret))); err == nil {
		t.Error("HS256 with the name of a public key")
	}
}

// A set that cannot be used leaves the last one in place.
func TestJWKSFailures(t *testing.T) {
	k := keyring()
	for name, answer := range map[string]func(http.ResponseWriter){
		"status":  func(w http.ResponseWriter) { w.WriteHeader(500) },
		"garbage": func(w http.ResponseWriter) { _, _ = w.Write([]byte("<html>")) },
		"empty":   func(w http.ResponseWriter) { _, _ = w.Write([]byte(`{"keys":[]}`)) },
		"secrets": func(w http.ResponseWriter) {
			_, _ = w.Write([]byte(`{"keys":[{"kty":"oct","k":"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY","kid":"c"}]}`))
		},
		"10 MB": func(w http.ResponseWriter) {
			_, _ = w.Write([]byte(`{"keys":[],"x":"` + strings.Repeat("x", 10<<20) + `"}`))
		},
		"redirect": func(w http.ResponseWriter) { w.Header().Set("Location", "/again"); w.WriteHeader(302) },
	} {
		i := newIssuer(t)
		i.serve(jwks(t, map[string]any{"a": k.p256.Public()}))
		var failures atomic.Int32
		v := verifier(t, VerifierConfig{JWKS: i.URL, Client: i.Client(), Failed: func(error) { failures.Add(1) }})
		i.answer.Store(answer)
		if _, err := v.Verify(t.Context(), raw(t, `{"alg":"ES256","kid":"c"}`, valid, k.p256)); err == nil {
			t.Errorf("%s: an unknown key was believed", name)
		}
		if _, err := v.Verify(t.Context(), raw(t, `{"alg":"ES256","kid":"a"}`, valid, k.p256)); err != nil {
			t.Errorf("%s: the last good set is gone: %v", name, err)
		}
		if failures.Load() != 1 {
			t.Errorf("%s: %d failures were told", name, failures.Load())
		}
	}
	// One that is slow delays those who need it, within their time.
	i := newIssuer(t)
	i.serve(jwks(t, map[string]any{"a": k.p256.Public()}))
	v := verifier(t, VerifierConfig{JWKS: i.URL, Client: i.Client()})
	hang := make(chan struct{})
	i.answer.Store(func(http.ResponseWriter) { <-hang })
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error)
	go func() {
		_, err := v.Verify(ctx, raw(t, `{"alg":"ES256","kid":"c"}`, valid, k.p256))
		result <- err
	}()
	if _, err := v.Verify(t.Context(), raw(t, `{"alg":"ES256","kid":"a"}`, valid, k.p256)); err != nil {
		t.Error(err)
	}
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	close(hang)
}

func FuzzClaims(f *testing.F) {
	f.Add(valid)
	f.Add(`{"sub":"a","sub":"b","exp":1}`)
	f.Add(`{"aud":["a",1],"exp":1e400,"c100k":{"subscribe":[">"]}}`)
	f.Add(`{"sub":"a","exp":1} {}`)
	f.Add(`{"sub":"a","c100k":{"info":"\ud83d"}}`)
	f.Fuzz(func(t *testing.T, text string) {
		c := &claims{}
		if c.read([]byte(text)) != nil {
			return
		}
		// What is accepted is JSON, and another reader of it finds the same.
		var other map[string]json.RawMessage
		if err := json.Unmarshal([]byte(text), &other); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		for name, field := range map[string]string{"sub": c.id.Subject, "iss": c.issuer, "jti": c.id.ID} {
			var want string
			if value, there := other[name]; there && json.Unmarshal(value, &want) == nil && want != field {
				t.Errorf("%q: %s is %q, and %q to encoding/json", text, name, field, want)
			}
		}
	})
}

// FuzzHeader reads any header: what it takes, encoding/json takes too, and finds the same there.
func FuzzHeader(f *testing.F) {
	f.Add(`{"alg":"HS256","typ":"JWT"}`)
	f.Add(`{"alg":"HS256","kid":"a","alg":"none"}`)
	f.Add(`{"alg":"HS256","kid":1}`)
	f.Add(`{"alg":"none"}`)
	f.Fuzz(func(t *testing.T, text string) {
		h := &header{text: segment.EncodeToString([]byte(text))}
		if h.read() != nil {
			return
		}
		var other map[string]any
		if err := json.Unmarshal([]byte(text), &other); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		kid, _ := other["kid"].(string)
		if other["alg"] != h.algorithm || kid != h.kid || other["crit"] != nil {
			t.Errorf("%q: %q and %q, and %v to encoding/json", text, h.algorithm, h.kid, other)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	k := keyring()
	v := verifier(b, VerifierConfig{}, []byte(secret), publicPEM(b, k.p256.Public()))
	for name, token := range map[string]string{"HS256": hs256(b, valid), "ES256": raw(b, `{"alg":"ES256"}`, valid, k.p256)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Verify(context.Background(), token); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("P-256 alone", func(b *testing.B) { // what of ES256 is the curve
		sum := sha256.Sum256([]byte(valid))
		signature, err := ecdsa.SignASN1(rand.Reader, k.p256, sum[:])
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if !ecdsa.VerifyASN1(&k.p256.PublicKey, sum[:], signature) {
				b.Fatal("not valid")
			}
		}
	})
	token := hs256(b, valid)
	_, _ = v.Verify(context.Background(), token)
	text := []byte(token)
	b.Run("Cached", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			v.Cached(text)
		}
	})
}
