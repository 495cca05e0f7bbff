// Positions as text: EPOCH.OFFSET.

package history

import (
	"errors"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"c100k/broadcast"
)

// ErrPosition is returned for a text that is no position.
var ErrPosition = errors.New(`a position is an epoch, a dot and a number, as in "e1.41"`)

// AppendPosition appends the text of a position. Any goroutine.
func AppendPosition(dst []byte, p broadcast.Position) []byte {
	return strconv.AppendUint(append(append(dst, p.Epoch...), '.'), p.Offset, 10)
}

// FormatPosition is the text of a position.
func FormatPosition(p broadcast.Position) string { return string(AppendPosition(nil, p)) }

// ParsePosition reads the text of a position. The number is decimal, without a sign and without
// zeros in front, and has at most 64 bits. Any goroutine.
func ParsePosition(text string) (broadcast.Position, error) {
	dot := strings.LastIndexByte(text, '.')
	if dot < 1 || dot > EpochBytesMax {
		return broadcast.Position{}, ErrPosition
	}
	epoch, digits := text[:dot], text[dot+1:]
	for i := range len(epoch) {
		if c := epoch[i]; !(c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c == '-') {
			return broadcast.Position{}, ErrPosition
		}
	}
	if digits == "" || digits[0] == '0' && len(digits) > 1 || digits[0] == '+' || digits[0] == '-' {
		return broadcast.Position{}, ErrPosition
	}
	offset, err := strconv.ParseUint(digits, 10, 64)
	if err != nil {
		return broadcast.Position{}, ErrPosition
	}
	return broadcast.Position{Epoch: strings.Clone(epoch), Offset: offset}, nil
}

// Epochs makes epochs that no other topic has had, on any node. Any goroutine.
type Epochs struct {
	prefix string // of this process; random
	last   atomic.Uint64
}

// NewEpochs returns the epochs of a process with a random seed.
func NewEpochs(seed uint64) *Epochs {
	return &Epochs{prefix: strconv.FormatUint(seed>>24, 36) + "-"}
}

// Next is a new epoch.
func (e *Epochs) Next() string { return e.prefix + strconv.FormatUint(e.last.Add(1), 36) }

// From is where a client wants to begin. The zero value is now.
type From struct {
	kind   fromKind
	after  broadcast.Position
	last   int
	rewind time.Duration
}

type fromKind uint8

const (
	fromNow fromKind = iota
	fromAfter
	fromLast
	fromRewind
	fromUnknown
)

// After is behind a position.
func After(p broadcast.Position) From { return From{kind: fromAfter, after: p} }

// Unknown is behind a position that no topic has: the client is told so (reset).
func Unknown() From { return From{kind: fromUnknown} }

// Errors of a client's wish.
var (
	ErrLast   = errors.New("last is a number from 1 to 1000")
	ErrRewind = errors.New(`rewind is a duration of at least 1ms, as in "30s" or "5m"`)
	ErrTwice  = errors.New("after, last and rewind exclude each other")
)

// ParseFrom reads a client's wish; of the three texts at most one is not empty.
func ParseFrom(after, last, rewind string) (f From, err error) {
	given := 0
	for _, text := range []string{after, last, rewind} {
		if text != "" {
			given++
		}
	}
	if given > 1 {
		return f, ErrTwice
	}
	switch {
	case after != "":
		p, err := ParsePosition(after)
		return After(p), err
	case last != "":
		n, err := strconv.Atoi(last)
		if err != nil || n < 1 || n > LastMax || last[0] == '+' {
			return f, ErrLast
		}
		return From{kind: fromLast, last: n}, nil
	case rewind != "":
		d, err := time.ParseDuration(rewind)
		if err != nil || d < time.Millisecond || d > AgeMax {
			return f, ErrRewind
		}
		return From{kind: fromRewind, rewind: d}, nil
	}
	return f, nil
}

// IsNow tells whether nothing is asked for but what comes.
func (f From) IsNow() bool { return f.kind == fromNow }

// At is what Shard.Resume takes, at a time on the clock of the hub.
func (f From) At(now time.Duration) broadcast.From {
	switch f.kind {
	case fromAfter:
		return broadcast.After(f.after)
	case fromLast:
		return broadcast.Last(f.last)
	case fromRewind:
		return broadcast.Since(now - f.rewind)
	case fromUnknown:
		return broadcast.Unknown()
	}
	return broadcast.From{}
}
