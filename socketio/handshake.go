// What is known of a client when it connects to a namespace.

package socketio

import (
	"encoding/json"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// Handshake is a client that wants to join a namespace, as a middleware sees it, and as
// Socket.Handshake tells it later.
type Handshake struct {
	facts     *facts
	namespace string
	auth      json.RawMessage
	id        string
	data      any
}

// Namespace is the name of the namespace.
func (h *Handshake) Namespace() string { return h.namespace }

// ID is what Socket.ID will be.
func (h *Handshake) ID() string { return h.id }

// Auth is what the client sent along, a JSON object, nil if nothing. Clients of protocol 4 send
// strings only, as a query.
func (h *Handshake) Auth() json.RawMessage { return h.auth }

// DecodeAuth puts Auth into what v points at, as encoding/json does; nothing was sent is no error.
func (h *Handshake) DecodeAuth(v any) error {
	if h.auth == nil {
		return nil
	}
	return json.Unmarshal(h.auth, v)
}

// SetData sets what Socket.Data will be.
func (h *Handshake) SetData(v any) { h.data = v }

// Header is the value of the first header field of that name, "" if there is none. Fields of the
// transport itself (Connection, Upgrade, Sec-WebSocket-Key) are not kept.
func (h *Handshake) Header(name string) (value string) {
	name = strings.ToLower(name)
	h.EachHeader(func(n, v string) bool {
		if n == name {
			value = v
		}
		return n != name
	})
	return value
}

// EachHeader calls f for each header field until it says no. Names are in lower case.
func (h *Handshake) EachHeader(f func(name, value string) bool) {
	for _, lines := range [...]string{h.facts.own, h.facts.common.Value().headers} {
		for line := range strings.Lines(lines) {
			name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
			if !f(name, value) {
				return
			}
		}
	}
}

// URL is the request's target, path and query, but for the parameter t.
func (h *Handshake) URL() string { return h.facts.common.Value().url }

// Query is the query of the request.
func (h *Handshake) Query() url.Values {
	_, query, _ := strings.Cut(h.URL(), "?")
	values, _ := url.ParseQuery(query) // what is malformed is left out
	return values
}

// Address is the client's; invalid if it is not known.
func (h *Handshake) Address() netip.Addr { return h.facts.addr() }

// Time is when the connection was opened.
func (h *Handshake) Time() time.Time { return time.UnixMilli(h.facts.time) }

// Secure tells whether the client speaks TLS, as far as the proxy in front says.
func (h *Handshake) Secure() bool { return h.facts.common.Value().flags&factSecure != 0 }

// CrossOrigin tells whether a browser said that a page asks.
func (h *Handshake) CrossOrigin() bool { return h.facts.common.Value().flags&factCrossOrigin != 0 }

// queryAuth makes the auth of a client of protocol 4 from the query of its namespace: an object of
// strings. nil for none.
func queryAuth(query []byte) json.RawMessage {
	values, err := url.ParseQuery(string(query))
	if err != nil || len(values) == 0 {
		return nil
	}
	object := make(map[string]string, len(values))
	for name, v := range values {
		object[name] = v[len(v)-1]
	}
	auth, _ := json.Marshal(object) // strings always can be
	return auth
}
