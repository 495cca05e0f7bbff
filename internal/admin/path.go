// From a request's path to its segments.

package admin

import (
	"errors"
	"net/url"
	"strings"
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
