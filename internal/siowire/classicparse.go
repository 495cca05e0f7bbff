// Decoding of the format of npm @socket.io/redis-adapter.

package siowire

import (
	"encoding/json"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"c100k/internal/sio"

	"github.com/tinylib/msgp/msgp"
)

// FromSelf reports whether a broadcast is of the server with that UID, without decoding it.
func (Classic) FromSelf(p []byte, uid string) bool {
	n, p, err := msgp.ReadArrayHeaderBytes(p)
	if err != nil || n == 0 {
		return false
	}
	from, _, err := msgp.ReadStringZC(p)
	return err == nil && string(from) == uid
}

// ParseBroadcast decodes a message of a channel of broadcasts.
func (Classic) ParseBroadcast(p []byte) (m Message, err error) {
	if len(p) > MessageBytesMax {
		return m, ErrTooLarge
	}
	n, p, err := msgp.ReadArrayHeaderBytes(p)
	if err != nil || n < 3 {
		return m, ErrFormat
	}
	m.Type = Broadcast
	if m.UID, p, err = readID(p); err != nil {
		return m, ErrFormat
	}
	if p, err = m.readPacket(p); err != nil {
		return m, err
	}
	if _, err = m.readOptions(p); err != nil {
		return m, err
	}
	if m.Payload == nil {
		return m, ErrFormat
	}
	return m, nil
}

// readID reads a short text; nil is an empty one.
func readID(p []byte) (id string, rest []byte, err error) {
	if msgp.IsNil(p) {
		p, err = msgp.ReadNilBytes(p)
		return "", p, err
	}
	text, p, err := msgp.ReadStringZC(p)
	if err != nil || len(text) > IDBytesMax || !utf8.Valid(text) {
		return "", nil, ErrFormat
	}
	return string(text), p, nil
}

// readPacket reads the packet of a broadcast.
func (m *Message) readPacket(p []byte) (rest []byte, err error) {
	n, p, err := msgp.ReadMapHeaderBytes(p)
	if err != nil {
		return nil, ErrFormat
	}
	m.Namespace = "/"
	event := false
	for range n {
		var name []byte
		if name, p, err = msgp.ReadMapKeyZC(p); err != nil {
			return nil, ErrFormat
		}
		switch string(name) {
		case "type":
			var kind uint64
			kind, p, err = msgp.ReadUint64Bytes(p)
			event = kind == packetEvent
		case "nsp":
			var nsp []byte
			nsp, p, err = msgp.ReadStringZC(p)
			m.Namespace = string(nsp)
		case "data":
			var ok bool
			m.Payload, m.Attachments, p, ok = sio.ReadMsgpack(nil, nil, p, AttachmentsMax)
			if !ok || m.Payload[0] != '[' {
				return nil, ErrFormat
			}
		default:
			p, err = msgp.Skip(p)
		}
		if err != nil {
			return nil, ErrFormat
		}
	}
	if !event {
		return nil, ErrType
	}
	return p, nil
}

// readOptions reads who gets a broadcast, and its flags.
func (m *Message) readOptions(p []byte) (rest []byte, err error) {
	n, p, err := msgp.ReadMapHeaderBytes(p)
	if err != nil {
		return nil, ErrFormat
	}
	for range n {
		var name []byte
		if name, p, err = msgp.ReadMapKeyZC(p); err != nil {
			return nil, ErrFormat
		}
		switch string(name) {
		case "rooms":
			var more bool
			if m.Rooms, more, p, err = readNames(p); more && len(m.Rooms) == 0 {
				m.Rooms = []string{noRoom}
			}
		case "except":
			m.Except, _, p, err = readNames(p)
		case "flags":
			p, err = m.readFlags(p)
		default:
			p, err = msgp.Skip(p)
		}
		if err != nil {
			return nil, err
		}
	}
	return p, nil
}

// noRoom stands for rooms that no socket can be in, where a list of none would mean everybody. It
// is longer than the name of a room can be.
var noRoom = strings.Repeat("\x00", RoomBytesMax+1)

// readNames reads a list of rooms. Those that no socket can be in are left out; some reports
// whether there were any at all.
func readNames(p []byte) (list []string, some bool, rest []byte, err error) {
	if msgp.IsNil(p) {
		p, err = msgp.ReadNilBytes(p)
		return nil, false, p, err
	}
	n, p, err := msgp.ReadArrayHeaderBytes(p)
	switch {
	case err != nil:
		return nil, false, nil, ErrFormat
	case n > SelectionMax:
		return nil, false, nil, ErrSelection
	case int(n) > len(p):
		return nil, false, nil, ErrFormat
	case n > 0:
		list = make([]string, 0, n)
	}
	for range n {
		switch msgp.NextType(p) {
		case msgp.StrType:
			var name []byte
			name, p, err = msgp.ReadStringZC(p)
			if err == nil && len(name) <= RoomBytesMax && utf8.Valid(name) {
				list = append(list, string(name))
			}
		case msgp.IntType, msgp.UintType, msgp.Float32Type, msgp.Float64Type:
			var f float64
			f, p, err = readNumber(p)
			list = append(list, numberName(f))
		default:
			p, err = msgp.Skip(p)
		}
		if err != nil {
			return nil, false, nil, ErrFormat
		}
	}
	return list, n > 0, p, nil
}

// readNumber reads a number of any type.
func readNumber(p []byte) (f float64, rest []byte, err error) {
	switch msgp.NextType(p) {
	case msgp.IntType:
		var v int64
		v, p, err = msgp.ReadInt64Bytes(p)
		return float64(v), p, err
	case msgp.UintType:
		var v uint64
		v, p, err = msgp.ReadUint64Bytes(p)
		return float64(v), p, err
	}
	return msgp.ReadFloat64Bytes(p)
}

func (m *Message) readFlags(p []byte) (rest []byte, err error) {
	if msgp.IsNil(p) {
		return msgp.ReadNilBytes(p)
	}
	n, p, err := msgp.ReadMapHeaderBytes(p)
	if err != nil {
		return nil, ErrFormat
	}
	for range n {
		var name []byte
		if name, p, err = msgp.ReadMapKeyZC(p); err != nil {
			return nil, ErrFormat
		}
		isBool := msgp.NextType(p) == msgp.BoolType
		switch {
		case isBool && string(name) == "volatile":
			m.Volatile, p, err = msgp.ReadBoolBytes(p)
		case isBool && string(name) == "compress":
			m.NoCompress, p, err = msgp.ReadBoolBytes(p)
			m.NoCompress = !m.NoCompress
		default:
			p, err = msgp.Skip(p)
		}
		if err != nil {
			return nil, ErrFormat
		}
	}
	return p, nil
}

// text returns a message as JSON, and its binary values.
func text(p []byte, attachmentsMax int) (text []byte, attachments [][]byte, err error) {
	if len(p) > 0 && p[0] == '{' {
		if !utf8.Valid(p) {
			return nil, nil, ErrFormat
		}
		return p, nil, nil
	}
	text, attachments, _, ok := sio.ReadMsgpack(nil, nil, p, attachmentsMax)
	if !ok || text[0] != '{' {
		return nil, nil, ErrFormat
	}
	return text, attachments, nil
}

// selectionJSON is who is meant, and the flags of a broadcast.
type selectionJSON struct {
	Rooms  names `json:"rooms"`
	Except names `json:"except"`
	Flags  struct {
		Volatile any     `json:"volatile"`
		Compress any     `json:"compress"`
		Timeout  float64 `json:"timeout"`
	} `json:"flags"`
}

func (m *Message) take(s *selectionJSON) {
	m.Rooms, m.Except = s.Rooms.selected(), s.Except.list
	m.Volatile, m.NoCompress = s.Flags.Volatile == true, s.Flags.Compress == false
	m.Timeout = milliseconds(s.Flags.Timeout)
}

// milliseconds returns a duration of at most a day; 0 if the number is none.
func milliseconds(ms float64) time.Duration {
	if math.IsNaN(ms) || ms <= 0 {
		return 0
	}
	return time.Duration(math.Min(ms, 86_400_000)) * time.Millisecond
}

type packetJSON struct {
	Type int             `json:"type"`
	Data json.RawMessage `json:"data"`
	NSP  string          `json:"nsp"`
}

type classicRequestJSON struct {
	UID       string          `json:"uid"`
	RequestID string          `json:"requestId"`
	Type      *int            `json:"type"`
	Opts      *selectionJSON  `json:"opts"`
	Rooms     names           `json:"rooms"`
	Close     bool            `json:"close"`
	SID       string          `json:"sid"`
	Room      json.RawMessage `json:"room"`
	Data      json.RawMessage `json:"data"`
	Packet    *packetJSON     `json:"packet"`
}

// ParseRequest decodes a message of a channel of requests. Its namespace is that of the channel.
func (Classic) ParseRequest(nsp string, p []byte) (m Message, err error) {
	if len(p) > MessageBytesMax {
		return m, ErrTooLarge
	}
	p, attachments, err := text(p, AttachmentsMax)
	if err != nil {
		return m, err
	}
	var r classicRequestJSON
	if json.Unmarshal(p, &r) != nil || r.Type == nil || len(r.UID) > IDBytesMax || len(r.RequestID) > IDBytesMax {
		return m, ErrFormat
	}
	m = Message{UID: r.UID, Namespace: nsp, RequestID: r.RequestID}
	if *r.Type < 0 || *r.Type > classicBroadcast {
		return m, ErrType
	}
	m.Type = [...]Type{SocketIDs, AllRooms, SocketsJoin, SocketsLeave, DisconnectSockets, FetchSockets, ServerSideEmit, Broadcast}[*r.Type]
	if r.Opts != nil {
		m.take(r.Opts)
	}
	switch m.Type {
	case SocketIDs:
		m.Rooms = r.Rooms.selected()
	case SocketsJoin, SocketsLeave, DisconnectSockets:
		m.Names, m.Close = r.Rooms.list, r.Close
		if r.Opts != nil {
			break
		}
		m.Type += JoinOne - SocketsJoin
		m.Socket = r.SID
		if name, ok := roomName(r.Room); ok {
			m.Names = []string{name}
		} else if m.Type != DisconnectOne {
			return m, ErrFormat
		}
		if m.Socket == "" || len(m.Socket) > RoomBytesMax {
			return m, ErrFormat
		}
	case FetchSockets:
		if r.Opts == nil {
			return m, ErrFormat
		}
	case ServerSideEmit:
		m.Payload, m.Attachments = r.Data, attachments
	case Broadcast:
		if r.Opts == nil || r.Packet == nil || r.RequestID == "" {
			return m, ErrFormat
		}
		if r.Packet.Type != packetEvent || r.Packet.NSP != nsp && r.Packet.NSP != "" {
			return m, ErrType
		}
		m.Payload, m.Attachments = r.Packet.Data, attachments
	}
	return m, nil
}

type classicResponseJSON struct {
	Type        *int              `json:"type"`
	RequestID   string            `json:"requestId"`
	Sockets     []json.RawMessage `json:"sockets"`
	Rooms       names             `json:"rooms"`
	Data        json.RawMessage   `json:"data"`
	ClientCount int               `json:"clientCount"`
	Packet      json.RawMessage   `json:"packet"`
	UID         string            `json:"uid"`
	Failed      string            `json:"failed"`
}

// ParseResponse decodes a message of a channel of responses. Its namespace is that of the channel.
func (Classic) ParseResponse(nsp string, p []byte) (m Message, err error) {
	if len(p) > AnswerBytesMax {
		return m, ErrTooLarge
	}
	p, attachments, err := text(p, AttachmentsMax)
	if err != nil {
		return m, err
	}
	var r classicResponseJSON
	if json.Unmarshal(p, &r) != nil || len(r.UID) > IDBytesMax || len(r.RequestID) > IDBytesMax || r.RequestID == "" {
		return m, ErrFormat
	}
	m = Message{
		Type: Answer, UID: r.UID, Namespace: nsp, RequestID: r.RequestID, Sockets: r.Sockets, Names: r.Rooms.list,
		Failed: r.Failed, Attachments: attachments,
	}
	if r.Type == nil {
		return m, nil
	}
	switch *r.Type {
	case classicServerSideEmit:
		m.Type, m.Payload = ServerSideEmitAnswer, r.Data
	case classicClientCount:
		m.Type, m.Clients = BroadcastClientCount, r.ClientCount
	case classicAck:
		m.Type, m.Payload = BroadcastAck, r.Packet
	default:
		return m, ErrType
	}
	return m, nil
}
