// Why a socket left its namespace.

package socketio

import "c100k/internal/engineio"

// Reason is why a socket left its namespace, in the words of Node's server.
type Reason string

// The reasons. ReasonTransportError is also that of a client that takes what it is sent too slowly.
const (
	ReasonClient         Reason = "client namespace disconnect" // the client left the namespace
	ReasonServer         Reason = "server namespace disconnect" // Socket.Disconnect
	ReasonTransportClose Reason = "transport close"             // the client closed the connection
	ReasonTransportError Reason = "transport error"             // the connection broke
	ReasonPingTimeout    Reason = "ping timeout"                // the client did not answer the heartbeat
	ReasonParseError     Reason = "parse error"                 // the client sent what is no packet of Engine.IO
	ReasonForcedClose    Reason = "forced close"                // the client sent what is no packet of Socket.IO, or against its rules
	ReasonShutdown       Reason = "server shutting down"        // Server.Close, or a node that drains
	ReasonForcedServer   Reason = "forced server close"         // an operator closed the connection
)

func reasonOf(r engineio.Reason) Reason { return Reason(r.String()) }

// recoverable tells whether a client that left for this reason may come back as the one it was.
func (r Reason) recoverable() bool {
	return r != ReasonClient && r != ReasonServer && r != ReasonParseError
}
