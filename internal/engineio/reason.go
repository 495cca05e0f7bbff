// Why sessions end and why requests are refused, as clients and metrics are told.

package engineio

import "c100k/netpoll"

// Reason is why a session ended.
type Reason uint8

// The reasons, as far as this layer can tell.
const (
	ReasonTransportClose Reason = iota // the client closed the transport, or said that it does
	ReasonTransportError               // the transport broke, or the client broke its rules
	ReasonPingTimeout                  // the heartbeat was not answered, or did not come
	ReasonParseError                   // something that is no packet arrived
	ReasonForcedClose                  // Endpoint.Close: the layer above wanted it
	ReasonShutdown                     // the node is going down
	ReasonSlow                         // the client takes what it is sent too slowly
	ReasonAdmin                        // an operator asked for it
	ReasonMemory                       // the process holds too much for its clients, and much of it for this one
	ReasonExpired                      // the client's rights have ended
	ReasonRevoked                      // the client's rights were taken back

	reasonCount
)

var reasonNames = [reasonCount]string{
	ReasonTransportClose: "transport close", ReasonTransportError: "transport error", ReasonPingTimeout: "ping timeout",
	ReasonParseError: "parse error", ReasonForcedClose: "forced close", ReasonShutdown: "server shutting down",
	ReasonSlow: "transport error", ReasonAdmin: "forced server close", ReasonMemory: "transport error",
	ReasonExpired: "forced close", ReasonRevoked: "forced close",
}

// String is the reason as Node's server names it to applications.
func (r Reason) String() string {
	if r < reasonCount {
		return reasonNames[r]
	}
	return "unknown"
}

// ours tells whether the server ended the session, so that the client does not know it yet.
func (r Reason) ours() bool {
	switch r {
	case ReasonForcedClose, ReasonShutdown, ReasonSlow, ReasonAdmin, ReasonExpired, ReasonRevoked:
		return true
	}
	return false
}

// netpoll is the reason as the reactor's figures have it.
func (r Reason) netpoll() netpoll.Reason {
	switch r {
	case ReasonTransportClose:
		return netpoll.ReasonPeer
	case ReasonPingTimeout:
		return netpoll.ReasonTimeout
	case ReasonForcedClose:
		return netpoll.ReasonLocal
	case ReasonShutdown:
		return netpoll.ReasonDrain
	case ReasonSlow:
		return netpoll.ReasonSlow
	case ReasonAdmin:
		return netpoll.ReasonAdmin
	case ReasonMemory:
		return netpoll.ReasonMemory
	case ReasonExpired:
		return netpoll.ReasonExpired
	case ReasonRevoked:
		return netpoll.ReasonRevoked
	}
	return netpoll.ReasonProtocol
}

// reasonOf is why a session ended whose transport ended for r.
func reasonOf(r netpoll.Reason) Reason {
	switch r {
	case netpoll.ReasonPeer, netpoll.ReasonReset:
		return ReasonTransportClose
	case netpoll.ReasonTimeout:
		return ReasonPingTimeout
	case netpoll.ReasonDrain:
		return ReasonShutdown
	case netpoll.ReasonSlow:
		return ReasonSlow
	case netpoll.ReasonAdmin:
		return ReasonAdmin
	case netpoll.ReasonMemory:
		return ReasonMemory
	}
	return ReasonTransportError
}

// Code is the error code that clients get with a refusal.
type Code uint8

// The codes of the protocol, in the order in which a request is judged within each group.
const (
	CodeUnknownTransport Code = iota
	CodeUnknownSession
	CodeBadMethod
	CodeBadRequest
	CodeForbidden
	CodeUnsupportedVersion

	codeCount
)

var codeMessages = [codeCount]string{
	CodeUnknownTransport: "Transport unknown", CodeUnknownSession: "Session ID unknown", CodeBadMethod: "Bad handshake method",
	CodeBadRequest: "Bad request", CodeForbidden: "Forbidden", CodeUnsupportedVersion: "Unsupported protocol version",
}

// String is the message that clients get with the code.
func (c Code) String() string {
	if c < codeCount {
		return codeMessages[c]
	}
	return "Unknown error"
}

var codeLabels = [codeCount]string{
	CodeUnknownTransport: "unknown_transport", CodeUnknownSession: "unknown_session", CodeBadMethod: "bad_handshake",
	CodeBadRequest: "bad_handshake", CodeForbidden: "forbidden", CodeUnsupportedVersion: "unsupported_version",
}

// Label is the code as a label of metrics.
func (c Code) Label() string {
	if c < codeCount {
		return codeLabels[c]
	}
	return "other"
}
