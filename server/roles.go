// The roles and wire forms of a node: the one place where the protocols' numbers are given out.

package server

import (
	"c100k/broadcast"
	"c100k/internal/sse"
	"c100k/internal/topicws"
	"c100k/netpoll"
)

// The roles, in the order a connection may take them: it begins as a request head and becomes a protocol.
const (
	roleHead netpoll.Role = iota
	roleTopics
	roleEcho
	roleBroadcast
	roleSSE
)

// transport is a connection's label in the metrics. A connection whose request head has not been judged has none yet: it shows
// in the loops' figures only, and among the rejected handshakes if it comes to nothing.
type transport uint8

const (
	transportWebSocket transport = iota
	transportSSE
	transportHTTP // handed to net/http

	transportCount
)

var transportNames = [transportCount]string{
	transportWebSocket: "websocket", transportSSE: "sse", transportHTTP: "http",
}

// The wire forms.
const (
	formBare broadcast.Form = iota
	formBareDeflated
	formEnvelope
	formEnvelopeDeflated
	formSSE

	formsUsed
)

// encoders makes the table of wire forms. epoch tells this process's event ids from those of all others.
func encoders(epoch string) []broadcast.Encoder {
	return []broadcast.Encoder{
		formBare:             topicws.EncodeBare,
		formBareDeflated:     topicws.EncodeBareDeflated,
		formEnvelope:         topicws.EncodeEnvelope,
		formEnvelopeDeflated: topicws.EncodeEnvelopeDeflated,
		formSSE:              sse.NewEncoder(epoch),
	}
}

var formTransports = [formsUsed]transport{
	formBare: transportWebSocket, formBareDeflated: transportWebSocket, formEnvelope: transportWebSocket,
	formEnvelopeDeflated: transportWebSocket, formSSE: transportSSE,
}

var topicForms = topicws.Forms{
	Bare: formBare, BareDeflated: formBareDeflated, Envelope: formEnvelope, EnvelopeDeflated: formEnvelopeDeflated,
}
