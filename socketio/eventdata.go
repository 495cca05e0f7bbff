// Encoded events and arguments, which servers exchange.

package socketio

import (
	"encoding/json"
	"fmt"
	"slices"
	"unicode/utf8"
)

// Event is an event with its arguments, encoded. Immutable.
type Event struct {
	name string
	values
	args []any // the values that were passed to NewEvent; nil for ParseEvent
}

// NewEvent encodes an event. The arguments are those of Socket.Emit, without a function. The error
// says which argument cannot be encoded.
func NewEvent(name string, args ...any) (Event, error) {
	v, err := encodeEvent(name, args)
	return Event{name: name, values: v, args: args}, err
}

// ParseEvent decodes an event that another server has sent: a JSON array that begins with the name,
// and attachments, which objects {"_placeholder":true,"num":0} of the array refer to. The event
// keeps both slices; the caller must not change them. The error names the rule that they violate.
func ParseEvent(payload []byte, attachments [][]byte) (Event, error) {
	payload, elements, err := parseList(payload, attachments)
	if err != nil {
		return Event{}, err
	}
	if len(elements) == 0 {
		return Event{}, parseError(faultEvent)
	}
	name, bad := eventName(slices.Clone(elements[0]))
	if bad != "" {
		return Event{}, parseError(bad)
	}
	return Event{name: string(name), values: values{payload, attachments}}, nil
}

// Name returns the event's name.
func (e Event) Name() string { return e.name }

// Encoded returns the event in the form that ParseEvent takes. The caller must not change it.
func (e Event) Encoded() (payload []byte, attachments [][]byte) { return e.json, e.attachments }

// Args returns the arguments of the event.
func (e Event) Args() Args {
	elements, _ := splitArray(nil, e.json) // valid since it was made
	return Args{raw: elements[1:], attachments: e.attachments}
}

// goValues returns the event as Go values, for Socket.OnAnyOutgoing.
func (e Event) goValues() *eventValues {
	if e.args != nil {
		return &eventValues{e.name, e.args}
	}
	a := e.Args()
	h := &eventValues{e.name, make([]any, a.Len())}
	for i := range h.args {
		h.args[i], _ = a.tree(i) // valid since it was parsed
	}
	return h
}

// NewArgs encodes arguments: those of Socket.Emit, without a function. The error says which
// argument cannot be encoded.
func NewArgs(args ...any) (Args, error) {
	v := values{json: []byte{'['}}
	if err := v.rest(0, args); err != nil {
		return Args{}, err
	}
	elements, bad := splitArray(nil, v.json)
	if bad != "" {
		return Args{}, parseError(bad)
	}
	return Args{raw: elements, attachments: v.attachments}, nil
}

// ParseArgs decodes arguments that another server has sent: a JSON array and attachments, as for
// ParseEvent.
func ParseArgs(payload []byte, attachments [][]byte) (Args, error) {
	_, elements, err := parseList(payload, attachments)
	return Args{raw: elements, attachments: attachments}, err
}

// Encoded returns the arguments in the form that ParseArgs takes: a new array, and the attachments,
// which the caller must not change.
func (a Args) Encoded() (payload []byte, attachments [][]byte) {
	payload = append(payload, '[')
	for i, element := range a.raw {
		if i > 0 {
			payload = append(payload, ',')
		}
		payload = append(payload, element...)
	}
	return append(payload, ']'), a.attachments
}

// parseList checks a JSON array with attachments, and splits it. The first result has no space
// around it.
func parseList(payload []byte, attachments [][]byte) ([]byte, []json.RawMessage, error) {
	if len(attachments) > AttachmentsMax {
		return nil, nil, ErrAttachments
	}
	k := packet{kind: typeEvent, payload: payload}
	if bad := k.checkPayload(); bad != "" {
		return nil, nil, parseError(bad)
	}
	if !utf8.Valid(k.payload) {
		return nil, nil, parseError(faultJSON)
	}
	elements, bad := splitArray(nil, k.payload)
	if bad != "" {
		return nil, nil, parseError(bad)
	}
	// Also without attachments: a placeholder for a missing attachment must not reach clients.
	if _, bad := findPlaceholders(k.payload, len(attachments)); bad != "" {
		return nil, nil, parseError(bad)
	}
	return k.payload, elements, nil
}

func parseError(bad fault) error { return fmt.Errorf("socketio: from another server: %s", bad) }
