// The server's side of the WebSocket handshake: RFC 6455, 4.2.

package edge

import (
	"crypto/sha1"
	"encoding/base64"
)

// acceptGUID is the constant of the WebSocket handshake: RFC 6455, 1.3.
const acceptGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// keyLength is the length of the base64 form of the 16 bytes of a key.
const keyLength = 24

// CheckUpgrade checks that h is a WebSocket handshake by RFC 6455, 4.2.1; the refusal is nil if it
// is. An ordinary request is refused with 426. It does not look at the Origin and the subprotocols.
// Any goroutine.
func CheckUpgrade(h *Head) *Refusal {
	switch {
	case string(h.Method()) != "GET":
		return wrongMethod // 4.2.1, item 1
	case h.minor == 0 && h.flags&flagWebSocket != 0:
		return wrongOldHTTP
	case !h.WebSocketRequested():
		return RefuseNotUpgrade // items 3 and 4
	case !h.only(kindVersion) || string(h.first(kindVersion)) != "13":
		return wrongVersion // item 6, and section 4.4
	case h.kinds[kindKey] == 0:
		return wrongNoKey
	case h.kinds[kindKey] > 1:
		return wrongTwoKeys // section 11.3.1: MUST NOT appear more than once
	case !validKey(h.first(kindKey)):
		return wrongKey // item 5
	case h.HasBody():
		return wrongBody // what follows the head is the first frame
	}
	return nil
}

// only tells whether there is exactly one field of the kind.
func (h *Head) only(k kind) bool { return h.kinds[k] == 1 }

// first is the value of the first field of the kind; there must be one.
func (h *Head) first(k kind) []byte { return h.bytes(h.fields[h.indexes[k]].value) }

// validKey tells whether key is the base64 form of 16 bytes: 22 characters and two of padding. The
// four unused bits of the last character are not checked, because the key is never decoded.
func validKey(key []byte) bool {
	return len(key) == keyLength && is(key[:keyLength-2], inBase64) && string(key[keyLength-2:]) == "=="
}

// Key is the value of Sec-WebSocket-Key; empty if there is none.
func (h *Head) Key() []byte {
	if h.kinds[kindKey] == 0 {
		return nil
	}
	return h.first(kindKey)
}

// Origin is the value of the Origin field; n says how many such fields there are.
func (h *Head) Origin() (value []byte, n int) {
	n = int(h.kinds[kindOrigin])
	if n == 0 {
		return nil, 0
	}
	return h.first(kindOrigin), n
}

// Extensions is the value of Sec-WebSocket-Extensions; several fields are joined, which allocates.
// RFC 6455, 11.3.2: several fields mean the same as one with all values.
func (h *Head) Extensions() []byte {
	switch h.kinds[kindExtensions] {
	case 0:
		return nil
	case 1:
		return h.first(kindExtensions)
	}
	var joined []byte
	for i := range int(h.count) {
		f := &h.fields[i]
		if f.kind != kindExtensions {
			continue
		}
		if joined != nil {
			joined = append(joined, ", "...)
		}
		joined = append(joined, h.bytes(f.value)...)
	}
	return joined
}

// SelectProtocol chooses the subprotocol: the first one offered that is in supported, which is the
// one that the client prefers. It is "" if there is none; then the answer must not name one. RFC
// 6455, 4.2.2, item 5. Subprotocols are case-sensitive. The result is an element of supported.
func SelectProtocol(h *Head, supported []string) (protocol string, refusal *Refusal) {
	for i := range int(h.count) {
		f := &h.fields[i]
		if f.kind != kindProtocol {
			continue
		}
		chosen, refusal := selectProtocol(h.bytes(f.value), supported)
		if refusal != nil {
			return "", refusal
		}
		if protocol == "" {
			protocol = chosen
		}
	}
	return protocol, nil
}

// selectProtocol reads one Sec-WebSocket-Protocol field. Section 11.3.4: 1#token.
func selectProtocol(list []byte, supported []string) (protocol string, refusal *Refusal) {
	var offer []byte
	offers := 0
	for rest := list; rest != nil; {
		offer, rest = nextElement(rest)
		if len(offer) == 0 {
			continue
		}
		if !isToken(offer) {
			return "", wrongProtocols
		}
		offers++
		for _, s := range supported {
			if protocol == "" && string(offer) == s {
				protocol = s
			}
		}
	}
	if offers == 0 {
		return "", wrongProtocols
	}
	return protocol, nil
}

// AppendSwitching appends the answer 101 to dst. protocol and extensions are left out if empty,
// because clients fail on an empty field. CheckUpgrade has accepted key. It allocates only to grow
// dst. Any goroutine.
func AppendSwitching(dst, key []byte, protocol string, extensions []byte) []byte {
	dst = append(dst, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "...)
	dst = AppendAccept(dst, key)
	if protocol != "" {
		dst = append(dst, "\r\nSec-WebSocket-Protocol: "...)
		dst = append(dst, protocol...)
	}
	if len(extensions) > 0 {
		dst = append(dst, "\r\nSec-WebSocket-Extensions: "...)
		dst = append(dst, extensions...)
	}
	return append(dst, "\r\n\r\n"...)
}

// AppendAccept appends the value of Sec-WebSocket-Accept that belongs to key: RFC 6455, 4.2.2, item
// 5.4.
func AppendAccept(dst, key []byte) []byte {
	var joined [keyLength + len(acceptGUID)]byte
	n := copy(joined[:keyLength], key)
	n += copy(joined[n:], acceptGUID)
	sum := sha1.Sum(joined[:n])
	return base64.StdEncoding.AppendEncode(dst, sum[:])
}
