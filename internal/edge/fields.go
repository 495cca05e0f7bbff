// What the header fields mean for the framing of the message and for an upgrade.

package edge

import "math"

// kind is one of the field names that this package looks at.
type kind uint8

const (
	kindOther kind = iota
	kindHost
	kindContentLength
	kindTransferEncoding
	kindConnection
	kindUpgrade
	kindTrailer
	kindOrigin
	kindKey
	kindVersion
	kindProtocol
	kindExtensions

	kindCount
)

// kindOf finds the kind of a field name. The length leaves one or two names to compare.
func kindOf(name []byte) kind {
	var k kind
	var want string
	switch len(name) {
	case 4:
		k, want = kindHost, "host"
	case 6:
		k, want = kindOrigin, "origin"
	case 7:
		k, want = kindUpgrade, "upgrade"
		if lower(name[0]) == 't' {
			k, want = kindTrailer, "trailer"
		}
	case 10:
		k, want = kindConnection, "connection"
	case 14:
		k, want = kindContentLength, "content-length"
	case 17:
		k, want = kindTransferEncoding, "transfer-encoding"
		if lower(name[0]) == 's' {
			k, want = kindKey, "sec-websocket-key"
		}
	case 21:
		k, want = kindVersion, "sec-websocket-version"
	case 22:
		k, want = kindProtocol, "sec-websocket-protocol"
	case 24:
		k, want = kindExtensions, "sec-websocket-extensions"
	default:
		return kindOther
	}
	if !equalFold(name, want) {
		return kindOther
	}
	return k
}

// note evaluates a field that affects framing or routing while the head is parsed.
func (h *Head) note(k kind, value span) *Refusal {
	switch k {
	case kindHost:
		return h.noteHost(value)
	case kindContentLength:
		return h.noteLength(h.bytes(value))
	case kindTransferEncoding:
		h.noteCodings(h.bytes(value))
	case kindConnection:
		return h.noteConnection(h.bytes(value))
	case kindUpgrade:
		h.noteUpgrade(h.bytes(value))
	}
	return nil
}

// RFC 9112, 3.2: a server MUST respond with 400 to a request that lacks a Host field, has more than
// one, or has one with an invalid value.
func (h *Head) noteHost(value span) *Refusal {
	if h.kinds[kindHost] > 1 {
		return badTwoHosts
	}
	if !validHost(h.bytes(value)) {
		return badHost
	}
	if h.host.to == 0 { // else the target has named it
		h.host = value
	}
	return nil
}

// RFC 9112, 6.3, rule 5, allows a list of equal lengths. No client sends one, so it is refused.
func (h *Head) noteLength(value []byte) *Refusal {
	if h.kinds[kindContentLength] > 1 {
		return badTwoLengths
	}
	if len(value) == 0 || !is(value, inDigits) {
		return badLength
	}
	h.length = 0
	for _, b := range value {
		d := int64(b - '0')
		if h.length > (math.MaxInt64-d)/10 {
			return badLengthBig
		}
		h.length = h.length*10 + d
	}
	return nil
}

// noteCodings reads one Transfer-Encoding field; several fields are one list.
func (h *Head) noteCodings(value []byte) {
	var coding []byte
	for rest := value; rest != nil; {
		coding, rest = nextElement(rest)
		if len(coding) == 0 {
			continue
		}
		if h.flags&flagChunked != 0 {
			h.flags |= flagMisplaced // RFC 9112, 6.1: chunked is the last one, and is there once
		}
		if equalFold(coding, "chunked") {
			h.flags |= flagChunked
		} else {
			h.flags |= flagCoding
		}
	}
}

// noteConnection reads one Connection field: RFC 9110, 7.6.1.
func (h *Head) noteConnection(value []byte) *Refusal {
	var option []byte
	for rest := value; rest != nil; {
		option, rest = nextElement(rest)
		switch {
		case len(option) == 0:
		case equalFold(option, "close"):
			h.flags |= flagClose
		case equalFold(option, "keep-alive"):
			h.flags |= flagKeepAlive
		case equalFold(option, "upgrade"):
			h.flags |= flagUpgrade
		case !isToken(option):
			return badConnection
		}
	}
	return nil
}

// noteUpgrade reads one Upgrade field. An offer of h2c only is ignored: RFC 9113, 3.1 has removed
// it, curl and java.net.http add it to every first request, and they go on with HTTP/1.1 if the
// server does not answer it.
func (h *Head) noteUpgrade(value []byte) {
	var protocol []byte
	for rest := value; rest != nil; {
		protocol, rest = nextElement(rest)
		switch {
		case len(protocol) == 0 || equalFold(protocol, "h2c"):
		case equalFold(protocol, "websocket"):
			h.flags |= flagWebSocket | flagSwitch
		default:
			h.flags |= flagSwitch
		}
	}
}

// finish checks what can be known only at the end of the head.
func (h *Head) finish() *Refusal {
	if h.minor == 1 && h.kinds[kindHost] == 0 {
		return badNoHost
	}
	if h.kinds[kindTransferEncoding] > 0 {
		return h.finishCodings()
	}
	return nil
}

// finishCodings accepts the single coding chunked: RFC 9112, 6.1 and 6.3.
func (h *Head) finishCodings() *Refusal {
	switch {
	case h.kinds[kindContentLength] > 0:
		return badBothLengths // 6.3, rule 3: it ought to be handled as an error
	case h.minor == 0:
		return badOldCoding // 6.1: MUST treat the message as if the framing is faulty
	case h.flags&flagMisplaced != 0:
		return badCodingOrder
	case h.flags&flagCoding != 0:
		return badCoding // 6.1: a coding not understood: SHOULD respond with 501
	case !h.only(kindTransferEncoding) || !equalFold(h.first(kindTransferEncoding), "chunked"):
		// An empty list, or chunked among empty elements. The grammar allows both, but another
		// recipient of the same message may not recognize the chunks.
		return badCodingOrder
	}
	return h.finishTrailer()
}

// RFC 9110, 6.5.1: fields that frame the message do not belong into a trailer section.
func (h *Head) finishTrailer() *Refusal {
	for i := range int(h.count) {
		f := &h.fields[i]
		if f.kind != kindTrailer {
			continue
		}
		var name []byte
		for rest := h.bytes(f.value); rest != nil; {
			name, rest = nextElement(rest)
			switch kindOf(name) {
			case kindTransferEncoding, kindContentLength, kindTrailer:
				return badTrailerNames
			}
		}
	}
	return nil
}
