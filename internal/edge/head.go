// Head: a request head, parsed strictly by RFC 9112 and without copying a byte.

package edge

import (
	"bytes"
	"net/netip"
)

// Head is one request head. It holds positions in the bytes that ParseHead was given, and is valid
// as long as they are. It occupies about a kilobyte and is meant to be reused. Its zero value is an
// empty head.
type Head struct {
	p []byte // the head, without the empty line that may stand before it

	method, target, path, query, host span

	mount   *Mount     // set behind the parser, by a HeadHandler
	secure  bool       // likewise: the connection has a layer
	subject string     // likewise: see ClientSubject
	client  netip.Addr // likewise: as a PROXY header has named it, or as AdmitClient has found it

	length  int64 // Content-Length, or -1
	minor   uint8 // of HTTP/1.x
	flags   headFlags
	count   uint8 // fields in use
	kinds   [kindCount]uint8
	indexes [kindCount]uint8 // of the first field of each kind
	fields  [FieldsMax]field
}

// span is a part of Head.p.
type span struct{ from, to uint16 }

// field is one header field.
type field struct {
	name, value span
	kind        kind
}

// headFlags is what the fields mean for framing and routing.
type headFlags uint16

const (
	flagClose     headFlags = 1 << iota // Connection: close
	flagKeepAlive                       // Connection: keep-alive
	flagUpgrade                         // Connection: upgrade
	flagWebSocket                       // Upgrade offers websocket
	flagSwitch                          // Upgrade offers something that is not h2c
	flagChunked                         // the last transfer coding so far is chunked
	flagMisplaced                       // chunked was not the last transfer coding
	flagCoding                          // a transfer coding other than chunked
	flagRootPath                        // an absolute-form target without a path
)

var rootPath = []byte("/")

// ParseHead parses the request head that p begins with into h. n is the length of the head, with an
// empty line in front of it and the one behind it, and 0 while the head is incomplete; the refusal
// comes as soon as no continuation of p is acceptable. h keeps p; nothing is allocated; each call
// starts from the beginning. Any goroutine.
func ParseHead(h *Head, p []byte, lim Limits) (n int, refusal *Refusal) {
	skip, complete := emptyLine(p)
	if !complete {
		return 0, nil
	}
	n, refusal = h.parse(p[skip:], lim)
	if n > 0 {
		n += skip
	}
	return n, refusal
}

// emptyLine is the length of the empty line that p begins with; complete is false if more bytes are
// needed to tell.
//
// RFC 9112, 2.2: a server SHOULD ignore at least one empty line (CRLF) received prior to the
// request-line.
func emptyLine(p []byte) (skip int, complete bool) {
	switch {
	case len(p) == 0 || len(p) == 1 && p[0] == '\r':
		return 0, false
	case p[0] == '\r' && p[1] == '\n':
		return 2, true
	}
	return 0, true
}

// worthParsing tells whether parsing p can have another result than parsing p[:from], which was
// incomplete. Only the end of a line, a control character or the limit changes the result. It keeps
// the cost of a head that arrives byte by byte linear.
func worthParsing(p []byte, from int, lim Limits) bool {
	if len(p) >= lim.effective().HeadBytes || from > 0 && p[from-1] == '\r' {
		return true
	}
	return !is(p[from:], inText)
}

// parse is ParseHead without the empty line.
func (h *Head) parse(p []byte, lim Limits) (n int, refusal *Refusal) {
	lim = lim.effective()
	h.reset(p[:min(len(p), lim.HeadBytes)])
	end, refusal := lineEnd(h.p, 0)
	switch {
	case refusal != nil:
		return 0, refusal
	case end < 0 && len(h.p) == lim.HeadBytes:
		return 0, tooLongTarget
	case end < 0:
		return 0, nil
	}
	if refusal = h.requestLine(end); refusal != nil {
		return 0, refusal
	}
	for at := end + 2; ; at = end + 2 {
		end, refusal = lineEnd(h.p, at)
		switch {
		case refusal != nil:
			return 0, refusal
		case end < 0 && len(h.p) == lim.HeadBytes:
			return 0, tooLargeHead
		case end < 0:
			return 0, nil
		case end == at:
			h.p = h.p[:end+2]
			if refusal = h.finish(); refusal != nil {
				return 0, refusal
			}
			return end + 2, nil
		case int(h.count) == lim.Fields:
			return 0, tooManyFields
		}
		if refusal = h.field(at, end); refusal != nil {
			return 0, refusal
		}
	}
}

// reset empties h. The array keeps its old content, because it is never read beyond count.
func (h *Head) reset(p []byte) {
	h.p, h.mount, h.secure, h.subject, h.client = p, nil, false, "", netip.Addr{}
	h.method, h.target, h.path, h.query, h.host = span{}, span{}, span{}, span{}, span{}
	h.length, h.minor, h.flags, h.count = -1, 0, 0, 0
	h.kinds = [kindCount]uint8{}
}

// lineEnd is the position of the CRLF that ends the line at the position at, or -1 if p ends before
// it.
//
// RFC 9112, 2.2: a recipient MAY recognize a bare LF as a line terminator. This one does not,
// because a proxy in front of it may not either. A bare CR MUST be treated as invalid.
func lineEnd(p []byte, at int) (int, *Refusal) {
	for i := at; i < len(p); i++ {
		b := p[i]
		switch {
		case classes[b]&inText != 0:
		case b == '\n':
			return 0, badLineEnd
		case b != '\r':
			// RFC 9110, 5.5: CR, LF and NUL MUST be rejected; the other control characters are not
			// in the grammar.
			return 0, badControl
		case i+1 == len(p):
			return -1, nil
		case p[i+1] != '\n':
			return 0, badCR
		default:
			return i, nil
		}
	}
	return -1, nil
}

// field parses the header field between two positions.
func (h *Head) field(from, to int) *Refusal {
	line := h.p[from:to]
	colon := 0
	for colon < len(line) && classes[line[colon]]&inToken != 0 {
		colon++
	}
	if colon == 0 || colon == len(line) || line[colon] != ':' {
		return badFieldName(line, colon)
	}
	start, stop := colon+1, len(line)
	for start < stop && isSpace(line[start]) {
		start++
	}
	for start < stop && isSpace(line[stop-1]) {
		stop--
	}
	k := kindOf(line[:colon])
	h.fields[h.count] = field{
		name:  span{uint16(from), uint16(from + colon)},
		value: span{uint16(from + start), uint16(from + stop)},
		kind:  k,
	}
	h.count++
	if k == kindOther {
		return nil
	}
	if h.kinds[k] == 0 {
		h.indexes[k] = h.count - 1
	}
	h.kinds[k]++
	return h.note(k, h.fields[h.count-1].value)
}

// badFieldName tells what is wrong with a field line whose name ends at the position at.
func badFieldName(line []byte, at int) *Refusal {
	switch {
	case isSpace(line[0]):
		// RFC 9112, 5.2: a server that receives an obs-fold in a request MUST reject it or replace
		// it. Section 2.2: white space between the start-line and the first field is to be rejected
		// as well.
		return badFold
	case line[0] == ':':
		return badEmptyName
	case at == len(line) || bytes.IndexByte(line, ':') < 0:
		return badNoColon
	case isSpace(line[at]):
		// RFC 9112, 5.1: a server MUST reject white space between a field name and the colon with
		// 400.
		return badNameSpace
	}
	return badName
}

// Clone returns a Head that may be kept: it has a copy of the bytes. Any goroutine.
func (h *Head) Clone() *Head {
	c := *h
	c.p = bytes.Clone(h.p)
	return &c
}

func (h *Head) bytes(s span) []byte { return h.p[s.from:s.to:s.to] }

// Method is the request method, as it was sent.
func (h *Head) Method() []byte { return h.bytes(h.method) }

// Target is the whole request target.
func (h *Head) Target() []byte { return h.bytes(h.target) }

// Path is the target's path, still percent-encoded; "*" for the asterisk form. The caller must not
// change it.
func (h *Head) Path() []byte {
	if h.flags&flagRootPath != 0 {
		return rootPath
	}
	return h.bytes(h.path)
}

// Query is what follows the question mark of the target, still percent-encoded.
func (h *Head) Query() []byte { return h.bytes(h.query) }

// Host is the host, with the port if there is one: of an absolute-form target, else of the Host
// field. It is empty only in an HTTP/1.0 request.
func (h *Head) Host() []byte { return h.bytes(h.host) }

// Minor is the minor version: 1 for HTTP/1.1, 0 for HTTP/1.0.
func (h *Head) Minor() int { return int(h.minor) }

// ContentLength is the declared length of the body in bytes, -1 if none was declared.
func (h *Head) ContentLength() int64 { return h.length }

// Chunked tells whether the body comes in chunks.
func (h *Head) Chunked() bool { return h.flags&flagChunked != 0 }

// HasBody tells whether any byte of a body follows.
func (h *Head) HasBody() bool { return h.Chunked() || h.length > 0 }

// Bytes is the whole head as it was sent, without an empty line in front of it.
func (h *Head) Bytes() []byte { return h.p }

// KeepAlive tells whether another request may follow on the connection. It is false for every
// HTTP/1.0 client, also for one that asks for it; RFC 9112, 9.3 allows that.
func (h *Head) KeepAlive() bool { return h.minor == 1 && h.flags&flagClose == 0 }

// Fields is the number of header fields.
func (h *Head) Fields() int { return int(h.count) }

// Field is the header field with that index, in the order sent.
func (h *Head) Field(i int) (name, value []byte) {
	f := &h.fields[:h.count][i]
	return h.bytes(f.name), h.bytes(f.value)
}

// Get is the value of the first field of that name, which is given in lower case; ok is false if
// there is none.
func (h *Head) Get(name string) (value []byte, ok bool) {
	for i := range int(h.count) {
		if f := &h.fields[i]; equalFold(h.bytes(f.name), name) {
			return h.bytes(f.value), true
		}
	}
	return nil, false
}

// UpgradeRequested tells whether the client asks for another protocol on this connection. RFC 9110,
// 7.8: a server MUST ignore an Upgrade header field in an HTTP/1.0 request.
func (h *Head) UpgradeRequested() bool {
	return h.minor == 1 && h.flags&flagUpgrade != 0 && h.flags&flagSwitch != 0
}

// WebSocketRequested tells whether the client asks for WebSocket on this connection.
func (h *Head) WebSocketRequested() bool {
	return h.UpgradeRequested() && h.flags&flagWebSocket != 0
}

// isHead tells whether the request is a HEAD request, whose answer must not have a body.
func (h *Head) isHead() bool { return string(h.Method()) == "HEAD" }
