// Tests of files: what is served of a directory, and how.

package web

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func serveStatic(t *testing.T, dotfiles bool) (dir string, get func(path string, fields ...string) *http.Response) {
	t.Helper()
	dir = t.TempDir()
	for name, content := range map[string]string{
		"index.html": "home", "big.js": strings.Repeat("let x = 1;\n", 1000), "pic.png": strings.Repeat("p", 5000),
		".env": "SECRET", ".git/config": "SECRET", "a/.hidden": "SECRET", "a/plain.txt": "plain", "b/index.html": "of b",
	} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
	h, err := Files(dir, dotfiles)
	if err != nil {
		t.Fatal(err)
	}
	return dir, func(path string, fields ...string) *http.Response {
		r := httptest.NewRequest("GET", path, nil)
		for i := 0; i < len(fields); i += 2 {
			r.Header.Set(fields[i], fields[i+1])
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Result()
	}
}

func bodyOf(t *testing.T, r io.Reader) string {
	t.Helper()
	p, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(p)
}

func TestStaticServesFilesOnly(t *testing.T) {
	_, get := serveStatic(t, false)
	for path, status := range map[string]int{
		"/": 200, "/b/": 200, "/a/plain.txt": 200, "/.env": 404, "/.git/config": 404, "/.git/": 404, "/a/.hidden": 404,
		"/a/": 404, "/a": 404, "/fifo": 404, "/nothing": 404, "/%2eenv": 404,
	} {
		res := get(path)
		if body := bodyOf(t, res.Body); res.StatusCode != status || strings.Contains(body, "SECRET") || strings.Contains(body, "plain.txt") {
			t.Errorf("%s: %s %q", path, res.Status, body)
		}
	}
	_, get = serveStatic(t, true)
	if res := get("/.env"); res.StatusCode != 200 {
		t.Errorf("with dotfiles: %s", res.Status)
	}
}

func TestStaticMethods(t *testing.T) {
	h, err := Files(t.TempDir(), false)
	if err != nil {
		t.Fatal(err)
	}
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS"} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(method, "/a", strings.NewReader("x")))
		if w.Code != 405 || w.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: %d, Allow %q", method, w.Code, w.Header().Get("Allow"))
		}
	}
}

func TestStaticCaching(t *testing.T) {
	_, get := serveStatic(t, false)
	for _, path := range []string{"/", "/big.js"} {
		res := get(path)
		tag := res.Header.Get("Etag")
		if tag == "" || res.Header.Get("Last-Modified") == "" || res.Header.Get("Cache-Control") != "no-cache" {
			t.Errorf("%s: %v", path, res.Header)
		}
		if again := get(path, "If-None-Match", tag); again.StatusCode != 304 {
			t.Errorf("%s: %s", path, again.Status)
		}
	}
	res := get("/pic.png", "Range", "bytes=1-3", "Accept-Encoding", "gzip")
	if body := bodyOf(t, res.Body); res.StatusCode != 206 || body != "ppp" {
		t.Errorf("%s %q", res.Status, body)
	}
}

func TestStaticCompresses(t *testing.T) {
	_, get := serveStatic(t, false)
	for _, tt := range []struct {
		path, accept string
		want         bool
	}{
		{"/big.js", "br, gzip", true}, {"/big.js", "", false}, {"/big.js", "gzip;q=0", false}, {"/big.js", "gzip;q=0.5", true},
		{"/pic.png", "gzip", false}, {"/", "gzip", false}, {"/nothing", "gzip", false},
	} {
		res := get(tt.path, "Accept-Encoding", tt.accept)
		if got := res.Header.Get("Content-Encoding") == "gzip"; got != tt.want || res.Header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%s, %q: %v", tt.path, tt.accept, res.Header)
		}
		if !tt.want {
			continue
		}
		z, err := gzip.NewReader(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		if body := bodyOf(t, z); len(body) != 11000 {
			t.Errorf("%d bytes", len(body))
		}
	}
}
