// Encoding of packets. Pure; any goroutine.

package socketio

import (
	"strconv"

	"c100k/internal/jsontext"
)

// appendPacket appends a packet with its payload, which may be empty. An event or acknowledgement
// with attachments becomes a binary packet.
func appendPacket(dst []byte, k *packet) []byte {
	kind := k.kind
	if k.attachments > 0 {
		kind += typeBinaryEvent - typeEvent
	}
	dst = append(dst, '0'+byte(kind))
	if k.attachments > 0 {
		dst = append(strconv.AppendInt(dst, int64(k.attachments), 10), '-')
	}
	if string(k.namespace) != rootNamespace {
		dst = append(append(dst, k.namespace...), ',')
	}
	if k.hasID {
		dst = strconv.AppendUint(dst, k.id, 10)
	}
	return append(dst, k.payload...)
}

// appendConnect appends the payload of the answer to CONNECT; pid is "" without recovery.
func appendConnect(dst []byte, sid, pid string) []byte {
	dst = jsontext.AppendString(append(dst, `{"sid":`...), sid)
	if pid != "" {
		dst = jsontext.AppendString(append(dst, `,"pid":`...), pid)
	}
	return append(dst, '}')
}

// appendRefusal appends the payload of CONNECT_ERROR. data is JSON, nil for none.
func appendRefusal(dst []byte, message string, data []byte) []byte {
	dst = jsontext.AppendString(append(dst, `{"message":`...), message)
	if data != nil {
		dst = append(append(dst, `,"data":`...), data...)
	}
	return append(dst, '}')
}

// appendRefusalV4 is appendRefusal for protocol 4, whose ERROR packets carry the data, or else the
// message as a string.
func appendRefusalV4(dst []byte, message string, data []byte) []byte {
	if data != nil {
		return append(dst, data...)
	}
	return jsontext.AppendString(dst, message)
}
