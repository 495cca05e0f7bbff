// The payload of a message: a token, and around it what shows whether a byte has changed.

package swarm

import (
	"bytes"
	"time"
)

// paddingPeriod is after how many characters the padding repeats itself: a prime, so that no
// message looks like another that was cut short.
const paddingPeriod = 61

// padding is what follows tokens, from different places on.
var padding = bytes.Repeat([]byte(digits)[:paddingPeriod], 1+paddingBytesMax/paddingPeriod+1)

// AppendMessage appends a message of size bytes, at least TokenBytes and at most MessageBytesMax:
// t, and printable characters that follow from t. Any goroutine.
func AppendMessage(dst []byte, t Token, size int) []byte {
	return append(AppendToken(dst, t), paddingOf(t, size)...)
}

// paddingOf is what stands behind t in a message of size bytes. It is not to be changed.
func paddingOf(t Token, size int) []byte {
	from := int((uint64(t.Sender) + t.Seq + uint64(t.Sent/time.Microsecond)) % paddingPeriod)
	return padding[from : from+min(max(size, TokenBytes), MessageBytesMax)-TokenBytes]
}

// whole tells whether p, which begins with t, has the rest of its message of size bytes behind it.
func whole(p []byte, t Token, size int) bool {
	return bytes.HasPrefix(p[TokenBytes:], paddingOf(t, size))
}
