// The answer to a request that failed, after RFC 9457.

package admin

import (
	"encoding/json"
	"net/http"
	"strconv"
	"unicode/utf8"
)

// Problem is a problem document (RFC 9457). Its type is always about:blank, with which the title is
// the status's phrase (section 4.2.1); what went wrong is in Code, for programs, and in Detail, for
// people.
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Code   string `json:"code"` // stable, snake_case; an extension member (section 3.2)
}

// NewProblem makes a problem of an HTTP status, a stable code and a sentence.
func NewProblem(status int, code, detail string) *Problem {
	return &Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail, Code: code}
}

// Write answers the request with the problem. Headers that are set already go out with it.
func (p *Problem) Write(w http.ResponseWriter) {
	writeBody(w, "application/problem+json", p.Status, mustJSON(p))
}

// writeJSON answers with a document of our own.
func writeJSON(w http.ResponseWriter, status int, document any) {
	writeBody(w, "application/json", status, mustJSON(document))
}

func writeBody(w http.ResponseWriter, contentType string, status int, body []byte) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	w.Write(body) // the peer may be gone: nobody is left to tell
}

// mustJSON encodes one of this package's own types, which cannot fail, and ends it with a newline
// for those who read with curl.
func mustJSON(document any) []byte {
	body, err := json.Marshal(document)
	if err != nil {
		panic("admin: " + err.Error())
	}
	return append(body, '\n')
}

// quoted is a caller's own text as an error may quote it: short, on one line.
func quoted(s string) string {
	if len(s) > QuotedBytesMax {
		cut := QuotedBytesMax
		for cut > 0 && !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = s[:cut] + "…"
	}
	return strconv.Quote(s)
}
