// The source: what can be used at the start, what is replaced, what stays.

package certs

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func open(t *testing.T, opt Options) *Source {
	t.Helper()
	if opt.now == nil {
		opt.now = fixed
	}
	s, err := Open(opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// TestPairRead: each way in which a pair is bad is said, with the file.
func TestPairRead(t *testing.T) {
	a, dir := newAuthority(t), t.TempDir()
	good, other := a.good(t, "example.com"), a.good(t, "example.com")
	write(t, filepath.Join(dir, "empty.crt"), nil)
	write(t, filepath.Join(dir, "text.crt"), []byte("hello\n"))
	write(t, filepath.Join(dir, "cut.crt"), good.Cert[:len(good.Cert)/2])
	write(t, filepath.Join(dir, "huge.crt"), make([]byte, fileBytesMax+1))
	ok := put(t, dir, "good", good)
	for _, test := range []struct {
		name string
		pair Pair
		want string
		is   error
	}{
		{"good", ok, "", nil},
		{"unreadable", Pair{filepath.Join(dir, "none.crt"), ok.Key}, "none.crt: no such file", os.ErrNotExist},
		{"key unreadable", Pair{ok.Cert, filepath.Join(dir, "none.key")}, "none.key: no such file", os.ErrNotExist},
		{"empty", Pair{filepath.Join(dir, "empty.crt"), ok.Key}, "empty.crt: the file is empty", nil},
		{"no PEM", Pair{filepath.Join(dir, "text.crt"), ok.Key}, "not PEM", nil},
		{"cut", Pair{filepath.Join(dir, "cut.crt"), ok.Key}, "not PEM", nil},
		{"huge", Pair{filepath.Join(dir, "huge.crt"), ok.Key}, "more than 1048576 bytes", nil},
		{"swapped", Pair{ok.Key, ok.Cert}, "good.key", nil},
		{"key of another", Pair{ok.Cert, put(t, dir, "other", other).Key}, "private key does not match public key", nil},
		{"expired", put(t, dir, "old", a.sign(t, noon.AddDate(0, 0, -9), noon.Add(-time.Second), "example.com")), "old.crt has expired: on 2026-11-29T11:59:59Z", ErrExpired},
		{"not yet valid", put(t, dir, "new", a.sign(t, noon.Add(time.Second), noon.AddDate(1, 0, 0), "example.com")), "new.crt is not valid yet: from 2026-11-29T12:00:01Z on", ErrNotYetValid},
	} {
		_, _, err := test.pair.Read(noon)
		switch {
		case test.want == "" && err != nil:
			t.Errorf("%s: %v", test.name, err)
		case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
			t.Errorf("%s: error is %v; want %q in it", test.name, err, test.want)
		case test.is != nil && !errors.Is(err, test.is):
			t.Errorf("%s: error %v is not %v", test.name, err, test.is)
		}
	}
}

// TestOldCertificateStays: what cannot be used is logged once, and the old one stays; what can is
// taken.
func TestOldCertificateStays(t *testing.T) {
	a, dir := newAuthority(t), t.TempDir()
	first := a.good(t, "example.com")
	pair := put(t, dir, "site", first)
	log, text := newLog()
	s := open(t, Options{Files: Files{Pairs: []Pair{pair}}, Logger: log})
	in := func(want *PairPEM) {
		t.Helper()
		if got := s.Material().Pairs; len(got) != 1 || !got[0].equal(want) {
			t.Fatal("another certificate is in use")
		}
	}
	in(first)
	expectLog(t, text, "certificate in use", "name=example.com")
	for _, bad := range []struct {
		text *PairPEM
		want string
	}{
		{&PairPEM{Cert: a.good(t, "example.com").Cert, Key: first.Key}, "private key does not match"},
		{a.sign(t, noon.AddDate(0, 0, -9), noon.AddDate(0, 0, -1), "example.com"), "has expired"},
		{a.sign(t, noon.AddDate(0, 0, 1), noon.AddDate(1, 0, 1), "example.com"), "is not valid yet"},
		{&PairPEM{Cert: []byte("x"), Key: first.Key}, "not PEM"},
	} {
		put(t, dir, "site", bad.text)
		s.refresh()
		in(first)
		expectLog(t, text, "level=ERROR", "the old one stays", bad.want)
		s.refresh()
		if again := text.take(); again != "" {
			t.Errorf("%s is logged twice: %s", bad.want, again)
		}
	}
	if err := os.Remove(pair.Key); err != nil {
		t.Fatal(err)
	}
	if err := s.Reload(Files{Pairs: []Pair{pair}}); err != nil {
		t.Fatalf("a reload fails for a file that is bad: %v", err)
	}
	in(first)
	expectLog(t, text, "no such file")
	second := a.good(t, "example.com")
	put(t, dir, "site", second)
	s.refresh()
	in(second)
	expectLog(t, text, "level=INFO", "certificate replaced")
}

func expectLog(t *testing.T, text *logText, want ...string) {
	t.Helper()
	got := text.take()
	for _, w := range want {
		if !strings.Contains(got, w) {
			t.Fatalf("the log has no %q: %s", w, got)
		}
	}
}

// TestReloadTakesOtherFiles: all or nothing where files are new.
func TestReloadTakesOtherFiles(t *testing.T) {
	a, dir := newAuthority(t), t.TempDir()
	one, two := put(t, dir, "one", a.good(t, "one.example")), put(t, dir, "two", a.good(t, "two.example"))
	s := open(t, Options{Files: Files{Pairs: []Pair{one}}})
	before := s.Material()
	err := s.Reload(Files{Pairs: []Pair{one, two, {filepath.Join(dir, "none.crt"), two.Key}}})
	if err == nil || !strings.Contains(err.Error(), "none.crt") {
		t.Fatalf("error is %v; want none.crt in it", err)
	}
	if s.Material() != before {
		t.Fatal("half of the reload was done")
	}
	if err := s.Reload(Files{Pairs: []Pair{two, one}}); err != nil {
		t.Fatal(err)
	}
	if ends := s.Expiries(); len(ends) != 2 || ends[0].Name != "two.example" {
		t.Fatalf("certificates are %v", ends)
	}
}

// TestStartRefusesBadFiles: what cannot be used at the start is an error that names the file.
func TestStartRefusesBadFiles(t *testing.T) {
	a, dir := newAuthority(t), t.TempDir()
	good := put(t, dir, "good", a.good(t, "example.com"))
	for name, files := range map[string]Files{
		"no.crt":  {Pairs: []Pair{{filepath.Join(dir, "no.crt"), good.Key}}},
		"no.pem":  {Pairs: []Pair{good}, ClientCA: filepath.Join(dir, "no.pem")},
		"no.keys": {Pairs: []Pair{good}, TicketKeys: filepath.Join(dir, "no.keys")},
	} {
		if _, err := Open(Options{Files: files, now: fixed}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("error is %v; want %s in it", err, name)
		}
	}
}

// TestWatch: files that are replaced in each of the usual ways are noticed without a signal.
func TestWatch(t *testing.T) {
	a, dir := newAuthority(t), t.TempDir()
	// As Kubernetes mounts a secret: the files link to ..data, and ..data to a directory.
	version := func(name string, p *PairPEM) {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		put(t, filepath.Join(dir, name), "tls", p)
		link := filepath.Join(dir, "..new")
		if err := errors.Join(os.Symlink(name, link), os.Rename(link, filepath.Join(dir, "..data"))); err != nil {
			t.Fatal(err)
		}
	}
	version("..1", a.good(t, "one.example"))
	if err := errors.Join(os.Symlink("..data/tls.crt", filepath.Join(dir, "tls.crt")), os.Symlink("..data/tls.key", filepath.Join(dir, "tls.key"))); err != nil {
		t.Fatal(err)
	}
	plain := t.TempDir()
	other := put(t, plain, "site", a.good(t, "two.example"))
	changed := make(chan struct{}, 100)
	s := open(t, Options{Files: Files{Pairs: []Pair{{filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")}, other}},
		Changed: func() { changed <- struct{}{} }})
	names := func(want ...string) {
		t.Helper()
		for {
			select {
			case <-changed:
			case <-t.Context().Done():
				t.Fatal("nobody has noticed")
			}
			var got []string
			for _, e := range s.Expiries() {
				got = append(got, e.Name)
			}
			if strings.Join(got, " ") == strings.Join(want, " ") {
				return
			}
		}
	}
	version("..2", a.good(t, "three.example"))
	names("three.example", "two.example")
	next := put(t, plain, "next", a.good(t, "four.example"))
	if err := errors.Join(os.Rename(next.Cert, other.Cert), os.Rename(next.Key, other.Key)); err != nil {
		t.Fatal(err)
	}
	names("three.example", "four.example")
	put(t, plain, "site", a.good(t, "five.example"))
	names("three.example", "five.example")
}

// TestExpiryIsReported: a certificate that expires while the node runs is warned of, and reported.
func TestExpiryIsReported(t *testing.T) {
	a, dir := newAuthority(t), t.TempDir()
	now := &clock{now: noon}
	log, text := newLog()
	pair := put(t, dir, "site", a.good(t, "example.com")) // 90 days, 60 left
	s := open(t, Options{Files: Files{Pairs: []Pair{pair}}, Logger: log, now: now.read})
	text.take()
	now.advance(45 * 24 * time.Hour)
	s.refresh()
	if got := text.take(); got != "" {
		t.Fatalf("too early: %s", got)
	}
	now.advance(2 * 24 * time.Hour)
	s.refresh()
	expectLog(t, text, "level=WARN", "certificate expires soon", "name=example.com", "expires=2027-01-28T12:00:00Z")
	s.refresh()
	if got := text.take(); got != "" {
		t.Fatalf("logged twice: %s", got)
	}
	now.advance(warnEvery)
	s.refresh()
	expectLog(t, text, "certificate expires soon")
	now.advance(13 * 24 * time.Hour)
	s.refresh()
	// The file is not taken again, for it has expired; what is in use stays, and is reported.
	expectLog(t, text, "level=ERROR", "certificate has expired; clients refuse it")
	if len(s.Material().Pairs) != 1 {
		t.Fatal("the node has no certificate")
	}
	put(t, dir, "site", a.sign(t, now.read(), now.read().AddDate(0, 3, 0), "example.com"))
	s.refresh()
	expectLog(t, text, "certificate replaced")
	s.refresh()
	if got := text.take(); got != "" {
		t.Fatalf("it is well again: %s", got)
	}
}

// TestDevelopmentCertificate: loopback names only, new at each start.
func TestDevelopmentCertificate(t *testing.T) {
	one, two := open(t, Options{Dev: true}), open(t, Options{Dev: true})
	if a, b := one.DevFingerprint(), two.DevFingerprint(); a == b || len(a) != 32*3-1 {
		t.Errorf("fingerprints %s and %s", a, b)
	}
	c, err := one.Material().Pairs[0].parse()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"localhost", "127.0.0.1", "::1"} {
		if err := c.Leaf.VerifyHostname(name); err != nil {
			t.Error(err)
		}
	}
	if none := open(t, Options{Files: Files{Pairs: []Pair{put(t, t.TempDir(), "a", newAuthority(t).good(t, "a.example"))}}}); none.DevFingerprint() != "" {
		t.Error("a fingerprint without a certificate of its own")
	}
}
