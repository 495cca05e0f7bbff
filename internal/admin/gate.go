// The API of a node that answers in another process: what is judged before that process hears of a
// request.

package admin

import (
	"bytes"
	"io"
	"net/http"
)

// NewGate is NewPublic for a process that passes the API's requests on to next. It judges the head
// of each request, then reads the body within its bound, and only then calls next, with a body that
// is there as a whole: what next has few of is neither taken by strangers nor held while a body is
// on its way. Of c it needs APIKey, MessageBytesMax and Logger.
func NewGate(c Config, next http.Handler) http.Handler {
	a := newAPI(c, false)
	for i := range a.routes {
		r := &a.routes[i]
		limit := bodyIgnoredBytesMax
		switch pattern := r.pattern; {
		case pattern[1] == "publish":
			limit = a.publishBytesMax
		case pattern[1] == "revocations":
			limit = RevokeBytesMax
		case pattern[1] == "topics" && len(pattern) == 3:
			limit = a.messageBytesMax
		}
		for _, method := range []*answer{&r.get, &r.post, &r.delete} {
			if *method != nil {
				*method = passOn(next, limit)
			}
		}
	}
	return a
}

// passOn passes a request on when its body has come.
func passOn(next http.Handler, limit int) answer {
	return func(w http.ResponseWriter, r *http.Request, _ string) {
		body, problem := readBody(w, r, limit)
		if problem != nil {
			refuse(w, r, problem)
			return
		}
		defer releaseBody(body)
		whole := r.Clone(r.Context())
		whole.Header.Del("Expect") // it has been answered here
		whole.TransferEncoding, whole.ContentLength = nil, int64(body.Len())
		whole.Body = http.NoBody
		if body.Len() > 0 {
			whole.Body = io.NopCloser(bytes.NewReader(body.Bytes()))
		}
		next.ServeHTTP(w, whole)
	}
}
