// The wire format: messages, and the answers that hold them. Pure, appending; any goroutine.

package longpoll

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"strconv"
	"time"

	"c100k/broadcast"
	"c100k/internal/history"
	"c100k/internal/jsontext"
)

// none stands for the position of a topic that has none, or to which the client cannot come back.
const none = "-"

// Encode appends m as an element of an answer's messages, with a comma in front. It is a
// broadcast.Encoder.
func Encode(dst []byte, m *broadcast.Message) []byte {
	dst = jsontext.AppendString(append(dst, `,{"topic":`...), m.Topic)
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

// lastOffset is the position of the last of the messages that Encode has appended to run; ok is
// false if it has none. A quote within data has a backslash in front, and an object there ends with
// a brace of its own, so nothing in a payload can be taken for a position.
func lastOffset(run []byte) (at []byte, ok bool) {
	run, ok = bytes.CutSuffix(run, []byte(`"}`))
	if !ok {
		return nil, false
	}
	i := bytes.LastIndexByte(run, '"')
	if !bytes.HasSuffix(run[:i+1], []byte(`,"offset":"`)) {
		return nil, false
	}
	return run[i+1:], true
}

// topicOf tells whether the messages of run are those of the topic whose name, as a JSON string, is
// name.
func topicOf(run, name []byte) bool {
	rest, ok := bytes.CutPrefix(run, []byte(`,{"topic":`))
	return ok && bytes.HasPrefix(rest, name) && len(rest) > len(name) && rest[len(name)] == ','
}

// appendReset appends what is to be said of a topic that does not begin where its client had ended.
func appendReset(dst []byte, topic string, reset broadcast.Reset, at broadcast.Position) []byte {
	dst = jsontext.AppendString(append(dst, `,{"topic":`...), topic)
	dst = append(append(append(dst, `,"reason":"`...), reset.String()...), '"')
	if at != (broadcast.Position{}) {
		dst = append(history.AppendPosition(append(dst, `,"offset":"`...), at), '"')
	}
	return append(dst, '}')
}

// appendGap appends the announcement of missed messages. It begins with another byte than messages
// do.
func appendGap(dst []byte, topic string, missed uint32) []byte {
	dst = jsontext.AppendString(append(dst, `{"topic":`...), topic)
	return append(strconv.AppendUint(append(dst, `,"missed":`...), uint64(missed), 10), '}')
}

// appendList appends a member whose value is an array. elements all have a comma in front.
func appendList(dst []byte, name string, elements []byte) []byte {
	dst = append(append(append(dst, `,"`...), name...), `":[`...)
	return append(append(dst, elements[1:]...), ']')
}

// appendHead appends the head of an answer whose body has size bytes. lines are more header fields,
// each with its CRLF.
func appendHead(dst []byte, now time.Time, keep bool, lines []byte, size int) []byte {
	dst = append(dst, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "...)
	dst = append(strconv.AppendInt(dst, int64(size), 10), "\r\nCache-Control: no-store\r\nDate: "...)
	dst = append(now.UTC().AppendFormat(dst, http.TimeFormat), "\r\n"...)
	dst = append(dst, lines...)
	if !keep {
		dst = append(dst, "Connection: close\r\n"...)
	}
	return append(dst, "\r\n"...)
}
