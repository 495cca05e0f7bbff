// The client for pages: /c100k.js and /c100k.mjs, on every node.

package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"time"

	js "c100k/clients/js"
)

// clientFile is one form of the client; immutable.
type clientFile struct {
	plain, zipped []byte
	etag          string // without its end
}

var clientFiles = map[string]*clientFile{
	"/c100k.js":  newClientFile(js.Script),
	"/c100k.mjs": newClientFile(js.Module),
}

func newClientFile(text []byte) *clientFile {
	var buf bytes.Buffer
	z, _ := gzip.NewWriterLevel(&buf, gzip.BestCompression) // the level is a valid one
	_, _ = z.Write(text)                                    // to memory
	_ = z.Close()
	sum := sha256.Sum256(text)
	return &clientFile{plain: text, zipped: buf.Bytes(), etag: `"` + hex.EncodeToString(sum[:12])}
}

// WithClient answers GET and HEAD of /c100k.js and /c100k.mjs, and passes on everything else to
// next. Pages of all origins may load the client: it is no secret.
func WithClient(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f := clientFiles[r.URL.Path]; f != nil {
			f.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// ServeHTTP answers with the file. Each coding has a tag of its own, because its bytes are others
// (RFC 9110, 8.8.3.3).
func (f *clientFile) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "this file answers GET and HEAD", http.StatusMethodNotAllowed)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/javascript; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-cache") // a new build's client shows up at once; the ETag spares the bytes
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	h.Set("Vary", "Accept-Encoding")
	body, etag := f.plain, f.etag+`"`
	if r.Header.Get("Range") == "" && acceptsGzip(r.Header.Get("Accept-Encoding")) {
		body, etag = f.zipped, f.etag+`-gzip"`
		h.Set("Content-Encoding", "gzip")
		h.Set("Content-Length", strconv.Itoa(len(body))) // ServeContent leaves it out of encoded answers
	}
	h.Set("Etag", etag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}
