// Why a request was refused, as clients are told.

package engineio

// Code is the number that clients get with a refusal.
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
