// What a topic may be called.

package broadcast

import (
	"errors"
	"unicode"
	"unicode/utf8"
)

// Errors of ValidTopic, and so of Publish and Subscribe.
var (
	ErrTopicEmpty   = errors.New("topic is empty")
	ErrTopicLong    = errors.New("topic is longer than 255 bytes")
	ErrTopicUTF8    = errors.New("topic is not UTF-8")
	ErrTopicControl = errors.New("topic has a control character")
)

// ValidTopic says whether name may be a topic: 1 to TopicBytesMax bytes of UTF-8 without control
// characters (U+0000 to U+001F and U+007F to U+009F). It returns nil or one of the ErrTopic errors.
// Any goroutine.
func ValidTopic(name string) error {
	switch {
	case name == "":
		return ErrTopicEmpty
	case len(name) > TopicBytesMax:
		return ErrTopicLong
	}
	for i := range len(name) {
		switch c := name[i]; {
		case c >= utf8.RuneSelf:
			return validRunes(name[i:])
		case c < ' ' || c == 0x7f:
			return ErrTopicControl
		}
	}
	return nil
}

// validRunes is ValidTopic for the rest of a name from its first byte outside ASCII on.
func validRunes(rest string) error {
	if !utf8.ValidString(rest) {
		return ErrTopicUTF8
	}
	for _, r := range rest {
		if unicode.IsControl(r) {
			return ErrTopicControl
		}
	}
	return nil
}
