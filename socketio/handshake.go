// What is known of a client when it connects to a namespace.

package socketio

import (
	"encoding/json"
	"net/netip"
	"net/url"
	"strings"
	"time"
	"unique"

	"c100k/internal/engineio"
)

// facts are what is kept of the request that opened a connection, for as long as that lives. Header fields that are the same for many
// clients (what a browser says of itself) are kept once for all of them: an idle client is to cost little.
type facts struct {
	shared  unique.Handle[string] // header lines that do not tell one client from the next
	own     string                // those that do
	url     unique.Handle[string]
	address netip.Addr
	time    int64 // Unix milliseconds
	flags   factFlags
}

type factFlags uint8

const (
	factSecure factFlags = 1 << iota
	factCrossOrigin
)

// ownFields are the header fields whose values differ from client to client.
var ownFields = map[string]bool{
	"authorization": true, "cookie": true, "forwarded": true, "x-forwarded-for": true, "x-real-ip": true, "x-request-id": true,
}

// droppedFields are of the transport, and nobody asks for them.
var droppedFields = map[string]bool{"sec-websocket-key": true, "connection": true, "upgrade": true, "content-length": true}

// newFacts reads a request.
func newFacts(r *engineio.Request) facts {
	var shared, own strings.Builder
	r.EachHeader(func(name, value []byte) {
		lower := strings.ToLower(string(name))
		if droppedFields[lower] {
			return
		}
		b := &shared
		if ownFields[lower] {
			b = &own
		}
		b.WriteString(lower)
		b.WriteString(": ")
		b.Write(value)
		b.WriteByte('\n')
	})
	f := facts{
		shared: unique.Make(shared.String()), own: own.String(), url: unique.Make(withoutCacheBuster(r.URL())),
		address: r.Address, time: r.Time.UnixMilli(),
	}
	if r.Secure() {
		f.flags |= factSecure
	}
	if r.CrossOrigin() {
		f.flags |= factCrossOrigin
	}
	return f
}

// withoutCacheBuster takes the parameter t out of a request's target, which is there to be different each time.
func withoutCacheBuster(target string) string {
	path, query, found := strings.Cut(target, "?")
	if !found {
		return target
	}
	kept := make([]string, 0, 4)
	for _, param := range strings.Split(query, "&") {
		if !strings.HasPrefix(param, "t=") {
			kept = append(kept, param)
		}
	}
	return path + "?" + strings.Join(kept, "&")
}

// Handshake is a client that wants to join a namespace, as a middleware sees it, and as Socket.Handshake tells it later.
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

// Auth is what the client sent along, a JSON object, nil if nothing. Clients of protocol 4 send strings only, as a query.
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

// Header is the value of the first header field of that name, "" if there is none. Fields of the transport itself (Connection, Upgrade,
// Sec-WebSocket-Key) are not kept.
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
	for _, lines := range [...]string{h.facts.own, h.facts.shared.Value()} {
		for line := range strings.Lines(lines) {
			name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
			if !f(name, value) {
				return
			}
		}
	}
}

// URL is the request's target, path and query, but for the parameter t.
func (h *Handshake) URL() string { return h.facts.url.Value() }

// Query is the query of the request.
func (h *Handshake) Query() url.Values {
	_, query, _ := strings.Cut(h.URL(), "?")
	values, _ := url.ParseQuery(query) // what is malformed is left out
	return values
}

// Address is the client's; invalid if it is not known.
func (h *Handshake) Address() netip.Addr { return h.facts.address }

// Time is when the connection was opened.
func (h *Handshake) Time() time.Time { return time.UnixMilli(h.facts.time) }

// Secure tells whether the client speaks TLS, as far as the proxy in front says.
func (h *Handshake) Secure() bool { return h.facts.flags&factSecure != 0 }

// CrossOrigin tells whether a browser said that a page asks.
func (h *Handshake) CrossOrigin() bool { return h.facts.flags&factCrossOrigin != 0 }

// queryAuth makes the auth of a client of protocol 4 from the query of its namespace: an object of strings. nil for none.
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
