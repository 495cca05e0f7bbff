// The request line: RFC 9112, section 3.

package edge

import (
	"bytes"
	"net/netip"
)

// requestLine parses h.p[:end].
//
//	request-line = method SP request-target SP HTTP-version
//
// RFC 9112, 3 lets a lenient server split at other white space. This one takes exactly one SP, so
// that every recipient of the line sees the same three parts.
func (h *Head) requestLine(end int) *Refusal {
	line := h.p[:end]
	first := bytes.IndexByte(line, ' ')
	last := bytes.LastIndexByte(line, ' ')
	switch {
	case first < 0 || first == last || last == first+1:
		return badRequestLine
	case !isToken(line[:first]):
		return badMethod
	}
	h.method = span{0, uint16(first)}
	h.target = span{uint16(first + 1), uint16(last)}
	if refusal := h.version(line[last+1:]); refusal != nil {
		return refusal
	}
	return h.requestTarget()
}

// version accepts HTTP/1.1 and HTTP/1.0. RFC 9112, 2.3: it is case-sensitive.
func (h *Head) version(p []byte) *Refusal {
	switch {
	case string(p) == "HTTP/1.1":
		h.minor = 1
		return nil
	case string(p) == "HTTP/1.0":
		return nil
	case len(p) == len("HTTP/1.1") && string(p[:5]) == "HTTP/" && p[6] == '.' && is(p[5:6], inDigits) && is(p[7:], inDigits):
		return badVersion // the preface of HTTP/2, RFC 9113, 3.4, ends here too
	}
	return badRequestLine
}

// requestTarget parses the four forms of RFC 9112, 3.2.
func (h *Head) requestTarget() *Refusal {
	target := h.Target()
	switch {
	case string(h.Method()) == "CONNECT":
		return noConnect // 3.2.3: the authority form is for proxies
	case target[0] == '/':
		return h.pathAndQuery(h.target.from)
	case string(target) == "*":
		if string(h.Method()) != "OPTIONS" {
			return badAsterisk // 3.2.4
		}
		h.path = h.target
		return nil
	}
	skip := schemeLength(target)
	if skip == 0 {
		return badTargetForm
	}
	return h.absoluteForm(h.target.from + uint16(skip))
}

// schemeLength is the length of "http://" or "https://" in front of target, or 0.
func schemeLength(target []byte) int {
	for _, scheme := range [...]string{"http://", "https://"} {
		if len(target) >= len(scheme) && equalFold(target[:len(scheme)], scheme) {
			return len(scheme)
		}
	}
	return 0
}

// absoluteForm parses the target behind its scheme. RFC 9112, 3.2.2: an origin server MUST ignore
// the Host field and use the host of the target instead.
func (h *Head) absoluteForm(from uint16) *Refusal {
	end := from
	for end < h.target.to && h.p[end] != '/' && h.p[end] != '?' {
		end++
	}
	h.host = span{from, end}
	if !validHost(h.Host()) {
		return badAuthority
	}
	if end == h.target.to || h.p[end] == '?' {
		h.flags |= flagRootPath // RFC 9110, 4.2.3: an empty path is the path "/"
	}
	return h.pathAndQuery(end)
}

// pathAndQuery parses the target from the position on.
func (h *Head) pathAndQuery(from uint16) *Refusal {
	at := from
	for ; at < h.target.to && h.p[at] != '?'; at++ {
		switch b := h.p[at]; {
		case classes[b]&inPath == 0:
			return badTarget
		case b == '%' && (h.target.to-at < 3 || unhex(h.p[at+1]) < 0 || unhex(h.p[at+2]) < 0):
			return badEscape
		}
	}
	h.path = span{from, at}
	if at == h.target.to {
		return nil
	}
	// Escapes in the query are checked where it is decoded: browsers send a single percent sign
	// there.
	h.query = span{at + 1, h.target.to}
	if !is(h.Query(), inQuery) {
		return badTarget
	}
	return nil
}

// validHost tells whether p is a host with an optional port: RFC 9110, 7.2. A host name is not
// empty and has no percent-encoding: no resolver knows such a name, and two parsers may read it
// differently.
func validHost(p []byte) bool {
	if len(p) == 0 || len(p) > hostBytesMax {
		return false
	}
	name, port := splitPort(p)
	if port != nil && !validPort(port[1:]) {
		return false
	}
	if name[0] == '[' {
		return len(name) > 2 && name[len(name)-1] == ']' && isIPv6(name[1:len(name)-1])
	}
	return is(name, inHost)
}

// splitPort cuts p at the colon of its port; port begins with the colon, and is nil without one. A
// p that begins with the colon is not a host and is returned whole as name.
func splitPort(p []byte) (name, port []byte) {
	for i := len(p) - 1; i > 0; i-- {
		switch {
		case p[i] == ':':
			return p[:i], p[i:]
		case classes[p[i]]&inDigits == 0:
			return p, nil
		}
	}
	return p, nil
}

// validPort tells whether p is a port number. The grammar allows an empty one.
func validPort(p []byte) bool {
	if len(p) > 5 || !is(p, inDigits) {
		return false
	}
	n := 0
	for _, b := range p {
		n = n*10 + int(b-'0')
	}
	return n <= 65535
}

func isIPv6(p []byte) bool {
	addr, err := netip.ParseAddr(string(p))
	return err == nil && addr.Is6() && addr.Zone() == ""
}
