// Why a connection ended.

package netpoll

// Reason says why a connection ended. Its String is a stable label.
type Reason uint8

// The reasons. Those from ReasonProtocol to ReasonRefused are judgements of
// the protocols above; the reactor only carries them to OnClose.
const (
	ReasonNone     Reason = iota
	ReasonPeer            // orderly end by the peer: EOF, or a protocol's own close
	ReasonReset           // RST, or another I/O error
	ReasonTimeout         // a deadline passed: handshake, heartbeat, write stall
	ReasonProtocol        // illegal input
	ReasonTooBig          // a message over the limit
	ReasonPolicy          // rate or right
	ReasonSlow            // the peer lagged behind by more than its outbox
	ReasonDrain           // the node is going down
	ReasonAdmin           // an operator asked for it
	ReasonRefused         // the request was answered with an error
	ReasonLocal           // our side was done
	ReasonPanic           // a handler panicked
	ReasonDetached        // the socket left the loop alive

	reasonCount
)

// ReasonCount is the number of reasons, for tables indexed by them.
const ReasonCount = int(reasonCount)

var reasonNames = [reasonCount]string{
	ReasonNone: "none", ReasonPeer: "peer", ReasonReset: "reset", ReasonTimeout: "timeout",
	ReasonProtocol: "protocol_error", ReasonTooBig: "message_too_big", ReasonPolicy: "policy",
	ReasonSlow: "slow_consumer", ReasonDrain: "drain", ReasonAdmin: "admin",
	ReasonRefused: "refused", ReasonLocal: "local", ReasonPanic: "panic", ReasonDetached: "detached",
}

// String is the reason in snake_case, fit for a metrics label.
func (r Reason) String() string {
	if r < reasonCount {
		return reasonNames[r]
	}
	return "unknown"
}
