// A message: a token, which says what the message is, and padding, which shows whether a byte has
// changed.

package swarm

import (
	"bytes"
	"sync"
	"time"
)

// TokenBytes is the length of a token, and so the least size of a message.
const TokenBytes = 32

// Token stands in every message of a run, in printable characters that neither JSON nor HTTP
// changes.
type Token struct {
	Run    uint32
	Sender uint32
	Seq    uint64        // 48 bits travel
	Sent   time.Duration // Clock when the message was due; it travels in microseconds, of which there are 50 bits
}

// marker begins a token; 27 characters of six bits follow it: 32 of the run, 32 of the sender, 48
// of the number, 50 of the time.
var marker = []byte("~c1k:")

const (
	// SeqMax is the highest sequence number that a token can carry.
	SeqMax = 1<<48 - 1

	sentMax = 1<<50 - 1 // microseconds

	digits      = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	wordDigits  = 9 // a token is three words of nine digits
	notADigit   = 0xff
	markerBytes = TokenBytes - 3*wordDigits
)

var digitValues = func() (values [256]byte) {
	for i := range values {
		values[i] = notADigit
	}
	for i, d := range []byte(digits) {
		values[d] = byte(i)
	}
	return values
}()

// AppendToken appends t: TokenBytes bytes. Any goroutine.
func AppendToken(dst []byte, t Token) []byte {
	seq, sent := t.Seq&SeqMax, uint64(t.Sent/time.Microsecond)&sentMax
	dst = append(dst, marker...)
	dst = appendWord(dst, uint64(t.Run)<<22|uint64(t.Sender)>>10)
	dst = appendWord(dst, uint64(t.Sender)&(1<<10-1)<<44|seq>>4)
	return appendWord(dst, seq&(1<<4-1)<<50|sent)
}

func appendWord(dst []byte, w uint64) []byte {
	return append(dst, digits[w>>48&63], digits[w>>42&63], digits[w>>36&63], digits[w>>30&63], digits[w>>24&63],
		digits[w>>18&63], digits[w>>12&63], digits[w>>6&63], digits[w&63])
}

// FindToken finds the first token in p and says where it begins; at is -1 where there is none. Any
// goroutine.
func FindToken(p []byte) (t Token, at int) {
	for from := 0; ; {
		i := bytes.Index(p[from:], marker)
		if i < 0 || len(p)-from-i < TokenBytes {
			return Token{}, -1
		}
		if t, ok := parseToken(p[from+i+markerBytes:]); ok {
			return t, from + i
		}
		from += i + 1
	}
}

func parseToken(p []byte) (t Token, ok bool) {
	a, bad := parseWord(p[:wordDigits])
	b, alsoBad := parseWord(p[wordDigits : 2*wordDigits])
	c, badToo := parseWord(p[2*wordDigits : 3*wordDigits])
	if bad || alsoBad || badToo {
		return Token{}, false
	}
	return Token{
		Run:    uint32(a >> 22),
		Sender: uint32(a&(1<<22-1)<<10 | b>>44),
		Seq:    b&(1<<44-1)<<4 | c>>50,
		Sent:   time.Duration(c&sentMax) * time.Microsecond,
	}, true
}

func parseWord(p []byte) (w uint64, bad bool) {
	var seen byte
	for _, d := range p[:wordDigits] {
		v := digitValues[d]
		seen |= v
		w = w<<6 | uint64(v&63)
	}
	return w, seen&^63 != 0
}

// paddingPeriod is after how many characters the padding repeats itself: a prime, so that no
// message looks like another that was cut short.
const paddingPeriod = 61

// padding is what follows tokens, from different places on: a mebibyte, made when it is first
// needed, because a node has this package too.
var padding = sync.OnceValue(func() []byte {
	return bytes.Repeat([]byte(digits)[:paddingPeriod], 1+paddingBytesMax/paddingPeriod+1)
})

// AppendMessage appends a message of size bytes, at least TokenBytes and at most MessageBytesMax:
// t, and printable characters that follow from t. Any goroutine.
func AppendMessage(dst []byte, t Token, size int) []byte {
	return append(AppendToken(dst, t), paddingOf(t, size)...)
}

// paddingOf is what stands behind t in a message of size bytes. It is not to be changed.
func paddingOf(t Token, size int) []byte {
	from := int((uint64(t.Sender) + t.Seq + uint64(t.Sent/time.Microsecond)) % paddingPeriod)
	return padding()[from : from+min(max(size, TokenBytes), MessageBytesMax)-TokenBytes]
}

// whole tells whether p, which begins with t, has the rest of its message of size bytes behind it.
func whole(p []byte, t Token, size int) bool {
	return bytes.HasPrefix(p[TokenBytes:], paddingOf(t, size))
}
