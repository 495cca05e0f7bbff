// The scripts of the client, as the npm package has them; see bundle/LICENSE.

package socketio

import (
	"compress/gzip"
	"embed"
	"io"
	"net/http"
	"strings"
	"time"
)

//go:embed bundle/*.gz
var bundle embed.FS

// ClientVersion is the version of npm socket.io-client whose scripts ServeClient serves.
const ClientVersion = "4.8.4"

// scripts are the names of the files. Source maps are not served.
var scripts = map[string]bool{
	"socket.io.js": true, "socket.io.min.js": true, "socket.io.esm.min.js": true, "socket.io.msgpack.min.js": true,
}

// ServeClient answers a request for one of the scripts of the client. If there is none of that name
// it does nothing and returns false.
func ServeClient(w http.ResponseWriter, r *http.Request, name string) bool {
	if !scripts[name] {
		return false
	}
	file, err := bundle.Open("bundle/" + name + ".gz")
	if err != nil {
		return false
	}
	defer file.Close()
	h := w.Header()
	h.Set("Cache-Control", "public, max-age=0")
	h.Set("Content-Type", "application/javascript; charset=utf-8")
	h.Set("Etag", `"`+ClientVersion+`"`)
	h.Add("Vary", "Accept-Encoding")
	if match := r.Header.Get("If-None-Match"); strings.TrimPrefix(match, "W/") == `"`+ClientVersion+`"` {
		w.WriteHeader(http.StatusNotModified)
		return true
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "use GET or HEAD", http.StatusMethodNotAllowed)
		return true
	}
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		http.ServeContent(w, r, "", time.Time{}, file.(io.ReadSeeker))
		return true
	}
	plain, err := gzip.NewReader(file)
	if err != nil {
		http.Error(w, "the script cannot be read", http.StatusInternalServerError)
		return true
	}
	if r.Method == http.MethodGet {
		_, _ = io.Copy(w, plain) // an error means that the client has closed the connection
	}
	return true
}
