package web

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"strconv"
	"testing"

	js "c100k/clients/js"
)

func TestClient(t *testing.T) {
	h := WithClient(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	for path, want := range map[string][]byte{"/c100k.js": js.Script, "/c100k.mjs": js.Module} {
		tags := map[string]bool{}
		for _, coding := range []string{"", "gzip"} {
			w := get(t, h, "GET", path, "Accept-Encoding", coding)
			head := w.Result().Header
			body := w.Body.Bytes()
			if length := head.Get("Content-Length"); length != strconv.Itoa(len(body)) {
				t.Errorf("%s, %q: length %s of %d", path, coding, length, len(body))
			}
			if coding != "" {
				z, err := gzip.NewReader(w.Body)
				if err != nil {
					t.Fatal(err)
				}
				if body, err = io.ReadAll(z); err != nil {
					t.Fatal(err)
				}
			}
			if w.Code != 200 || !bytes.Equal(body, want) || head.Get("Content-Encoding") != coding ||
				head.Get("Content-Type") != "text/javascript; charset=utf-8" || head.Get("Access-Control-Allow-Origin") != "*" {
				t.Errorf("%s, %q: %d %v", path, coding, w.Code, head)
			}
			tag := head.Get("Etag")
			tags[tag] = true
			for _, method := range []string{"GET", "HEAD"} {
				if w := get(t, h, method, path, "Accept-Encoding", coding, "If-None-Match", tag); w.Code != 304 || w.Body.Len() > 0 {
					t.Errorf("%s %s with its tag: %d, %d bytes", method, path, w.Code, w.Body.Len())
				}
			}
		}
		if len(tags) != 2 {
			t.Errorf("%s has the tags %v", path, tags)
		}
		if w := get(t, h, "GET", path, "Range", "bytes=0-1", "Accept-Encoding", "gzip"); w.Code != 206 || !bytes.Equal(w.Body.Bytes(), want[:2]) {
			t.Errorf("a part of %s: %d %q", path, w.Code, w.Body)
		}
		if w := get(t, h, "POST", path); w.Code != 405 || w.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("POST %s: %d", path, w.Code)
		}
	}
	for _, path := range []string{"/", "/c100k.js/", "/c100k.css", "/a/c100k.js"} {
		if w := get(t, h, "GET", path); w.Code != http.StatusTeapot {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}
