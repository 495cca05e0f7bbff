// Messages between servers.

package siowire

import (
	"encoding/json"
	"errors"
	"strconv"
	"time"
	"unicode/utf8"

	"c100k/internal/jsontext"
)

// Type is the type of a message, with the numbers of Node's ClusterAdapter.
type Type uint8

// The types. Those from SocketIDs on exist in the classic format only.
const (
	InitialHeartbeat Type = iota + 1
	Heartbeat
	Broadcast
	SocketsJoin
	SocketsLeave
	DisconnectSockets
	FetchSockets
	FetchSocketsAnswer
	ServerSideEmit
	ServerSideEmitAnswer
	BroadcastClientCount
	BroadcastAck
	AdapterClose

	SocketIDs // asks for the ids of the sockets in rooms
	AllRooms  // asks for the names of all rooms
	JoinOne   // one socket, by its id, into one room
	LeaveOne
	DisconnectOne
	Answer // of the classic format: to what, only the server that asked knows
)

// EmitterUID is the UID of messages of npm emitters, which are no servers.
const EmitterUID = "emitter"

// Message is what one server tells the others, or answers. Which fields have a meaning depends on
// Type.
type Message struct {
	Type      Type
	UID       string // of the sender; "" or EmitterUID: of an emitter; "" too if a classic answer does not have it
	Namespace string // with its slash
	RequestID string // "": no answer is wanted
	To        string // of an answer: the UID of the server that asked

	// The sockets that are meant.
	Rooms, Except []string

	// Of a broadcast.
	Volatile   bool
	NoCompress bool
	Timeout    time.Duration // of acknowledgements; 0: not said

	// Payload is JSON: an array for an event, one value for an answer (nil: undefined).
	Payload     []byte
	Attachments [][]byte

	Names   []string          // rooms to join or leave; rooms of an answer
	Close   bool              // disconnect the connection, not only the namespace
	Socket  string            // the id of the socket of JoinOne, LeaveOne, DisconnectOne
	Sockets []json.RawMessage // of an answer: objects, or ids; nil: the field is not there
	Clients int               // of BroadcastClientCount
	Failed  string            // of an answer: why it has no result; only c100k writes it
}

// Errors of the decoders.
var (
	ErrFormat    = errors.New("siowire: not a message of this format")
	ErrType      = errors.New("siowire: unknown type of message")
	ErrTooLarge  = errors.New("siowire: too large")
	ErrSelection = errors.New("siowire: too many rooms")
)

// undefined is how a value that is not there is told from null.
func (m *Message) undefined() bool { return m.Payload == nil }

func appendNames(dst []byte, names []string) []byte {
	dst = append(dst, '[')
	for i, name := range names {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = jsontext.AppendString(dst, validText(name))
	}
	return append(dst, ']')
}

// validText replaces what is not UTF-8, as JavaScript does. A name that it changes is no longer the
// room's, and no other server can have a room of that name.
func validText(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return string([]rune(s))
}

// names is a list of rooms in JSON. Rooms that no socket can be in are left out.
type names struct {
	list []string
	some bool // there were any at all
}

// UnmarshalJSON reads a list, or null.
func (n *names) UnmarshalJSON(p []byte) error {
	var raw []json.RawMessage
	if err := json.Unmarshal(p, &raw); err != nil {
		return err
	}
	if len(raw) > SelectionMax {
		return ErrSelection
	}
	n.list, n.some = make([]string, 0, len(raw)), len(raw) > 0
	for _, r := range raw {
		if name, ok := roomName(r); ok {
			n.list = append(n.list, name)
		}
	}
	return nil
}

// selected returns the rooms of a selection. Where there were only rooms that no socket can be in,
// it is one of these, because a list of none would mean everybody.
func (n *names) selected() []string {
	if n.some && len(n.list) == 0 {
		return []string{noRoom}
	}
	return n.list
}

// roomName reads a room: a string, or a number as JavaScript writes it. No socket can be in a room
// with a longer name than RoomBytesMax.
func roomName(raw []byte) (name string, ok bool) {
	if len(raw) == 0 || len(raw) > 6*RoomBytesMax+2 {
		return "", false
	}
	switch {
	case raw[0] == '"':
		if json.Unmarshal(raw, &name) != nil || len(name) > RoomBytesMax {
			return "", false
		}
		return name, true
	case raw[0] == '-' || '0' <= raw[0] && raw[0] <= '9':
		f, err := strconv.ParseFloat(string(raw), 64)
		if err != nil {
			return "", false
		}
		return numberName(f), true
	}
	return "", false
}

// numberName returns the text of a number as JavaScript writes those that people use as rooms.
func numberName(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
