// The head of the answer to the request, as RFC 9112 has it, strictly.

package swarm

import (
	"bytes"
	"errors"
	"iter"
	"strconv"
	"time"
)

// response is what a client wants to know of the answer. Its slices are of the text that was
// parsed.
type response struct {
	status      int
	upgrade     []byte
	connection  []byte
	accept      []byte
	protocol    []byte
	extensions  []byte
	contentType []byte
	chunked     bool
	length      int64 // of the body; negative where it is not said
	retryAfter  time.Duration
}

var errHead = errors.New("not the head of an HTTP response")

// parseResponse reads the answer that p begins with; size is 0 while bytes are missing. It judges
// what there is of it, so that an answer that is not HTTP fails at once.
func parseResponse(p []byte) (r response, size int, err error) {
	r, _, size, err = parseAnswer(p)
	return r, size, err
}

// parseAnswer is parseResponse, and says where the final response begins. RFC 9110, 15.2: a client
// MUST be able to parse 1xx responses before the final one, even if it expects none. 101 is final.
func parseAnswer(p []byte) (r response, from, size int, err error) {
	for {
		r, n, err := parseHead(p[from:])
		if err != nil || n == 0 {
			return r, from, 0, err
		}
		if r.status >= 200 || r.status == 101 {
			return r, from, from + n, nil
		}
		if from += n; from >= headBytesMax {
			return r, from, 0, errHead
		}
	}
}

// parseHead reads one head; size is 0 while bytes are missing.
func parseHead(p []byte) (r response, size int, err error) {
	r.length = -1
	if !speaksHTTP(p) {
		return r, 0, errHead
	}
	end := bytes.Index(p[:min(len(p), headBytesMax)], []byte("\r\n\r\n"))
	if end < 0 {
		if len(p) >= headBytesMax {
			return r, 0, errHead
		}
		return r, 0, nil
	}
	size = end + 4
	line, rest, _ := bytes.Cut(p[:end+2], []byte("\r\n"))
	rest = unfold(rest)
	if r.status, err = parseStatus(line); err != nil {
		return r, 0, err
	}
	for len(rest) > 0 {
		line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		if err := r.field(line); err != nil {
			return r, 0, err
		}
	}
	return r, size, nil
}

// unfold joins lines that are continued. RFC 9112, 5.2: a user agent that receives an obs-fold MUST
// replace it with spaces before it interprets the value.
func unfold(lines []byte) []byte {
	for _, fold := range []string{"\r\n ", "\r\n\t"} {
		if bytes.Contains(lines, []byte(fold)) {
			lines = bytes.ReplaceAll(lines, []byte(fold), []byte("   "))
		}
	}
	return lines
}

// speaksHTTP tells whether p begins as the answer of an HTTP/1 server does, as far as it goes.
func speaksHTTP(p []byte) bool {
	const version = "HTTP/1.1 "
	for i, c := range p[:min(len(p), len(version))] {
		if c != version[i] && !(i == 7 && c == '0') {
			return false
		}
	}
	return true
}

// parseStatus reads the code of a status line, and passes over its phrase.
func parseStatus(line []byte) (int, error) {
	p := line[min(len(line), len("HTTP/1.1 ")):]
	if len(p) < 3 || len(p) > 3 && p[3] != ' ' {
		return 0, errHead
	}
	code, err := strconv.ParseUint(string(p[:3]), 10, 16)
	if err != nil || code < 100 || bytes.IndexByte(p, '\n') >= 0 {
		return 0, errHead
	}
	return int(code), nil
}

// field takes one header line.
func (r *response) field(line []byte) error {
	name, value, ok := bytes.Cut(line, []byte(":"))
	// RFC 9112, 5.1: no white space is allowed between the name and the colon.
	if !ok || len(name) == 0 || bytes.ContainsAny(name, " \t\r\n") || bytes.ContainsAny(value, "\r\n\x00") {
		return errHead
	}
	value = bytes.Trim(value, " \t")
	switch string(lower(name)) {
	case "upgrade":
		combine(&r.upgrade, value)
	case "connection":
		combine(&r.connection, value)
	case "sec-websocket-accept":
		return once(&r.accept, value)
	case "sec-websocket-protocol":
		return once(&r.protocol, value)
	case "sec-websocket-extensions":
		combine(&r.extensions, value)
	case "content-type":
		return once(&r.contentType, value)
	case "transfer-encoding":
		// RFC 9112, 6.1: a client that did not offer other codings need not know any.
		for coding := range elements(value) {
			if r.chunked || !bytes.EqualFold(coding, []byte("chunked")) {
				return errHead
			}
			r.chunked = true
		}
	case "content-length":
		// RFC 9110, 8.6: a list of equal values MAY be taken for one of them.
		for digits := range elements(value) {
			n, err := strconv.ParseUint(string(digits), 10, 62)
			if err != nil || r.length >= 0 && r.length != int64(n) {
				return errHead
			}
			r.length = int64(n)
		}
		if r.length < 0 {
			return errHead
		}
	case "retry-after": // in seconds; a date is for patient people
		if n, err := strconv.ParseUint(string(value), 10, 16); err == nil {
			r.retryAfter = min(time.Duration(n)*time.Second, retryAfterMax)
		}
	}
	return nil
}

// combine adds a line to a field that is a list. RFC 9110, 5.3: lines of one name are the same as
// one line with their values in order, separated by commas.
func combine(to *[]byte, value []byte) {
	if *to != nil {
		value = bytes.Join([][]byte{*to, value}, []byte(", "))
	}
	*to = value
}

// elements are those of a list that are not empty (RFC 9110, 5.6.1).
func elements(list []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for one := range bytes.SplitSeq(list, []byte(",")) {
			if one = bytes.Trim(one, " \t"); len(one) > 0 && !yield(one) {
				return
			}
		}
	}
}

// once keeps the value of a field that may stand in a head once only.
func once(to *[]byte, value []byte) error {
	if *to != nil {
		return errHead
	}
	*to = value
	return nil
}

// lower is a field's name in lower case; a long one is none that we know.
func lower(name []byte) []byte {
	var b [32]byte
	if len(name) > len(b) {
		return nil
	}
	return append(b[:0], bytes.ToLower(name)...)
}

// switches tells whether the answer is the right 101 (RFC 6455, 4.1).
func (r *response) switches() bool {
	return r.status == 101 && onlyWebSocket(r.upgrade) && hasToken(r.connection, "upgrade")
}

// onlyWebSocket tells whether the list of Upgrade has websocket and nothing else.
func onlyWebSocket(list []byte) bool {
	found := false
	for protocol := range elements(list) {
		if found = bytes.EqualFold(protocol, []byte("websocket")); !found {
			return false
		}
	}
	return found
}

// deflates tells whether the answer takes permessage-deflate in a form that needs no memory of
// earlier messages (RFC 7692, 7.1.1.1).
func (r *response) deflates() bool {
	name, parameters, _ := bytes.Cut(r.extensions, []byte(";"))
	return bytes.EqualFold(bytes.TrimSpace(name), []byte("permessage-deflate")) && lists(parameters, ";", "server_no_context_takeover")
}

// hasToken tells whether a comma-separated list has a token.
func hasToken(list []byte, token string) bool { return lists(list, ",", token) }

func lists(list []byte, separator, token string) bool {
	for len(list) > 0 {
		var one []byte
		one, list, _ = bytes.Cut(list, []byte(separator))
		if bytes.EqualFold(bytes.Trim(one, " \t"), []byte(token)) {
			return true
		}
	}
	return false
}

// streams tells whether the answer is an event stream.
func (r *response) streams() bool {
	kind, _, _ := bytes.Cut(r.contentType, []byte(";"))
	return r.status == 200 && bytes.EqualFold(bytes.TrimSpace(kind), []byte("text/event-stream"))
}
