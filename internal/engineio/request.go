// An HTTP request, as the layer above sees it.

package engineio

import (
	"net/netip"
	"time"

	"c100k/internal/edge"
)

// Transport is how a session's packets travel.
type Transport uint8

// The transports.
const (
	TransportPolling Transport = iota
	TransportWebSocket
)

// String is the transport's name on the wire.
func (t Transport) String() string {
	if t == TransportWebSocket {
		return "websocket"
	}
	return "polling"
}

// Request is an HTTP request to the endpoint. Its results are valid during the call that it is
// passed to.
type Request struct {
	Version   int        // of the protocol requested by the client: 3 or 4
	Transport Transport  // requested by the client
	Handshake bool       // it opens a session; otherwise it belongs to one
	Address   netip.Addr // the client's; invalid if unknown
	Time      time.Time  // of arrival

	head *edge.Head
}

// Method is the request's method.
func (r *Request) Method() string { return string(r.head.Method()) }

// URL is the request's target: path and query, as they were sent.
func (r *Request) URL() string { return string(r.head.Target()) }

// AppendURL appends URL.
func (r *Request) AppendURL(dst []byte) []byte { return append(dst, r.head.Target()...) }

// Host is the host that the client named.
func (r *Request) Host() string { return string(r.head.Host()) }

// CrossOrigin tells whether the request has an Origin header.
func (r *Request) CrossOrigin() bool {
	_, n := r.head.Origin()
	return n > 0
}

// Header is the value of the first header field of that name, "" if there is none. The name is
// given in lower case.
func (r *Request) Header(name string) string {
	v, _ := r.head.Get(name)
	return string(v)
}

// EachHeader calls f for each header field in the order sent; names come as they were sent. name
// and value are not to be kept.
func (r *Request) EachHeader(f func(name, value []byte)) {
	for i := range r.head.Fields() {
		f(r.head.Field(i))
	}
}

// EachQuery calls f for each parameter of the query, decoded. name and value are not to be kept.
func (r *Request) EachQuery(f func(name, value []byte)) {
	for q := edge.NewParams(r.head.Query()); ; {
		name, value, ok, _ := q.Next() // Serve has judged the query
		if !ok {
			return
		}
		f(name, value)
	}
}

// Query is the value of the first parameter of that name, "" if there is none.
func (r *Request) Query(name string) (value string) {
	found := false
	r.EachQuery(func(n, v []byte) {
		if !found && string(n) == name {
			value, found = string(v), true
		}
	})
	return value
}

// Secure tells whether the client speaks TLS, with the node or with the proxy in front.
func (r *Request) Secure() bool { return r.head.Secure() }

// ClientSubject is edge.Head.ClientSubject.
func (r *Request) ClientSubject() string { return r.head.ClientSubject() }
