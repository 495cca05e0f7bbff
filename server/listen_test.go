// Tests of a node on a Unix socket.

package server

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// shortDir is a directory with a path short enough for a socket.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "c100k")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func TestUnixSocket(t *testing.T) {
	path := filepath.Join(shortDir(t), "s")
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	stale.Close() // as a process that was killed leaves it
	s := start(t, Config{Listen: "unix:" + path + "?mode=0600", PublicTopics: []string{">"}, MaxConnsPerIP: 1,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "other") })})
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	dial := func(request string) (net.Conn, *http.Response) {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		_ = c.SetDeadline(time.Now().Add(30 * time.Second))
		fmt.Fprint(c, request)
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		return c, res
	}
	sse := "GET /sse?topic=a HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: %s\r\n\r\n"
	for _, tt := range []struct {
		request string
		status  int
	}{
		{"GET / HTTP/1.1\r\nHost: h\r\n\r\n", 200},
		{fmt.Sprintf(sse, "192.0.2.1"), 200}, // its peer speaks for clients
		{fmt.Sprintf(sse, "192.0.2.2"), 200},
		{fmt.Sprintf(sse, "192.0.2.1"), 429},
	} {
		if _, res := dial(tt.request); res.StatusCode != tt.status {
			t.Errorf("%q: %s", tt.request, res.Status)
		}
	}
	if other, err := New(Config{Listen: "unix:" + path}); err != nil {
		t.Error(err)
	} else if err := other.ListenAndServe(t.Context()); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("%v: a socket that is in use was taken", err)
	}
	s.Close()
	if _, err := os.Stat(path); err == nil {
		t.Error("the socket is left behind")
	}
}

func TestUnixAddress(t *testing.T) {
	if a, err := parseUnix("unix:/run/c100k.sock?mode=0660&owner=0&group=root"); err != nil || a.mode != 0o660 {
		t.Errorf("%+v, %v", a, err)
	}
	for _, bad := range []string{"unix:", "unix:rel", "unix:/a?mode=9", "unix:/a?mode=01777", "unix:/a?x=1", "unix:/a?owner=", "unix:/" + strings.Repeat("a", 200)} {
		if err := (&Config{Listen: bad}).Validate(); err == nil || !strings.Contains(err.Error(), "Listen") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if err := (&Config{Listen: "unix:/a", Workers: 2}).Validate(); err == nil || !strings.Contains(err.Error(), "Unix") {
		t.Errorf("several workers: %v", err)
	}
}
