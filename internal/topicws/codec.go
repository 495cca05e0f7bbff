// What a server of the topic protocol sends: each message as a whole WebSocket frame, appended to a
// buffer. Pure; any goroutine.

package topicws

import (
	"encoding/base64"
	"strconv"
	"sync"
	"unicode/utf8"

	"c100k/broadcast"
	"c100k/frame"
	"c100k/internal/history"
	"c100k/internal/jsontext"
	"c100k/internal/wsconn"
)

// EncodeBare appends m as a bare frame: its payload and nothing around it; text if it was published
// as text or JSON, binary otherwise. It is a broadcast.Encoder.
func EncodeBare(dst []byte, m *broadcast.Message) []byte {
	return frame.AppendFrame(dst, opOf(m.Kind), m.Payload)
}

// EncodeBareDeflated is EncodeBare for connections that negotiated permessage-deflate. A payload
// that is small, or that deflate does not shrink, goes as it is.
func EncodeBareDeflated(dst []byte, m *broadcast.Message) []byte {
	if m.Extra == wsconn.NoCompress {
		return EncodeBare(dst, m)
	}
	return wsconn.AppendDeflated(dst, opOf(m.Kind), m.Payload, frame.WindowFull)
}

// EncodeBareNarrow is EncodeBareDeflated for connections that asked for a smaller window.
func EncodeBareNarrow(dst []byte, m *broadcast.Message) []byte {
	if m.Extra == wsconn.NoCompress {
		return EncodeBare(dst, m)
	}
	return wsconn.AppendDeflated(dst, opOf(m.Kind), m.Payload, frame.WindowNarrow)
}

// EncodeEnvelope appends m as a c100k.v1 message. It is a broadcast.Encoder.
func EncodeEnvelope(dst []byte, m *broadcast.Message) []byte {
	at := len(dst)
	return closeText(AppendMessage(openText(dst), m), at)
}

// envelopes holds buffers for envelopes that are to be compressed: they are needed for the length
// of one call.
var envelopes = sync.Pool{New: func() any { return new([]byte) }}

// EncodeEnvelopeDeflated is EncodeEnvelope for connections that negotiated permessage-deflate; see
// EncodeBareDeflated.
func EncodeEnvelopeDeflated(dst []byte, m *broadcast.Message) []byte {
	return appendDeflatedEnvelope(dst, m, frame.WindowFull)
}

// EncodeEnvelopeNarrow is EncodeEnvelopeDeflated for connections that asked for a smaller window.
func EncodeEnvelopeNarrow(dst []byte, m *broadcast.Message) []byte {
	return appendDeflatedEnvelope(dst, m, frame.WindowNarrow)
}

func appendDeflatedEnvelope(dst []byte, m *broadcast.Message, window frame.Window) []byte {
	b := envelopes.Get().(*[]byte)
	*b = AppendMessage((*b)[:0], m)
	dst = wsconn.AppendDeflated(dst, frame.OpText, *b, window)
	envelopes.Put(b)
	return dst
}

func opOf(k broadcast.Kind) frame.OpCode {
	if k == broadcast.Binary {
		return frame.OpBinary
	}
	return frame.OpText
}

func openText(dst []byte) []byte { return wsconn.AppendRoom(dst) }

// closeText completes the text message that was begun when dst had length at.
func closeText(dst []byte, at int) []byte { return wsconn.Seal(dst, at, frame.OpText, false) }

// AppendMessage appends a message as c100k.v1 has it, without a frame. Any goroutine.
func AppendMessage(dst []byte, m *broadcast.Message) []byte {
	if dst, ok := appendWatched(dst, m); ok {
		return dst
	}
	dst = append(dst, `{"type":"message","topic":`...)
	dst = jsontext.AppendString(dst, m.Topic)
	if from := m.From(); from != "" {
		dst = jsontext.AppendString(append(dst, `,"from":`...), from)
	}
	switch m.Kind {
	case broadcast.JSON:
		dst = append(append(dst, `,"data":`...), m.Payload...)
	case broadcast.Text:
		dst = jsontext.AppendString(append(dst, `,"data":`...), m.Payload)
	default:
		dst = append(dst, `,"data_base64":"`...)
		dst = append(base64.StdEncoding.AppendEncode(dst, m.Payload), '"')
	}
	if p, ok := m.Position(); ok {
		dst = append(history.AppendPosition(append(dst, `,"offset":"`...), p), '"')
	}
	return append(dst, '}')
}

// appendWelcome appends the first message of a c100k.v1 connection; conn is its id in the form that
// the admin API takes. expires is when its client's rights end, in Unix seconds; 0: never. list is
// what is to be said of topics with history.
func appendWelcome(dst []byte, conn string, expires int64, list []begun) []byte {
	at := len(dst)
	dst = appendExpires(jsontext.AppendString(append(openText(dst), `{"type":"welcome","conn":`...), conn), expires)
	return closeText(append(appendOffsets(dst, list), '}'), at)
}

// AppendExpiring appends the warning that the client's rights end soon.
func AppendExpiring(dst []byte, expires int64) []byte {
	at := len(dst)
	return closeText(append(appendExpires(append(openText(dst), `{"type":"expiring"`...), expires), '}'), at)
}

// AppendIdentified appends the answer to a connect or refresh command.
func AppendIdentified(dst, id []byte, expires int64) []byte {
	at := len(dst)
	return closeText(append(appendExpires(appendID(append(openText(dst), `{"type":"ack"`...), id), expires), '}'), at)
}

// appendExpires appends the member expires behind a first member, if there is an end.
func appendExpires(dst []byte, expires int64) []byte {
	if expires == 0 {
		return dst
	}
	return strconv.AppendInt(append(dst, `,"expires":`...), expires, 10)
}

// AppendAck appends the answer to a subscribe or unsubscribe command. id is JSON text, nil for
// none.
func AppendAck(dst, id []byte) []byte { return appendAck(dst, id, nil) }

// appendAck is AppendAck with what is to be said of topics with history.
func appendAck(dst, id []byte, list []begun) []byte {
	at := len(dst)
	dst = appendOffsets(appendID(append(openText(dst), `{"type":"ack"`...), id), list)
	return closeText(append(dst, '}'), at)
}

// AppendPublished appends the answer to a publish command.
func AppendPublished(dst, id []byte, r Published) []byte {
	at := len(dst)
	dst = append(appendID(append(openText(dst), `{"type":"ack"`...), id), `,"matched":`...)
	dst = strconv.AppendInt(dst, int64(r.Matched), 10)
	if r.Partial {
		dst = append(dst, `,"partial":true`...)
	}
	if r.Unreached > 0 {
		dst = strconv.AppendInt(append(dst, `,"nodes_unreached":`...), int64(r.Unreached), 10)
	}
	return closeText(append(dst, '}'), at)
}

// AppendPong appends the answer to a ping command.
func AppendPong(dst, id []byte) []byte {
	at := len(dst)
	return closeText(append(appendID(append(openText(dst), `{"type":"pong"`...), id), '}'), at)
}

// AppendGap appends the announcement that missed messages of a topic were dropped for this
// connection.
func AppendGap(dst []byte, topic string, missed uint64) []byte {
	at := len(dst)
	dst = jsontext.AppendString(append(openText(dst), `{"type":"gap","topic":`...), topic)
	dst = strconv.AppendUint(append(dst, `,"missed":`...), missed, 10)
	return closeText(append(dst, '}'), at)
}

// AppendError appends the answer to a command that is refused.
func AppendError(dst, id []byte, r Refusal) []byte {
	at := len(dst)
	dst = appendID(append(openText(dst), `{"type":"error"`...), id)
	dst = append(append(append(dst, `,"code":"`...), r.Code...), `","message":"`...)
	if r.At >= 0 {
		dst = strconv.AppendInt(append(dst, "bad JSON at byte "...), int64(r.At), 10)
		dst = append(dst, ": "...)
	}
	dst = jsontext.AppendEscaped(dst, r.Message)
	if r.Detail != nil {
		dst = append(dst, ` \"`...)
		dst = jsontext.AppendEscaped(dst, cut(r.Detail, DetailBytesMax))
		dst = append(dst, `\"`...)
	}
	return closeText(append(dst, `"}`...), at)
}

// appendID appends the id member, if there is one, behind a first member.
func appendID(dst, id []byte) []byte {
	if id == nil {
		return dst
	}
	return append(append(dst, `,"id":`...), id...)
}

// cut shortens p to at most n bytes and does not split a character.
func cut(p []byte, n int) []byte {
	if len(p) <= n {
		return p
	}
	for n > 0 && !utf8.RuneStart(p[n]) {
		n--
	}
	return p[:n]
}
