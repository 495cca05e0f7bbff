// The ways in which input can be illegal, as values that carry the close code to answer with.

package frame

// Error says why a connection must end. Code and Reason fit a close frame ([AppendClose]). The values are static: compare them with errors.Is.
type Error struct {
	Code   uint16 // close code to send: CodeProtocol, CodeInvalidData or CodeTooBig
	Reason string // at most CloseReasonBytesMax bytes, for a person to read
}

// Error returns the reason.
func (e *Error) Error() string { return "websocket: " + e.Reason }

// The errors that callers may want to tell apart; all others carry CodeProtocol.
var (
	// ErrTooBig is returned by Reader.Next and Inflate for a message over the limit, declared, gathered or inflated.
	ErrTooBig = &Error{CodeTooBig, "message too big"}
	// ErrCorrupt is returned by Reader.Next and Inflate for data that is not DEFLATE.
	ErrCorrupt = &Error{CodeInvalidData, "corrupt compressed data"}
	// ErrNotUTF8 is returned by Reader.Next for text, and by ParseClose for a reason, that is not UTF-8.
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
