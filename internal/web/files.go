// The files of --static: what is served of a directory, and how.

package web

import (
	"compress/gzip"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// compressBytesMin is the size in bytes from which a file is compressed: below, the header fields
// cost more than is gained.
const compressBytesMin = 1 << 10

// Files serves the files below a directory, and nothing outside of it that a link may point to. A
// directory is served by its index.html; it is not listed. Without dotfiles, a file whose name
// begins with a dot, or that lies below such a directory, is answered 404, and a method other than
// GET and HEAD 405. The error says that the directory cannot be opened.
func Files(dir string, dotfiles bool) (http.Handler, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	files := staticFiles{root, dotfiles}
	next := http.FileServerFS(files)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "files answer GET and HEAD", http.StatusMethodNotAllowed)
			return
		}
		if info, err := files.stat(r.URL.Path); err == nil {
			w.Header().Set("Etag", etagOf(info))
			w.Header().Set("Cache-Control", "no-cache") // kept, and asked about: files have no version in their name
		}
		w.Header().Add("Vary", "Accept-Encoding")
		if r.Method != http.MethodGet || r.Header.Get("Range") != "" || !acceptsGzip(r.Header.Get("Accept-Encoding")) {
			next.ServeHTTP(w, r)
			return
		}
		z := &zipped{ResponseWriter: w}
		defer z.close()
		next.ServeHTTP(z, r)
	}), nil
}

// etagOf is weak, because a compressed answer has other bytes.
func etagOf(info fs.FileInfo) string {
	return `W/"` + strconv.FormatInt(info.Size(), 36) + "-" + strconv.FormatInt(info.ModTime().UnixNano(), 36) + `"`
}

// staticFiles is the fs.FS of a directory. It has regular files only, and directories that have an
// index: a directory is not listed.
type staticFiles struct {
	root     *os.Root
	dotfiles bool
}

// stat is the file that a request's path names, or the index of a directory.
func (s staticFiles) stat(requested string) (fs.FileInfo, error) {
	name := strings.TrimPrefix(path.Clean("/"+requested), "/")
	if strings.HasSuffix(requested, "/") {
		name = path.Join(name, "index.html")
	}
	f, err := s.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = fs.ErrNotExist // FileServerFS redirects
	}
	return info, err
}

// Open opens a file for reading. Its errors are those that http.FileServerFS has an answer for; it
// answers others with 500.
func (s staticFiles) Open(name string) (fs.File, error) {
	if !s.dotfiles && hidden(name) {
		return nil, fs.ErrNotExist
	}
	if name == "" {
		name = "."
	}
	// Without O_NONBLOCK, opening a FIFO waits for a writer.
	file, err := s.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, answerable(err)
	}
	info, err := file.Stat()
	switch {
	case err != nil:
	case info.Mode().IsRegular():
		return file, nil
	case info.IsDir():
		index, indexErr := s.root.Stat(path.Join(name, "index.html"))
		if indexErr == nil && index.Mode().IsRegular() {
			return file, nil
		}
	}
	file.Close()
	return nil, fs.ErrNotExist
}

// hidden tells whether a file or a directory above it begins with a dot.
func hidden(name string) bool {
	for part := range strings.SplitSeq(name, "/") {
		if len(part) > 1 && part[0] == '.' {
			return true
		}
	}
	return false
}

// answerable is an error that http.FileServerFS answers with 404 or 403.
func answerable(err error) error {
	var at *fs.PathError
	var errno syscall.Errno
	switch {
	case errors.Is(err, syscall.EINVAL), errors.Is(err, syscall.ENAMETOOLONG), errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.ENXIO):
		return fs.ErrNotExist // a name that no file can have, or a socket
	case errors.As(err, &at) && !errors.As(at.Err, &errno):
		return fs.ErrPermission // os.Root has refused, not the system: a link that leads outside
	}
	return err
}

// acceptsGzip reads Accept-Encoding: RFC 9110, 12.5.3. A weight of 0 refuses.
func acceptsGzip(field string) bool {
	for element := range strings.SplitSeq(field, ",") {
		coding, weight, _ := strings.Cut(strings.TrimSpace(element), ";")
		if strings.EqualFold(strings.TrimSpace(coding), "gzip") {
			q, found := strings.CutPrefix(strings.ReplaceAll(weight, " ", ""), "q=")
			return !found || strings.Trim(q, "0.") != ""
		}
	}
	return false
}

// zipped compresses an answer that is worth it.
type zipped struct {
	http.ResponseWriter
	to     *gzip.Writer // nil: as it is
	begun  bool
	failed error
}

var zippers = sync.Pool{New: func() any { return gzip.NewWriter(nil) }}

func (z *zipped) WriteHeader(status int) {
	h := z.Header()
	size, err := strconv.Atoi(h.Get("Content-Length"))
	if !z.begun && status == http.StatusOK && err == nil && size >= compressBytesMin && compressible(h.Get("Content-Type")) {
		h.Del("Content-Length")
		h.Del("Accept-Ranges")
		h.Set("Content-Encoding", "gzip")
		z.to = zippers.Get().(*gzip.Writer)
		z.to.Reset(z.ResponseWriter)
	}
	z.begun = true
	z.ResponseWriter.WriteHeader(status)
}

func (z *zipped) Write(p []byte) (n int, err error) {
	if !z.begun {
		z.WriteHeader(http.StatusOK)
	}
	if z.to == nil {
		return z.ResponseWriter.Write(p)
	}
	if n, err = z.to.Write(p); err != nil {
		z.failed = err
	}
	return n, err
}

func (z *zipped) close() {
	if z.to == nil {
		return
	}
	if z.failed == nil {
		_ = z.to.Close() // an error means that the client has left
	}
	z.to.Reset(nil)
	zippers.Put(z.to)
}

// compressible tells whether a type of content is text of some kind.
func compressible(contentType string) bool {
	base, _, _ := strings.Cut(contentType, ";")
	switch base = strings.TrimSpace(base); base {
	case "application/javascript", "application/json", "application/manifest+json", "application/wasm", "application/xml", "image/svg+xml":
		return true
	}
	return strings.HasPrefix(base, "text/")
}
