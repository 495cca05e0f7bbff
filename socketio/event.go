// Splitting of a payload into the name of an event and its arguments. Pure; any goroutine.

package socketio

import (
	"encoding/json"

	"c100k/internal/jsontext"
)

// reservedEvents are names that no event may have: client or server emit events of these names
// themselves.
var reservedEvents = map[string]bool{
	"connect": true, "connect_error": true, "disconnect": true, "disconnecting": true, "newListener": true, "removeListener": true,
}

// splitArray appends the raw elements of a JSON array to dst. The array must be valid.
func splitArray(dst []json.RawMessage, p []byte) ([]json.RawMessage, fault) {
	i := jsontext.SkipSpace(p, 1) // p[0] is the bracket
	if p[i] == ']' {
		return dst, ""
	}
	for {
		i = jsontext.SkipSpace(p, i)
		end, wrong := jsontext.SkipValue(p, i, 1)
		if wrong != "" {
			return dst, faultJSON
		}
		if len(dst) > ArgumentsMax { // one more: the first may be the name of an event
			return dst, faultArguments
		}
		dst = append(dst, p[i:end:end])
		next, last, wrong := jsontext.SkipComma(p, end, ']')
		if wrong != "" {
			return dst, faultJSON
		}
		if last {
			return dst, ""
		}
		i = next
	}
}

// eventName reads an event's name, the first element of its payload: a string that is not reserved,
// or a number, whose text is the name. The result may be a slice of raw, which is overwritten.
func eventName(raw []byte) ([]byte, fault) {
	switch {
	case raw[0] == '"':
		name, wrong := jsontext.Unescape(raw[1 : len(raw)-1])
		switch {
		case wrong != "" || len(name) > EventBytesMax:
			return nil, faultEvent
		case reservedEvents[string(name)]:
			return nil, faultReserved
		}
		return name, ""
	case raw[0] == '-' || '0' <= raw[0] && raw[0] <= '9':
		if len(raw) > EventBytesMax {
			return nil, faultEvent
		}
		return raw, ""
	}
	return nil, faultEvent
}

// splitEvent splits an event into name and arguments. It uses dst, which must be empty, for the
// elements. It overwrites p, and the results are slices of p.
func splitEvent(dst []json.RawMessage, p []byte) (name []byte, args []json.RawMessage, bad fault) {
	args, bad = splitArray(dst, p)
	switch {
	case bad != "":
		return nil, nil, bad
	case len(args) == 0:
		return nil, nil, faultEvent
	}
	name, bad = eventName(args[0])
	return name, args[1:], bad
}

// cloneArgs copies arguments out of the read buffer, in one allocation.
func cloneArgs(args []json.RawMessage) []json.RawMessage {
	size := 0
	for _, a := range args {
		size += len(a)
	}
	room := make([]byte, 0, size)
	clone := make([]json.RawMessage, len(args))
	for i, a := range args {
		at := len(room)
		room = append(room, a...)
		clone[i] = room[at:len(room):len(room)]
	}
	return clone
}
