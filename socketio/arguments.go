// Encoding of arguments: Go values become JSON and attachments.

package socketio

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"

	"c100k/internal/jsontext"
)

// Errors of Emit and similar methods, in addition to those of encoding/json.
var (
	// ErrEventName: the name is reserved (connect, connect_error, disconnect, disconnecting,
	// newListener, removeListener), or is longer than EventBytesMax.
	ErrEventName = errors.New("socketio: an event cannot have this name")
	// ErrAttachments: the arguments have more than AttachmentsMax binary values. No client accepts
	// more.
	ErrAttachments = errors.New("socketio: too many binary attachments in one packet")
	// ErrRaw: a json.RawMessage is not valid JSON.
	ErrRaw = errors.New("socketio: a json.RawMessage is not JSON")
	// ErrDepth: arrays and objects are nested more than 64 levels deep, the list of arguments
	// included. A server of this package refuses such a packet.
	ErrDepth = errors.New("socketio: an argument is nested too deeply")
)

// Binary is a []byte that a MarshalJSON of the program can write: it becomes an attachment where
// encoding/json would make base64 text of a []byte. Elsewhere it is the same as a []byte, which is
// sent as binary at any depth of an argument.
type Binary []byte

// binaryMark is the start of a Binary in JSON, until takeBinary replaces it by a placeholder. It
// has a random part, so that no other value can have it.
var binaryMark = []byte(`{"_binary":"` + rand.Text() + `","data":"`)

// binaryEnd is the end of a Binary in JSON.
const binaryEnd = `"}`

// MarshalJSON writes a form that only Emit and similar methods of this package understand.
func (b Binary) MarshalJSON() ([]byte, error) {
	p := base64.StdEncoding.AppendEncode(bytes.Clone(binaryMark), b)
	return append(p, binaryEnd...), nil
}

// UnmarshalJSON takes base64 text, as encoding/json does for a []byte.
func (b *Binary) UnmarshalJSON(p []byte) error { return json.Unmarshal(p, (*[]byte)(b)) }

// values are encoded arguments: JSON and its attachments.
type values struct {
	json        []byte
	attachments [][]byte
}

// encodeEvent encodes the payload of an event.
func encodeEvent(event string, args []any) (v values, err error) {
	if reservedEvents[event] || len(event) > EventBytesMax {
		return v, fmt.Errorf("%w: %q", ErrEventName, event)
	}
	v.json = make([]byte, 0, 64)
	v.json = jsontext.AppendString(append(v.json, '['), validText(event))
	if err := v.rest(1, args); err != nil {
		return v, fmt.Errorf("event %q: %w", event, err)
	}
	return v, nil
}

// encodeAck encodes the packet of an acknowledgement. Without attachments, as in nearly all cases,
// it is written into its final buffer at once.
func encodeAck(parser Parser, namespace string, id uint64, args []any) (outgoing, error) {
	k := packet{kind: typeAck, namespace: []byte(namespace), hasID: true, id: id}
	v := values{json: appendPacket(make([]byte, 0, len(namespace)+packetHeadBytes+roughSize(args)), &k)}
	head := len(v.json)
	v.json = append(v.json, '[')
	if err := v.rest(0, args); err != nil {
		return outgoing{}, fmt.Errorf("acknowledgement: %w", err)
	}
	if parser == ParserJSON && len(v.attachments) == 0 {
		return outgoing{text: v.json}, nil
	}
	k.payload = v.json[head:]
	return *newOutgoing(parser, &k, v.attachments, flags{}), nil
}

// roughSize estimates the length of the encoded arguments with brackets, in bytes. It is right for
// plain text.
func roughSize(args []any) int {
	n := len("[]")
	for _, arg := range args {
		switch a := arg.(type) {
		case string:
			n += len(a) + len(`"",`)
		case json.RawMessage:
			n += len(a) + len(",")
		default:
			n += 24
		}
	}
	return n
}

// rest appends the arguments to an array that has so many elements, and the closing bracket.
func (v *values) rest(elements int, args []any) error {
	for i, arg := range args {
		if elements+i > 0 {
			v.json = append(v.json, ',')
		}
		if err := v.value(arg); err != nil {
			return fmt.Errorf("argument %d: %w", i+1, err)
		}
	}
	if len(v.attachments) > AttachmentsMax {
		return ErrAttachments
	}
	v.json = append(v.json, ']')
	return nil
}

// value appends one argument. Frequent types are encoded without reflection.
func (v *values) value(arg any) error {
	switch a := arg.(type) {
	case string, bool, int, int64, float64:
		return v.plain(arg, 1)
	case []byte:
		v.attach(bytes.Clone(a))
	case json.RawMessage:
		if !isJSON(a) {
			return ErrRaw
		}
		v.json = append(v.json, a...)
	default:
		return v.marshal(reflect.ValueOf(arg), 1)
	}
	return nil
}

// validText replaces invalid UTF-8: a text message must be valid.
func validText(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return strings.ToValidUTF8(s, "\ufffd")
}

func isJSON(p []byte) bool {
	end, wrong := jsontext.SkipValue(p, jsontext.SkipSpace(p, 0), 1)
	return wrong == "" && jsontext.SkipSpace(p, end) == len(p) && utf8.Valid(p)
}

func (v *values) attach(data []byte) {
	v.json = appendPlaceholder(v.json, len(v.attachments))
	v.attachments = append(v.attachments, data)
}

// takeBinary appends p with each Binary in it made an attachment.
func (v *values) takeBinary(p []byte) error {
	for {
		before, rest, found := bytes.Cut(p, binaryMark)
		v.json = append(v.json, before...)
		if !found {
			return nil
		}
		text, rest, _ := bytes.Cut(rest, []byte(binaryEnd))
		data, err := base64.StdEncoding.AppendDecode(nil, text)
		if err != nil {
			return err
		}
		v.attach(data)
		p = rest
	}
}
