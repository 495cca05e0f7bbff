package auth

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func revoke(t *testing.T, v *Revocations, now time.Time, list ...Revocation) {
	t.Helper()
	for i := range list {
		if err := list[i].Check(now); err != nil {
			t.Fatal(err)
		}
	}
	if err := v.Add(now, list...); err != nil {
		t.Fatal(err)
	}
}

func TestRevocations(t *testing.T) {
	var v Revocations
	now := time.Unix(2000, 0)
	check := func(what string, want map[*Principal]bool) {
		t.Helper()
		for p, revoked := range want {
			if v.Revoked(p) != revoked {
				t.Errorf("%s: %s %s %d: want %v", what, p.Subject, p.ID, p.IssuedAt, revoked)
			}
		}
	}
	a, b := &Principal{Subject: "u", ID: "a", IssuedAt: 1000}, &Principal{Subject: "u", ID: "b", IssuedAt: 1500}
	c, none := &Principal{Subject: "v", IssuedAt: 1000}, &Principal{Subject: "u"}
	check("at first", map[*Principal]bool{a: false, b: false, c: false, none: false})
	if v.Revoked(nil) {
		t.Error("nobody was revoked")
	}
	revoke(t, &v, now, Revocation{TokenID: "a"})
	check("a token", map[*Principal]bool{a: true, b: false, c: false})
	revoke(t, &v, now, Revocation{Subject: "u", IssuedBefore: 1500})
	check("older tokens", map[*Principal]bool{a: true, b: false, c: false, none: true}) // one that does not say when is as old as can be
	revoke(t, &v, now, Revocation{Subject: "u"}, Revocation{Subject: "v"})
	check("subjects", map[*Principal]bool{a: true, b: true, c: true})
	list := v.List(now, "", 100)
	if len(list) != 4 || v.List(now, list[1].ID, 1)[0] != list[2] {
		t.Errorf("%+v", list)
	}
	for _, r := range list {
		if r.Subject == "u" && r.IssuedBefore == 0 {
			if found, err := v.Remove(r.ID); !found || err != nil {
				t.Error(found, err)
			}
		}
	}
	check("taken back", map[*Principal]bool{a: true, b: false, none: true, c: true})
	if found, _ := v.Remove("x"); found {
		t.Error("found what is not there")
	}
	for want, r := range map[string]Revocation{
		"one of sub and jti": {}, "one of sub": {Subject: "a", TokenID: "b"}, "belongs to sub": {TokenID: "a", IssuedBefore: 1}, "at most 128": {Subject: strings.Repeat("a", 129)},
		"up to the year 9999": {Subject: "a", Expires: 1 << 60}, "is past": {Subject: "a", Expires: 1999},
	} {
		if err := r.Check(now); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v", r, err)
		}
	}
}

// A hundred thousand are no trouble, there is a bound, and what has expired makes room.
// TestRevocationsExpire: what has expired refuses nobody any more, and the others of its subject
// stay.
func TestRevocationsExpire(t *testing.T) {
	var v Revocations
	now := time.Unix(2000, 0)
	revoke(t, &v, now, Revocation{TokenID: "a", Expires: 3000}, Revocation{Subject: "u", Expires: 3000},
		Revocation{Subject: "u", IssuedBefore: 1500, Expires: 4000}, Revocation{Subject: "v", Expires: 4000})
	old, young, token, other := &Principal{Subject: "u", IssuedAt: 1000}, &Principal{Subject: "u", IssuedAt: 1700}, &Principal{Subject: "w", ID: "a"}, &Principal{Subject: "v"}
	for _, step := range []struct {
		at   int64
		want [4]bool
	}{{2999, [4]bool{true, true, true, true}}, {3000, [4]bool{true, false, false, true}}, {4000, [4]bool{}}} {
		v.Purge(time.Unix(step.at, 0))
		if got := [4]bool{v.Revoked(old), v.Revoked(young), v.Revoked(token), v.Revoked(other)}; got != step.want {
			t.Errorf("at %d: %v, want %v", step.at, got, step.want)
		}
	}
	if v.count.Load() != 0 {
		t.Errorf("%d left", v.count.Load())
	}
}

func TestManyRevocations(t *testing.T) {
	var v Revocations
	now := time.Unix(2000, 0)
	list := make([]Revocation, RevocationsMax)
	for i := range list {
		list[i] = Revocation{TokenID: fmt.Sprint(i), Expires: 3000}
	}
	revoke(t, &v, now, list...)
	for _, i := range []int{0, 99_999, RevocationsMax - 1} {
		if !v.Revoked(&Principal{ID: fmt.Sprint(i)}) {
			t.Errorf("%d is not revoked", i)
		}
	}
	one := Revocation{TokenID: "one more"}
	_ = one.Check(now)
	if err := v.Add(now, one); !errors.Is(err, ErrRevocations) {
		t.Error(err)
	}
	if err := v.Add(time.Unix(3000, 0), one); err != nil || !v.Revoked(&Principal{ID: "one more"}) || v.Revoked(&Principal{ID: "7"}) {
		t.Error(err)
	}
}

// They are kept over a restart, but for those that were taken back or have expired. A line that was
// not written whole is left out.
func TestRevocationsAreKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	now := time.Unix(2000, 0)
	open := func(now time.Time, keep bool) *Revocations {
		v := &Revocations{}
		if err := v.Open(dir, keep, now); err != nil {
			t.Fatal(err)
		}
		return v
	}
	v := open(now, true)
	revoke(t, v, now, Revocation{TokenID: "a"}, Revocation{TokenID: "b"}, Revocation{TokenID: "c", Expires: 2500}, Revocation{Subject: "u"})
	gone := Revocation{TokenID: "b"}
	_ = gone.Check(now)
	if found, err := v.Remove(gone.ID); !found || err != nil {
		t.Fatal(found, err)
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(filepath.Join(dir, revocationsFile), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteString(`{"id":"x","jti":"torn`); err != nil {
		t.Fatal(err)
	}
	file.Close()
	for range 2 { // the second time from the file that was written anew
		v = open(time.Unix(2600, 0), true)
		for id, want := range map[string]bool{"a": true, "b": false, "c": false, "torn": false} {
			if v.Revoked(&Principal{Subject: "w", ID: id}) != want {
				t.Errorf("%s: want %v", id, want)
			}
		}
		if !v.Revoked(&Principal{Subject: "u"}) {
			t.Error("u is not revoked")
		}
		if err := v.Close(); err != nil {
			t.Fatal(err)
		}
	}
	// Another process of the node reads, and does not write.
	v = open(time.Unix(2600, 0), false)
	revoke(t, v, now, Revocation{TokenID: "z"})
	if text, _ := os.ReadFile(filepath.Join(dir, revocationsFile)); strings.Contains(string(text), `"z"`) {
		t.Error("written by a process that does not keep them")
	}
	if err := (&Revocations{}).Open("/dev/null/x", true, now); err == nil {
		t.Error("a directory that cannot be")
	}
}
