// Package web is what a node serves that is neither a stream nor an API: the page at / with --dev,
// the files of --static, and the client for pages.
//
// The page is two tabs that chat with each other over a topic. It is one file and the client for
// pages, works without any other host, and allows itself nothing but its own style and script.
package web

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the page
	"encoding/base64"
	"encoding/hex"
	"html"
	"net/http"
	"strings"
	"time"
)

//go:embed page.html
var page string

// publishURLMark is where the page wants Config.PublishURL.
const publishURLMark = "{{PUBLISH_URL}}"

// Config is what the page has to know of its node.
type Config struct {
	// PublishURL is the admin port's URL, such as "http://127.0.0.1:9100". The page shows a curl
	// command with it. Empty: it shows none.
	PublishURL string
}

// New is a handler of GET and HEAD / that answers everything else with 404 or 405. Its page uses
// /ws, /sse and /echo of the host that it came from.
func New(c Config) http.Handler {
	body := []byte(strings.ReplaceAll(page, publishURLMark, html.EscapeString(c.PublishURL)))
	sum := sha256.Sum256(body)
	return &handler{body: body, etag: `"` + hex.EncodeToString(sum[:12]) + `"`, policy: policy(page)}
}

// handler serves one page; immutable.
type handler struct {
	body         []byte
	etag, policy string
}

// ServeHTTP answers with the page.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/" {
		http.NotFound(w, r)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "this page answers GET and HEAD", http.StatusMethodNotAllowed)
		return
	}
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Security-Policy", h.policy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cache-Control", "no-cache") // a new build's page shows up at once; the ETag spares the bytes
	header.Set("Etag", h.etag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(h.body))
}

// policy allows the page's one style and its one script by their hashes, the client from its own
// host, and connections to that. Whatever a message may bring along, none of it runs. The text that
// Config changes is outside of both elements.
func policy(page string) string {
	return strings.Join([]string{
		"default-src 'none'",
		"script-src 'self' " + hashOf(page, "script"),
		"style-src " + hashOf(page, "style"),
		"connect-src 'self'",
		"img-src data:",
		"base-uri 'none'",
		"form-action 'none'",
		"frame-ancestors 'none'",
		"require-trusted-types-for 'script'",
	}, "; ")
}

// hashOf is the CSP source of the content of the page's first element of a name.
func hashOf(page, element string) string {
	_, rest, _ := strings.Cut(page, "<"+element+">")
	content, _, _ := strings.Cut(rest, "</"+element+">")
	sum := sha256.Sum256([]byte(content))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}
