// Reading a request, strictly: its path, its query, its body.

package admin

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
)

// errPath is returned by segments for a path that is not one.
var errPath = errors.New("the path has a percent sign without two hex digits behind it, or does not begin with a slash")

// segments decodes an escaped path segment by segment, so that an encoded slash stays within its
// segment: /v1/topics/a%2Fb is about the topic "a/b". Dots are ordinary characters: nothing is
// cleaned, or the topic ".." could not be named.
func segments(escaped string) ([]string, error) {
	if escaped == "" || escaped[0] != '/' {
		return nil, errPath
	}
	parts := strings.Split(escaped[1:], "/")
	for i, part := range parts {
		decoded, err := url.PathUnescape(part)
		if err != nil {
			return nil, errPath
		}
		parts[i] = decoded
	}
	return parts, nil
}

// query reads the query of a request that may have the named parameters, each once, and no others.
func query(r *http.Request, names ...string) (map[string]string, *Problem) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, NewProblem(http.StatusBadRequest, "bad_query", "the query is not well-formed: "+err.Error())
	}
	known := make(map[string]string, len(names))
	for name, value := range values {
		if !slices.Contains(names, name) {
			return nil, NewProblem(http.StatusBadRequest, "unknown_parameter", "the query of this path has no parameter "+quoted(name))
		}
		if len(value) > 1 {
			return nil, NewProblem(http.StatusBadRequest, "repeated_parameter", "the parameter "+quoted(name)+" is given twice")
		}
		known[name] = value[0]
	}
	return known, nil
}

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
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, NewProblem(http.StatusRequestTimeout, "timeout", "the body did not arrive in time")
	}
	return nil, NewProblem(http.StatusBadRequest, "bad_body", "the body ended early")
}

func releaseBody(body *bytes.Buffer) {
	if body.Cap() <= BodyKeptBytesMax {
		bodies.Put(body)
	}
}

func tooLarge(limit int) *Problem {
	return NewProblem(http.StatusRequestEntityTooLarge, "too_large", fmt.Sprintf("the body is larger than %d bytes", limit))
}
