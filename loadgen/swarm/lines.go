// The lines of an event stream (HTML, 9.2), in whatever pieces they come.

package swarm

import (
	"bytes"
	"errors"
)

var errLine = errors.New("line too long")

// lines cuts a stream at LF, CR and CRLF. It holds what has come of an unfinished line, and nothing
// else.
type lines struct {
	held    []byte
	afterCR bool // a line feed that comes now belongs to the line before
	begun   bool // the first line has come: no byte order mark any more
}

// next returns the first line in p and what lies behind it; ok is false where p ends in the middle
// of one. The line lives until the next call.
func (n *lines) next(p []byte) (line, rest []byte, ok bool, err error) {
	if n.afterCR && len(p) > 0 {
		n.afterCR = false
		if p[0] == '\n' {
			p = p[1:]
		}
	}
	end := bytes.IndexByte(p, '\n')
	// Looked for one by one: bytes.IndexAny looks at each byte for itself.
	if cr := bytes.IndexByte(p[:max(end, 0)], '\r'); cr >= 0 {
		end = cr
	} else if end < 0 {
		end = bytes.IndexByte(p, '\r')
	}
	if end < 0 {
		if len(n.held)+len(p) > lineBytesMax {
			return nil, nil, false, errLine
		}
		if len(p) > 0 {
			n.held = append(n.held, p...)
		}
		return nil, nil, false, nil
	}
	line, rest = p[:end], p[end+1:]
	n.afterCR = p[end] == '\r'
	if n.held != nil {
		line, n.held = append(n.held, line...), nil
	}
	if len(line) > lineBytesMax {
		return nil, nil, false, errLine
	}
	if !n.begun {
		n.begun = true
		line = bytes.TrimPrefix(line, []byte("\ufeff"))
	}
	return line, rest, true, nil
}

// field cuts a line into a field's name and its value; a comment has no name.
func field(line []byte) (name, value []byte) {
	name, value, _ = bytes.Cut(line, []byte(":"))
	return name, bytes.TrimPrefix(value, []byte(" "))
}
