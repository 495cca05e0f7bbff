// Keys of session tickets: the file, the rotation, resumption on another process.

package certs

import (
	"crypto/tls"
	"encoding/hex"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParseTicketKeys(t *testing.T) {
	a, b := strings.Repeat("0f", 32), strings.Repeat("A1", 32)
	for _, test := range []struct {
		text, want string
		keys       int
	}{
		{a + "\n", "", 1},
		{"# shared by all nodes\n\n  " + a + "  \n" + b, "", 2},
		{"", "holds no key", 0},
		{"# nothing\n", "holds no key", 0},
		{a + "\n" + a[:62] + "\n", "line 2 has 62 characters", 0},
		{strings.Repeat("0g", 32), "line 1 is not hexadecimal", 0},
		{a + "\n" + b + "\n" + a, "line 3 has the key of an earlier line", 0},
		{manyKeys(ticketKeysMax), "", ticketKeysMax},
		{manyKeys(ticketKeysMax + 1), "more than 16 keys", 0},
	} {
		keys, err := ParseTicketKeys([]byte(test.text))
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) || len(keys) != test.keys {
			t.Errorf("%.80q: %d keys, error %v; want %d, %q", test.text, len(keys), err, test.keys, test.want)
		}
		if err != nil && strings.Contains(err.Error(), a[:62]) {
			t.Errorf("the error has a key in it: %v", err)
		}
	}
}

func manyKeys(n int) string {
	var lines []string
	for i := range n {
		lines = append(lines, hex.EncodeToString(slices.Repeat([]byte{byte(i)}, 32)))
	}
	return strings.Join(lines, "\n")
}

// FuzzParseTicketKeys: what is taken can be written and read again, within the bound.
func FuzzParseTicketKeys(f *testing.F) {
	f.Add([]byte(manyKeys(2)))
	f.Add([]byte("# no\n\n" + manyKeys(1) + "\r\n"))
	f.Add([]byte("zz"))
	f.Fuzz(func(t *testing.T, text []byte) {
		keys, err := ParseTicketKeys(text)
		if err != nil {
			return
		}
		if len(keys) == 0 || len(keys) > ticketKeysMax {
			t.Fatalf("%d keys", len(keys))
		}
		var lines []string
		for _, k := range keys {
			lines = append(lines, hex.EncodeToString(k[:]))
		}
		again, err := ParseTicketKeys([]byte(strings.Join(lines, "\n")))
		if err != nil || !slices.Equal(again, keys) {
			t.Fatalf("read again: %v, %v", again, err)
		}
	})
}

// TestRotation: a new key a day, and each opens for seven days.
func TestRotation(t *testing.T) {
	var r ring
	first := TicketKey{}
	for day := range 30 {
		now := noon.Add(time.Duration(day) * 24 * time.Hour)
		if !r.rotate(now) || r.rotate(now.Add(time.Hour)) {
			t.Fatalf("day %d: rotation is not daily", day)
		}
		if day == 0 {
			first = r.keys[0]
		}
		if held := slices.Contains(r.keys, first); held != (day < 7) {
			t.Fatalf("day %d: the first key is held: %v", day, held)
		}
		if len(r.keys) > 7 {
			t.Fatalf("%d keys", len(r.keys))
		}
	}
	// A machine that has slept for a month has one key.
	if r.rotate(noon.AddDate(1, 0, 0)); len(r.keys) != 1 {
		t.Fatalf("%d keys after a year", len(r.keys))
	}
}

// process shakes hands as a worker does, with a store of its own.
func process(t *testing.T, m *Material) *Store {
	t.Helper()
	s, err := NewStore(m, Policy{Min: tls.VersionTLS12}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// shake makes one connection to a store and reads what the server says, so that a ticket arrives.
func shake(t *testing.T, s *Store, client *tls.Config) tls.ConnectionState {
	t.Helper()
	state, err := tryShake(t, s.Config(), client)
	if err != nil {
		t.Fatal(err)
	}
	return state
}

func tryShake(t *testing.T, server, client *tls.Config) (tls.ConnectionState, error) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		raw, err := ln.Accept()
		if err != nil {
			return
		}
		c := tls.Server(raw, server)
		_, _ = c.Write([]byte("x"))
		_ = c.Close()
	}()
	defer func() { <-done }()
	c, err := tls.Dial("tcp", ln.Addr().String(), client)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer c.Close()
	if n, err := c.Read(make([]byte, 1)); n == 0 { // with the byte may come the end
		return tls.ConnectionState{}, err
	}
	return c.ConnectionState(), nil
}

// TestResumeOnAnotherProcess: the first handshake on one worker and the second on another, also on
// one that was started in its place, and with a key that has been rotated meanwhile.
func TestResumeOnAnotherProcess(t *testing.T) {
	a, dir := newAuthority(t), t.TempDir()
	now := &clock{now: noon}
	source := open(t, Options{Files: Files{Pairs: []Pair{put(t, dir, "site", a.good(t, "example.com"))}}, now: now.read})
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		one, two := process(t, source.Material()), process(t, source.Material())
		client := &tls.Config{ServerName: "example.com", RootCAs: roots(a), MaxVersion: version, ClientSessionCache: tls.NewLRUClientSessionCache(1), Time: fixed}
		if shake(t, one, client).DidResume {
			t.Fatal("the first handshake resumes")
		}
		if !shake(t, two, client).DidResume {
			t.Errorf("%s: another worker does not resume", tls.VersionName(version))
		}
		now.advance(ticketRotation)
		source.refresh()
		if err := one.Set(source.Material(), Policy{Min: tls.VersionTLS12}); err != nil {
			t.Fatal(err)
		}
		if !shake(t, one, client).DidResume {
			t.Errorf("%s: a key of yesterday does not resume", tls.VersionName(version))
		}
		if !shake(t, process(t, source.Material()), client).DidResume {
			t.Errorf("%s: a worker that was started again does not resume", tls.VersionName(version))
		}
	}
}

// TestTicketKeysOfAFile: two nodes with the same file resume each other's sessions, and a key that
// moves down in the file still opens.
func TestTicketKeysOfAFile(t *testing.T) {
	a, dir := newAuthority(t), t.TempDir()
	pair := put(t, dir, "site", a.good(t, "example.com"))
	file := filepath.Join(dir, "tickets")
	write(t, file, []byte(manyKeys(1)))
	files := Files{Pairs: []Pair{pair}, TicketKeys: file}
	one, two := open(t, Options{Files: files}), open(t, Options{Files: files})
	client := &tls.Config{ServerName: "example.com", RootCAs: roots(a), ClientSessionCache: tls.NewLRUClientSessionCache(1), Time: fixed}
	shake(t, process(t, one.Material()), client)
	if !shake(t, process(t, two.Material()), client).DidResume {
		t.Error("the other node does not resume")
	}
	write(t, file, []byte(strings.Repeat("ee", 32)+"\n"+manyKeys(1)))
	two.refresh()
	if !shake(t, process(t, two.Material()), client).DidResume {
		t.Error("an old key of the file does not resume")
	}
	write(t, file, []byte("nonsense\n"))
	two.refresh()
	if len(two.Material().TicketKeys) != 2 {
		t.Error("the old keys did not stay")
	}
}
