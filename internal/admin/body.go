// Reading a request's body within its bound.

package admin

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"sync"
)

// bodies keeps read buffers between requests: a payload goes to the hub as a copy of its exact
// size, so that what it holds is what it counts.
var bodies = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// readBody reads at most limit bytes of the body into a buffer that the caller gives back with
// releaseBody. The buffer grows as bytes arrive, not by the length that the peer declared.
func readBody(w http.ResponseWriter, r *http.Request, limit int) (*bytes.Buffer, *Problem) {
	if r.Header.Get("Content-Encoding") != "" {
		return nil, NewProblem(http.StatusUnsupportedMediaType, "content_encoding", "Content-Encoding is not supported: send the body as it is")
	}
	if r.ContentLength > int64(limit) {
		return nil, tooLarge(limit)
	}
	body := bodies.Get().(*bytes.Buffer)
	body.Reset()
	_, err := body.ReadFrom(http.MaxBytesReader(w, r.Body, int64(limit)))
	if err == nil {
		return body, nil
	}
	releaseBody(body)
	if over := (*http.MaxBytesError)(nil); errors.As(err, &over) {
		return nil, tooLarge(limit)
	}
	return nil, NewProblem(http.StatusBadRequest, "bad_body", "the body ended early or came too slowly")
}

func releaseBody(body *bytes.Buffer) {
	if body.Cap() <= BodyKeptBytesMax {
		bodies.Put(body)
	}
}

func tooLarge(limit int) *Problem {
	return NewProblem(http.StatusRequestEntityTooLarge, "too_large", fmt.Sprintf("the body is larger than %d bytes", limit))
}
