// How a connection ends: close codes and close frames (RFC 6455, sections 5.5.1 and 7.4), and the
// errors that illegal input gives, each with the code to answer it with.

package frame

import (
	"encoding/binary"
	"strings"
	"unicode/utf8"
)

// Close codes that a node sends or reports. A peer may send any of 1000 to 1003, 1007 to 1014 and
// 3000 to 4999.
const (
	CodeNormal      uint16 = 1000 // the purpose is fulfilled
	CodeGoingAway   uint16 = 1001 // server goes down, or browser left the page
	CodeProtocol    uint16 = 1002 // protocol error
	CodeUnsupported uint16 = 1003 // a kind of data that the endpoint does not take
	CodeNoStatus    uint16 = 1005 // stands for a close frame without a code; never on the wire
	CodeInvalidData uint16 = 1007 // text that is not UTF-8, corrupt compression
	CodePolicy      uint16 = 1008 // policy violation
	CodeTooBig      uint16 = 1009 // message over the limit
	CodeInternal    uint16 = 1011 // the server failed
	CodeRestart     uint16 = 1012 // service restart: come back
	CodeTryLater    uint16 = 1013 // overload: come back later
)

// validCode reports whether a code may be on the wire. ws.CheckCloseFrameData is not asked, as it
// rejects 1012 to 1014, which IANA has registered since.
func validCode(code uint16) bool {
	switch {
	case code >= 1000 && code <= 1003, code >= 1007 && code <= 1014:
		return true
	default:
		// RFC 6455, 7.4.2: 3000-3999 for libraries, 4000-4999 for private use.
		return code >= 3000 && code <= 4999
	}
}

// ParseClose reads the payload of a close frame. Without a code it returns CodeNoStatus. err is an
// *Error: CodeProtocol for half a code or a code that may not be on the wire, ErrNotUTF8 for the
// reason. payload is not kept.
func ParseClose(payload []byte) (code uint16, reason string, err error) {
	if len(payload) == 0 {
		// RFC 6455, 7.1.5: if the close frame contains no status code, the code is considered to be
		// 1005.
		return CodeNoStatus, "", nil
	}
	// RFC 6455, 5.5.1: if there is a body, the first two bytes MUST be a 2-byte unsigned integer.
	if len(payload) < 2 {
		return 0, "", errCloseLength
	}
	if code = binary.BigEndian.Uint16(payload); !validCode(code) {
		return 0, "", errCloseCode
	}
	// RFC 6455, 8.1: when the bytes are to be interpreted as UTF-8 and are not, the connection MUST
	// be failed.
	if !utf8.Valid(payload[2:]) {
		return 0, "", ErrNotUTF8
	}
	return code, string(payload[2:]), nil
}

// AppendClose appends a server's close frame. A code that may not be on the wire, CodeNoStatus or
// 0, gives a frame without a body: so the result of ParseClose can be passed on. The reason is cut
// at CloseReasonBytesMax bytes on a character boundary; bytes that are not UTF-8 are replaced.
func AppendClose(dst []byte, code uint16, reason string) []byte {
	start := len(dst)
	dst = append(dst, bitFin|byte(OpClose), 0)
	dst = AppendCloseBody(dst, code, reason)
	dst[start+1] = byte(len(dst) - start - 2)
	return dst
}

// AppendCloseBody appends the payload of a close frame, as AppendClose does; clients pass it to
// AppendMasked.
func AppendCloseBody(dst []byte, code uint16, reason string) []byte {
	if !validCode(code) {
		return dst
	}
	dst = binary.BigEndian.AppendUint16(dst, code)
	return append(dst, cutReason(reason)...)
}

// cutReason makes a reason fit for the wire.
func cutReason(reason string) string {
	reason = strings.ToValidUTF8(reason, "\uFFFD")
	if len(reason) <= CloseReasonBytesMax {
		return reason
	}
	cut := CloseReasonBytesMax
	for !utf8.RuneStart(reason[cut]) {
		cut--
	}
	return reason[:cut]
}

// Error says why a connection must end. Code and Reason fit a close frame ([AppendClose]). The
// values are static: compare them with errors.Is.
type Error struct {
	Code   uint16 // close code to send: CodeProtocol, CodeInvalidData or CodeTooBig
	Reason string // at most CloseReasonBytesMax bytes, for a person to read
}

// Error returns the reason.
func (e *Error) Error() string { return "websocket: " + e.Reason }

// The errors that callers may want to tell apart; all others carry CodeProtocol.
var (
	// ErrTooBig is returned by Reader.Next and Inflate for a message over the limit, declared,
	// gathered or inflated.
	ErrTooBig = &Error{CodeTooBig, "message too big"}
	// ErrCorrupt is returned by Reader.Next and Inflate for data that is not DEFLATE.
	ErrCorrupt = &Error{CodeInvalidData, "corrupt compressed data"}
	// ErrNotUTF8 is returned by Reader.Next for text, and by ParseClose for a reason, that is not
	// UTF-8.
	ErrNotUTF8 = &Error{CodeInvalidData, "text is not UTF-8"}
)

var (
	errReserved       = &Error{CodeProtocol, "reserved bit set"}
	errOpCode         = &Error{CodeProtocol, "reserved opcode"}
	errControlSplit   = &Error{CodeProtocol, "fragmented control frame"}
	errControlLength  = &Error{CodeProtocol, "control frame longer than 125 bytes"}
	errUnmasked       = &Error{CodeProtocol, "client frame is not masked"}
	errMasked         = &Error{CodeProtocol, "server frame is masked"}
	errLengthForm     = &Error{CodeProtocol, "length is not in its shortest form"}
	errLengthSign     = &Error{CodeProtocol, "length has its most significant bit set"}
	errContinuation   = &Error{CodeProtocol, "continuation of no message"}
	errNoContinuation = &Error{CodeProtocol, "new message inside a fragmented one"}
	errCloseLength    = &Error{CodeProtocol, "close frame with half a code"}
	errCloseCode      = &Error{CodeProtocol, "invalid close code"}
)
