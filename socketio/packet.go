// Parsing of Socket.IO packets. Pure; any goroutine.

package socketio

import (
	"bytes"
	"math"

	"c100k/internal/jsontext"
)

// packetType is the kind of a packet.
type packetType uint8

// The types, as numbered on the wire.
const (
	typeConnect packetType = iota
	typeDisconnect
	typeEvent
	typeAck
	typeConnectError
	typeBinaryEvent
	typeBinaryAck
)

// fault describes what is wrong with a packet; empty when nothing is. The connection that sent the
// packet is closed.
type fault string

// The faults of packets.
const (
	faultEmpty       fault = "packet is empty"
	faultType        fault = "packet has an unknown type"
	faultAttachments fault = "packet has no valid number of attachments"
	faultTooMany     fault = "packet has too many attachments"
	faultNamespace   fault = "namespace is too long"
	faultID          fault = "acknowledgement id does not fit in 64 bits"
	faultPayload     fault = "payload is not what this type of packet has"
	faultJSON        fault = "payload is not JSON"
	faultEvent       fault = "event has no valid name"
	faultReserved    fault = "event has a reserved name"
	faultArguments   fault = "packet has too many arguments"
	faultMissing     fault = "text instead of an attachment"
	faultStray       fault = "attachment without a packet"
	faultBytes       fault = "attachments of one packet are too large together"
	faultSlow        fault = "attachments did not come in time"
	faultPlaceholder fault = "illegal attachments"
	faultMsgpack     fault = "packet is not MessagePack"
)

// rootNamespace is the namespace of a packet that names none.
const rootNamespace = "/"

// rootName is rootNamespace as bytes. It must not be changed.
var rootName = []byte(rootNamespace)

// packet is one packet. Its slices are parts of the message that it was parsed from.
type packet struct {
	kind        packetType // never typeBinaryEvent or typeBinaryAck: see attachments
	attachments int        // number of attachments that follow
	namespace   []byte     // "/" for the root
	hasID       bool
	id          uint64
	payload     []byte // one JSON text, or empty
}

// parsePacket splits p, which must be UTF-8, and checks its header; checkPayload checks the
// payload.
func parsePacket(p []byte) (k packet, bad fault) {
	if len(p) == 0 {
		return k, faultEmpty
	}
	if p[0] < '0' || p[0] > '0'+byte(typeBinaryAck) {
		return k, faultType
	}
	k.kind, k.namespace = packetType(p[0]-'0'), rootName
	p = p[1:]
	if k.kind >= typeBinaryEvent {
		k.kind -= typeBinaryEvent - typeEvent
		if k.attachments, p, bad = parseAttachments(p); bad != "" {
			return k, bad
		}
	}
	if len(p) > 0 && p[0] == '/' {
		end := bytes.IndexByte(p, ',')
		rest := end + 1
		if end < 0 {
			end, rest = len(p), len(p)
		}
		if end > NamespaceBytesMax {
			return k, faultNamespace
		}
		k.namespace, p = p[:end], p[rest:]
	}
	if k.id, k.hasID, p, bad = parseID(p); bad != "" {
		return k, bad
	}
	k.payload = p
	return k, ""
}

// parseAttachments reads the number of attachments and the hyphen after it.
func parseAttachments(p []byte) (n int, rest []byte, bad fault) {
	i := 0
	for i < len(p) && '0' <= p[i] && p[i] <= '9' {
		if n = n*10 + int(p[i]-'0'); n > AttachmentsMax {
			return 0, nil, faultTooMany
		}
		i++
	}
	if i == 0 || i == len(p) || p[i] != '-' {
		return 0, nil, faultAttachments
	}
	return n, p[i+1:], ""
}

// parseID reads an acknowledgement id: the digits at the start of p.
func parseID(p []byte) (id uint64, has bool, rest []byte, bad fault) {
	i := 0
	for i < len(p) && '0' <= p[i] && p[i] <= '9' {
		d := uint64(p[i] - '0')
		if id > (math.MaxUint64-d)/10 {
			return 0, false, nil, faultID
		}
		id = id*10 + d
		i++
	}
	return id, i > 0, p[i:], ""
}

// checkPayload checks that the payload is JSON, and of the kind that a packet of this type has: an
// object for CONNECT, nothing for DISCONNECT, an array for events and acknowledgements.
func (k *packet) checkPayload() fault {
	if len(k.payload) == 0 {
		if k.kind == typeConnect || k.kind == typeDisconnect {
			return ""
		}
		return faultPayload
	}
	at := jsontext.SkipSpace(k.payload, 0)
	end, wrong := jsontext.SkipValue(k.payload, at, 0)
	if wrong != "" || jsontext.SkipSpace(k.payload, end) != len(k.payload) {
		return faultJSON
	}
	k.payload = k.payload[at:end]
	switch first := k.payload[0]; k.kind {
	case typeConnect:
		if first != '{' {
			return faultPayload
		}
	case typeEvent, typeAck:
		if first != '[' {
			return faultPayload
		}
	case typeConnectError:
		if first != '{' && first != '"' {
			return faultPayload
		}
	case typeDisconnect:
		return faultPayload
	}
	return ""
}

// splitNamespace splits the query off a namespace's name: clients of protocol 4 send
// "/chat?token=1".
func splitNamespace(name []byte) (path, query []byte) {
	path, query, _ = bytes.Cut(name, []byte{'?'})
	return path, query
}
