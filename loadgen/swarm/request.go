// The request that opens a connection.

package swarm

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
)

// template is a text with holes for a client's topic and number.
type template struct {
	pieces []string // odd ones are holes: "topic" or "i"
	topics []string // as they stand in this text
}

var holes = []string{"{topic}", "{i}"}

// newTemplate cuts a text at its holes.
func newTemplate(text string, topics []string, quote func(string) string) template {
	var t template
	for {
		at, hole := -1, ""
		for _, h := range holes {
			if i := strings.Index(text, h); i >= 0 && (at < 0 || i < at) {
				at, hole = i, h
			}
		}
		if at < 0 {
			t.pieces = append(t.pieces, text)
			break
		}
		t.pieces = append(t.pieces, text[:at], hole)
		text = text[at+len(hole):]
	}
	for _, topic := range topics {
		t.topics = append(t.topics, quote(topic))
	}
	return t
}

// append fills the holes in.
func (t *template) append(dst []byte, topic int, number uint32) []byte {
	for i, piece := range t.pieces {
		switch {
		case i%2 == 0:
			dst = append(dst, piece...)
		case piece == "{i}":
			dst = strconv.AppendUint(dst, uint64(number), 10)
		case len(t.topics) > 0:
			dst = append(dst, t.topics[topic]...)
		}
	}
	return dst
}

// request makes the heads that a client sends. It is immutable.
type request struct {
	target template
	rest   string // of the head, up to where the key stands
	socket bool   // asks for a WebSocket
	offers bool   // subprotocols
	secret [16]byte
}

func newRequest(spec *Spec) (request, error) {
	// Holes are no characters of a URL.
	u, err := url.Parse(strings.NewReplacer("{topic}", "%7Btopic%7D", "{i}", "%7Bi%7D").Replace(spec.URL))
	if err != nil {
		return request{}, fmt.Errorf("url: %w", err)
	}
	switch u.Scheme {
	case "ws", "http", "wss", "https":
	default:
		return request{}, fmt.Errorf("url %q: want ws, wss, http or https", spec.URL)
	}
	if u.Host == "" {
		return request{}, fmt.Errorf("url %q has no host", spec.URL)
	}
	if spec.Protocol == SocketIO {
		EngineTarget(u)
	}
	target := strings.NewReplacer("%7Btopic%7D", "{topic}", "%7Bi%7D", "{i}").Replace(u.RequestURI())
	r := request{socket: spec.Protocol != SSE}
	r.target = newTemplate(target, spec.Topics, func(topic string) string {
		return strings.ReplaceAll(url.QueryEscape(topic), "+", "%20") // right in a path as well
	})
	r.rest = head(spec, u, r.socket)
	r.offers = strings.Contains(strings.ToLower(r.rest), "\r\nsec-websocket-protocol:")
	binary.LittleEndian.PutUint32(r.secret[:], spec.Run)
	return r, nil
}

// EngineTarget adds to the URL of a Socket.IO server what a client of it adds. Any goroutine.
func EngineTarget(u *url.URL) {
	if u.Path == "" || u.Path == "/" {
		u.Path = "/socket.io/"
	}
	for _, want := range [][2]string{{"EIO", "4"}, {"transport", "websocket"}} {
		if q := u.Query(); q.Has(want[0]) {
			continue
		}
		if u.RawQuery != "" {
			u.RawQuery += "&"
		}
		u.RawQuery += want[0] + "=" + want[1]
	}
}

// head is what follows the request's target. Lines of the Spec replace ours of the same name.
func head(spec *Spec, u *url.URL, socket bool) string {
	lines := [][2]string{{"Host", u.Host}}
	if socket {
		lines = append(lines, [][2]string{{"Upgrade", "websocket"}, {"Connection", "Upgrade"}, {"Sec-WebSocket-Version", "13"}}...)
		if spec.Compress {
			lines = append(lines, [2]string{"Sec-WebSocket-Extensions", "permessage-deflate; server_no_context_takeover; client_no_context_takeover"})
		}
		if spec.Protocol == V1 {
			lines = append(lines, [2]string{"Sec-WebSocket-Protocol", string(V1)})
		}
	} else {
		lines = append(lines, [][2]string{{"Accept", "text/event-stream"}, {"Cache-Control", "no-cache"}}...)
	}
	if u.User != nil {
		password, _ := u.User.Password()
		lines = append(lines, [2]string{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte(u.User.Username()+":"+password))})
	}
	given := map[string]bool{}
	for _, line := range spec.Header {
		given[textproto.CanonicalMIMEHeaderKey(line[0])] = true
	}
	var b strings.Builder
	b.WriteString(" HTTP/1.1\r\n")
	for _, line := range lines {
		if !given[textproto.CanonicalMIMEHeaderKey(line[0])] {
			b.WriteString(line[0] + ": " + line[1] + "\r\n")
		}
	}
	for _, line := range spec.Header {
		b.WriteString(line[0] + ": " + line[1] + "\r\n")
	}
	if socket {
		b.WriteString("Sec-WebSocket-Key: ")
	}
	return b.String()
}

// append appends the request of one attempt; attempt tells its key from all others of the run.
func (r *request) append(dst []byte, topic int, number uint32, attempt uint64) []byte {
	dst = append(dst, "GET "...)
	dst = r.target.append(dst, topic, number)
	dst = append(dst, r.rest...)
	if r.socket {
		key := r.key(attempt)
		dst = append(append(dst, key[:]...), "\r\n"...)
	}
	return append(dst, "\r\n"...)
}

const keyBytes = 24 // 16 in base64

// key is a Sec-WebSocket-Key (RFC 6455, 4.1): made anew when the answer is checked, so that nobody
// has to keep it.
func (r *request) key(attempt uint64) (key [keyBytes]byte) {
	nonce := r.secret
	binary.LittleEndian.PutUint64(nonce[8:], attempt)
	sum := sha1.Sum(nonce[:])
	base64.StdEncoding.Encode(key[:], sum[:16])
	return key
}

// accepts tells whether a Sec-WebSocket-Accept answers the key of an attempt (RFC 6455, 4.2.2).
func (r *request) accepts(value []byte, attempt uint64) bool {
	key := r.key(attempt)
	sum := sha1.Sum(append(key[:], "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"...))
	var want [28]byte
	base64.StdEncoding.Encode(want[:], sum[:])
	return bytes.Equal(value, want[:])
}
