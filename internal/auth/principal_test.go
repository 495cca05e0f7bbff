package auth

import (
	"strings"
	"testing"
	"time"
)

// principal makes one that is valid.
func principal(t testing.TB, id *Identity) *Principal {
	t.Helper()
	p, err := NewPrincipal(id, &Registry{}, time.Unix(1000, 0), time.Hour, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPrincipal(t *testing.T) {
	all := Lists{Subscribe: []string{">"}, Publish: []string{">"}}
	for name, row := range map[string]struct {
		id   Identity
		now  time.Duration
		want bool
	}{
		"without rights":     {Identity{Subject: "a"}, time.Hour, false},
		"in the year 3000":   {Identity{Lists: all, Expires: time.Unix(32503680000, 0)}, 1000 * time.Hour, true},
		"for ever":           {Identity{Lists: all}, 1e6 * time.Hour, true},
		"not yet over":       {Identity{Lists: all, Expires: time.Unix(1001, 0)}, time.Hour + time.Second - 1, true},
		"over":               {Identity{Lists: all, Expires: time.Unix(1001, 0)}, time.Hour + time.Second, false},
		"came within leeway": {Identity{Lists: all, Expires: time.Unix(995, 0)}, time.Hour + 5*time.Second - 1, true},
		"leeway over":        {Identity{Lists: all, Expires: time.Unix(995, 0)}, time.Hour + 5*time.Second, false},
		"long over":          {Identity{Lists: all, Expires: time.Unix(-1<<40, 0)}, time.Hour, false},
	} {
		p := principal(t, &row.id)
		if p.May(Subscribe, "t", row.now) != row.want || p.May(Publish, "t", row.now) != row.want || p.Denied("t", row.now) && row.want {
			t.Errorf("%s: want %v", name, row.want)
		}
	}
	p := principal(t, &Identity{Subject: "u1", ID: "j", IssuedAt: time.Unix(900, 0), Expires: time.Unix(2000, 0), Info: []byte(`{"name":"Ann"}`)})
	if p.IssuedAt != 900 || p.ExpiresAt != 2000 || p.ID != "j" || string(p.Info) != `{"name":"Ann"}` {
		t.Errorf("%+v", p)
	}
}

func TestPrincipalRefuses(t *testing.T) {
	for want, id := range map[string]*Identity{
		"a subject is":     {Subject: "a\n"},
		"there is no subj": {Lists: Lists{Deny: []string{"{sub}"}}},
		"its id has":       {ID: strings.Repeat("a", IDBytesMax+1)},
		"info is JSON":     {Info: []byte("{")},
		"info is JSON of":  {Info: []byte(`"` + strings.Repeat("a", InfoBytesMax) + `"`)},
		"publish: not a p": {Lists: Lists{Publish: []string{"a*"}}},
	} {
		if _, err := NewPrincipal(id, &Registry{}, time.Now(), 0, 0); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestPublic(t *testing.T) {
	some, err := NewPublic(false, []string{"news", "chat.>"})
	if err != nil {
		t.Fatal(err)
	}
	all, err := NewPublic(true, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		public *Public
		right  Right
		topic  string
		want   bool
	}{
		{some, Subscribe, "news", true}, {some, Subscribe, "chat.a.b", true}, {some, Subscribe, "news.a", false}, {some, History, "news", true},
		{some, Publish, "news", false}, {some, Presence, "news", false}, {all, Publish, "x", true}, {all, Presence, "x", true}, {&Public{}, Subscribe, "x", false},
	} {
		if got := row.public.May(row.right, row.topic); got != row.want {
			t.Errorf("%v %s: %v, want %v", row.right, row.topic, got, row.want)
		}
	}
	if _, err := NewPublic(false, []string{"a", "b*"}); err == nil {
		t.Error("a bad pattern was taken")
	}
}

func TestPrincipals(t *testing.T) {
	var s Principals
	if s.Add(nil) != 0 || s.At(0) != nil || s.Len() != 0 {
		t.Error("nobody has an entry")
	}
	s.Free(0)
	p, q := &Principal{Subject: "p"}, &Principal{Subject: "q"}
	i, j := s.Add(p), s.Add(q)
	if s.At(i) != p || s.At(j) != q || s.Len() != 2 {
		t.Error("not what was added")
	}
	s.Set(j, p)
	if s.At(j) != p {
		t.Error("not replaced")
	}
	s.Free(i)
	if s.Len() != 1 || s.Add(q) != i || s.At(j) != p {
		t.Error("a freed index is not used again")
	}
}
