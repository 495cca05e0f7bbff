// The roles and wire forms of a node: the one place where the protocols' numbers are given out.

package server

import (
	"c100k/broadcast"
	"c100k/internal/engineio"
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
	roleSIOPolling // an HTTP connection with requests of a Socket.IO client
	roleSIOSocket  // a WebSocket of one
	roleSIOSession // a client that began with polling: a record without a socket

	roleSIOReturned // a request head for a worker that does not take it
)

// transport is a connection's label in the metrics. A connection whose request head has not been judged has none yet: it shows
// in the loops' figures only, and among the rejected handshakes if it comes to nothing.
type transport uint8

const (
	transportWebSocket transport = iota
	transportSSE
	transportSocketIO // a client, whatever connections it has
	transportHTTP     // handed to net/http

	transportCount
)

var transportNames = [transportCount]string{
	transportWebSocket: "websocket", transportSSE: "sse", transportSocketIO: "socketio", transportHTTP: "http",
}

// The wire forms.
const (
	formBare broadcast.Form = iota
	formBareDeflated
	formEnvelope
	formEnvelopeDeflated
	formSSE
	formSIO // three, as engineio numbers its forms

	formsUsed = formSIO + broadcast.Form(engineio.FormCount)
)

// encoders makes the table of wire forms. epoch tells this process's event ids from those of all others.
func encoders(epoch string) []broadcast.Encoder {
	list := []broadcast.Encoder{
		formBare:             topicws.EncodeBare,
		formBareDeflated:     topicws.EncodeBareDeflated,
		formEnvelope:         topicws.EncodeEnvelope,
		formEnvelopeDeflated: topicws.EncodeEnvelopeDeflated,
		formSSE:              sse.NewEncoder(epoch),
	}
	for f := range engineio.FormCount {
		list = append(list, encodeSIO(f))
	}
	return list
}

// transportOf is the transport that a wire form is for.
func transportOf(f broadcast.Form) transport {
	switch {
	case f == formSSE:
		return transportSSE
	case f >= formSIO:
		return transportSocketIO
	}
	return transportWebSocket
}

var topicForms = topicws.Forms{
	Bare: formBare, BareDeflated: formBareDeflated, Envelope: formEnvelope, EnvelopeDeflated: formEnvelopeDeflated,
}
