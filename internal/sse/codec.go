// The wire format: the answer's head, and events. Pure, appending; any goroutine.

package sse

import (
	"bytes"
	"encoding/base64"
	"strconv"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"c100k/broadcast"
	"c100k/internal/history"
	"c100k/internal/jsontext"
)

// timeFormat is that of the Date header (RFC 9110, 5.6.7).
const timeFormat = "Mon, 02 Jan 2006 15:04:05 GMT"

// Comments and their like: a line that begins with a colon is ignored by every client.
var (
	heartbeat  = []byte(":\n\n")
	byeAdmin   = []byte(":closed by operator\n\n")
	byeSlow    = []byte(":slow consumer\n\n")
	byeMemory  = []byte(":server is short of memory\n\n")
	byeRestart = []byte(":service restart\n\n")
	byeExpired = []byte("event: expired\ndata: {\"reason\":\"token expired\"}\n\n")
	byeRevoked = []byte("event: revoked\ndata: {\"reason\":\"token revoked\"}\n\n")
)

// AppendHead appends the head of the answer and what begins the stream: how long to wait before
// coming back, and a comment, so that "open" fires behind proxies that wait for a first byte of the
// body. lines are more header fields, each with its CRLF.
func AppendHead(dst []byte, now time.Time, allowOrigin string, allowCredentials bool, lines []byte, retry time.Duration) []byte {
	dst = appendDate(append(dst, "HTTP/1.1 200 OK"...), now)
	// No Content-Length: the end of the connection is the end of the body (RFC 9112, 6.3), which
	// Connection: close announces.
	dst = append(dst, "\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache, no-transform\r\nX-Accel-Buffering: no\r\nConnection: close\r\n"...)
	if allowOrigin != "" {
		dst = append(append(dst, "Access-Control-Allow-Origin: "...), allowOrigin...)
		dst = append(dst, "\r\nVary: Origin\r\n"...)
		if allowCredentials {
			dst = append(dst, "Access-Control-Allow-Credentials: true\r\n"...)
		}
	}
	dst = append(append(dst, lines...), "\r\n"...)
	return append(AppendRetry(dst, retry), heartbeat...)
}

// AppendRefusal appends a whole answer to an EventSource that cannot be served for now: a stream
// that ends at once and says when to come back, because any status but 200 is final to an
// EventSource (WHATWG HTML, 9.2.3). Any goroutine.
func AppendRefusal(dst []byte, now time.Time, allowOrigin string, allowCredentials bool, retry time.Duration, reason string) []byte {
	dst = AppendHead(dst, now, allowOrigin, allowCredentials, nil, retry)
	return append(append(append(dst, ": "...), reason...), "\n\n"...)
}

// appendRefusal appends the answer to a request that is not served. status may have more header
// lines behind it; lines are more of them, each with its CRLF. An EventSource takes it for final.
func appendRefusal(dst []byte, now time.Time, status string, lines []byte, reason string) []byte {
	dst = appendDate(append(append(dst, "HTTP/1.1 "...), status...), now)
	dst = append(dst, "\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\nContent-Length: "...)
	dst = strconv.AppendInt(dst, int64(len(reason)+1), 10)
	dst = append(append(append(dst, "\r\n"...), lines...), "\r\n"...)
	return append(append(dst, reason...), '\n')
}

// appendDate appends the Date header's line, without its end, behind a line without its end.
func appendDate(dst []byte, now time.Time) []byte {
	return now.UTC().AppendFormat(append(dst, "\r\nDate: "...), timeFormat)
}

// AppendRetry appends the line that sets how long the client waits before it comes back, rounded
// down to milliseconds.
func AppendRetry(dst []byte, d time.Duration) []byte {
	dst = append(dst, "retry: "...)
	return append(strconv.AppendInt(dst, d.Milliseconds(), 10), '\n')
}

// NewEncoder returns the encoder of the form of streams with one topic, and of those without
// history. An event's id is the position of the message; in a topic without positions it is epoch,
// a dot and a number that no other event of this encoder has, in decimal. epoch should be different
// in every process that ever ran, and is free of CR, LF and NUL. Every subscriber gets a message
// under the same id, because a message is encoded once.
func NewEncoder(epoch string) broadcast.Encoder {
	prefix := append([]byte(epoch), '.')
	var last atomic.Uint64
	return func(dst []byte, m *broadcast.Message) []byte {
		if dst, ok := appendWatched(dst, m); ok {
			return dst
		}
		var room [64]byte
		if p, ok := m.Position(); ok {
			return AppendEvent(dst, history.AppendPosition(room[:0], p), m.Kind, m.Payload)
		}
		return AppendEvent(dst, strconv.AppendUint(append(room[:0], prefix...), last.Add(1), 10), m.Kind, m.Payload)
	}
}

// EncodeSeveral is an encoder for the size of the form of streams with several topics, whose events
// Handler.Encode makes: their ids are the stream's own.
func EncodeSeveral(dst []byte, m *broadcast.Message) []byte {
	return AppendEvent(dst, nil, m.Kind, m.Payload)
}

// AppendEvent appends one event: text and JSON as "message", line by line; bytes likewise if they
// are UTF-8 without a carriage return, which comes back from a client just as it was, and otherwise
// as "binary", in base64.
func AppendEvent(dst, id []byte, kind broadcast.Kind, payload []byte) []byte {
	if kind == broadcast.Binary && (bytes.IndexByte(payload, '\r') >= 0 || !utf8.Valid(payload)) {
		dst = appendID(append(dst, "event: binary\n"...), id)
		dst = base64.StdEncoding.AppendEncode(append(dst, "data: "...), payload)
		return append(dst, "\n\n"...)
	}
	dst = appendID(append(dst, "event: message\n"...), id)
	return append(appendData(dst, payload), '\n')
}

// appendID appends the line of an id; nil is none.
func appendID(dst, id []byte) []byte {
	if id == nil {
		return dst
	}
	return append(append(append(dst, "id: "...), id...), '\n')
}

// appendData appends p as data lines. A line ends at CR, LF or CRLF; the client puts LF between
// them.
func appendData(dst, p []byte) []byte {
	for {
		i := bytes.IndexAny(p, "\r\n")
		if i < 0 {
			return appendLine(dst, p)
		}
		dst = appendLine(dst, p[:i])
		if p[i] == '\r' && i+1 < len(p) && p[i+1] == '\n' {
			i++
		}
		p = p[i+1:]
	}
}

func appendLine(dst, line []byte) []byte {
	return append(append(append(dst, "data: "...), line...), '\n')
}

// AppendID appends an event without data: it is not seen by the page, and sets the id with which
// the client comes back (WHATWG HTML, 9.2.6).
func AppendID(dst, id []byte) []byte { return append(appendID(dst, id), '\n') }

// AppendReset appends the event that says that a stream does not begin where its client had ended,
// why, and where it begins.
func AppendReset(dst, id []byte, topic string, reset broadcast.Reset, at broadcast.Position) []byte {
	dst = appendID(append(dst, "event: reset\n"...), id)
	dst = jsontext.AppendString(append(dst, `data: {"topic":`...), topic)
	dst = append(append(append(dst, `,"reason":"`...), reset.String()...), '"')
	if at != (broadcast.Position{}) {
		dst = append(history.AppendPosition(append(dst, `,"offset":"`...), at), '"')
	}
	return append(dst, "}\n\n"...)
}

// AppendGap appends the event that says how many messages of a topic were dropped for this client.
// It has no id: there is nothing to resume from.
func AppendGap(dst []byte, topic string, missed uint64) []byte {
	dst = append(dst, "event: gap\ndata: {\"topic\":"...)
	dst = jsontext.AppendString(dst, topic)
	dst = strconv.AppendUint(append(dst, `,"missed":`...), missed, 10)
	return append(dst, "}\n\n"...)
}
