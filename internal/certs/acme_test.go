// ACME without an authority: challenges that nobody has asked for, certificates that another node
// has obtained, names.

package certs

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
)

func acmeOptions(dir string) Options {
	return Options{ACME: &ACME{Names: []string{"push.example"}, Directory: "https://ca.example/dir", Storage: dir, HTTP: true}}
}

func TestChallengesOfNobody(t *testing.T) {
	s := open(t, acmeOptions(t.TempDir()))
	if _, err := s.Challenge(t.Context(), "push.example"); !errors.Is(err, errNoChallenge) {
		t.Errorf("error is %v", err)
	}
	// The challenge of another node that shares the storage is answered.
	there := filepath.Join(s.opt.ACME.Storage, "acme", "ca.example-dir", "challenge_tokens", "push.example.json")
	if err := os.MkdirAll(filepath.Dir(there), 0o700); err != nil {
		t.Fatal(err)
	}
	for text, good := range map[string]bool{
		`{"type":"tls-alpn-01","token":"t","keyAuthorization":"t.k","identifier":{"type":"dns","value":"push.example"}}`: true, `{"type":`: false,
	} {
		write(t, there, []byte(text))
		pair, err := s.Challenge(t.Context(), "push.example")
		if (err == nil) != good {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if good {
			if cert, err := pair.parse(); err != nil || cert.Leaf.VerifyHostname("push.example") != nil {
				t.Errorf("the proof is no certificate for the name: %v", err)
			}
		}
	}
	if _, err := s.Challenge(t.Context(), "other.example"); !errors.Is(err, errNotOurs) {
		t.Errorf("error is %v", err)
	}
	h := s.Challenges(http.RedirectHandler("https://push.example/", http.StatusPermanentRedirect))
	for _, path := range []string{"/", "/.well-known/acme-challenge/token", "/.well-known/acme-challenge/../../x"} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "http://push.example"+path, nil))
		if w.Code != http.StatusPermanentRedirect {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

// TestCertificateOfAnotherNode: what is in the shared storage is used, and half of it is not.
func TestCertificateOfAnotherNode(t *testing.T) {
	a, dir := newAuthority(t), t.TempDir()
	s := open(t, acmeOptions(dir))
	if len(s.Material().Pairs) != 0 || len(s.Material().ACME) != 1 {
		t.Fatal("a certificate out of nowhere")
	}
	files := Stored(dir, "https://ca.example/dir", "push.example")
	if err := os.MkdirAll(filepath.Dir(files.Cert), 0o700); err != nil {
		t.Fatal(err)
	}
	first, second := a.good(t, "push.example"), a.good(t, "push.example")
	write(t, files.Key, first.Key)
	s.refresh()
	if len(s.Material().Pairs) != 0 {
		t.Fatal("a key is taken for a certificate")
	}
	write(t, files.Cert, first.Cert)
	s.refresh()
	write(t, files.Key, second.Key) // another node renews
	s.refresh()
	if got := s.Material().Pairs; len(got) != 1 || !got[0].equal(first) {
		t.Fatal("the first certificate is not in use")
	}
	write(t, files.Cert, second.Cert)
	s.refresh()
	if got := s.Material().Pairs; len(got) != 1 || !got[0].equal(second) {
		t.Fatal("the second certificate is not in use")
	}
}

func TestCheckName(t *testing.T) {
	for name, ok := range map[string]bool{
		"push.example.com": true, "localhost": true, "*.example.com": false, "Push.example.com": false, "10.0.0.1": false, "::1": false, "": false, "a b": false, ".a": false,
	} {
		if err := CheckName(name); (err == nil) != ok {
			t.Errorf("%q: %v; want ok %v", name, err, ok)
		}
	}
}
