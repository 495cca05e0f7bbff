// The handshake: what a client sends to connect to a namespace, and how a middleware refuses it.

package socketio

import (
	"encoding/json"
	"errors"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// Handshake describes a client that wants to join a namespace. A middleware gets it;
// Socket.Handshake returns it later.
type Handshake struct {
	facts     *facts
	namespace string
	auth      json.RawMessage
	id        string
	data      any
	socket    *Socket // nil for the handshake of a RemoteSocket

	identifying bool // the client is being identified; after that, the middlewares are asked
}

// Namespace returns the name of the namespace.
func (h *Handshake) Namespace() string { return h.namespace }

// ID returns the id that the socket will have.
func (h *Handshake) ID() string { return h.id }

// Socket returns the socket that the client will have. A middleware can put it into rooms, add
// handlers, and emit to it: the client gets such events after it has joined, at most 100. If the
// client is refused they are dropped. Nil for a RemoteSocket.
func (h *Handshake) Socket() *Socket { return h.socket }

// Version returns the version of Engine.IO that the client speaks: 4, or 3 for clients of
// socket.io-client 2.
func (h *Handshake) Version() int {
	if h.facts.common.Value().flags&factV3 != 0 {
		return 3
	}
	return 4
}

// Auth returns the auth object of the client as JSON; nil if it sent none. Clients of protocol 4
// can send strings only, in the query of the namespace.
func (h *Handshake) Auth() json.RawMessage { return h.auth }

// DecodeAuth decodes Auth into the value that v points to, as encoding/json does. Without an auth
// object it does nothing and returns nil.
func (h *Handshake) DecodeAuth(v any) error {
	if h.auth == nil {
		return nil
	}
	return json.Unmarshal(h.auth, v)
}

// Subject is that of the Socket: whom the client speaks for, "" if it was not identified.
func (h *Handshake) Subject() string {
	if h.socket == nil {
		return "" // of a RemoteSocket
	}
	return h.socket.Subject()
}

// SetData sets the value that Socket.Data will return.
func (h *Handshake) SetData(v any) { h.data = v }

// Header returns the value of the first header field of the name, "" if there is none. Fields of
// the transport itself (Connection, Upgrade, Sec-WebSocket-Key) are not kept.
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

// EachHeader calls f for each header field until f returns false. Names are in lower case.
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

// URL returns the target of the request: path and query, without the parameter t.
func (h *Handshake) URL() string { return h.facts.common.Value().url }

// Query returns the query of the request.
func (h *Handshake) Query() url.Values {
	_, query, _ := strings.Cut(h.URL(), "?")
	values, _ := url.ParseQuery(query) // malformed parameters are left out
	return values
}

// Address returns the client's address; invalid if it is not known.
func (h *Handshake) Address() netip.Addr { return h.facts.addr() }

// Time returns the time at which the connection was opened.
func (h *Handshake) Time() time.Time { return time.UnixMilli(h.facts.time) }

// Secure reports whether the client uses TLS, with the server or with a proxy in front that reports
// it.
func (h *Handshake) Secure() bool { return h.facts.common.Value().flags&factSecure != 0 }

// ClientSubject returns the subject of the certificate with which the client has proved who it is,
// in the form of RFC 4514, such as "CN=u17,O=Example". It is empty for a client that has shown
// none, and where the node does not ask for one.
func (h *Handshake) ClientSubject() string { return h.facts.common.Value().subject }

// CrossOrigin reports whether the request has an Origin field.
func (h *Handshake) CrossOrigin() bool { return h.facts.common.Value().flags&factCrossOrigin != 0 }

// queryAuth returns the query of the namespace of a protocol 4 client as an auth object with string
// values; nil if there is no query.
func queryAuth(query []byte) json.RawMessage {
	values, err := url.ParseQuery(string(query))
	if err != nil || len(values) == 0 {
		return nil
	}
	object := make(map[string]string, len(values))
	for name, v := range values {
		object[name] = v[len(v)-1]
	}
	auth, _ := json.Marshal(object) // strings can always be encoded
	return auth
}

// Refusal is an error of a middleware with data for the client. The client gets the message and the
// data; of any other error it gets the text.
type Refusal struct {
	Message string
	Data    any // nil: none; otherwise a value that encoding/json can encode
}

// Error returns the message.
func (r *Refusal) Error() string { return r.Message }

// Refuse returns a Refusal.
func Refuse(message string, data any) error { return &Refusal{Message: message, Data: data} }

// refusalText returns the message for a client and the data as JSON, which may be nil.
func refusalText(err error) (message string, data []byte) {
	var r *Refusal
	if errors.As(err, &r) && r.Data != nil {
		if p, err := json.Marshal(r.Data); err == nil {
			data = p
		}
	}
	return validText(err.Error()), data
}

// Refusals by the server itself.
var (
	errInvalidNamespace = &Refusal{Message: "Invalid namespace"}
	errNamespaces       = &Refusal{Message: "Too many namespaces"}
)
