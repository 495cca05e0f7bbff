// The format of the ClusterAdapter of npm socket.io-adapter: one object for each message.

package siowire

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strconv"

	"c100k/internal/sio"

	"github.com/tinylib/msgp/msgp"
)

// AppendCluster appends a message as the sharded adapter does: as JSON, or as MessagePack if it has
// binary values.
func AppendCluster(dst []byte, m *Message) []byte {
	if len(m.Attachments) > 0 {
		return AppendClusterMsgpack(dst, m)
	}
	return appendClusterText(dst, m)
}

// AppendClusterMsgpack appends a message as the adapter over streams does for Pub/Sub.
func AppendClusterMsgpack(dst []byte, m *Message) []byte {
	return sio.AppendMsgpack(dst, appendClusterText(nil, m), m.Attachments)
}

// StreamData returns the member data of a message as the adapter over streams writes it: JSON, or
// base64 of MessagePack.
func StreamData(m *Message) []byte {
	data := object{dst: []byte{'{'}}
	data.data(m)
	text := append(data.dst, '}')
	if len(m.Attachments) == 0 {
		return text
	}
	return base64.StdEncoding.AppendEncode(nil, sio.AppendMsgpack(nil, text, m.Attachments))
}

func appendClusterText(dst []byte, m *Message) []byte {
	o := object{dst: append(dst, '{')}
	o.number("type", int(m.Type))
	switch m.Type {
	case InitialHeartbeat, Heartbeat, AdapterClose:
	default:
		o.name("data")
		data := object{dst: append(o.dst, '{')}
		data.data(m)
		o.dst = append(data.dst, '}')
	}
	o.text("uid", m.UID).text("nsp", m.Namespace)
	return append(o.dst, '}')
}

// data writes the members that a type of message has.
func (o *object) data(m *Message) {
	switch m.Type {
	case Broadcast:
		o.name("packet")
		o.dst = append(append(append(o.dst, `{"type":2,"data":`...), m.Payload...), '}')
		if m.RequestID != "" {
			o.text("requestId", m.RequestID)
		}
		o.selection(m, true)
	case SocketsJoin, SocketsLeave:
		o.selection(m, true).names("rooms", m.Names)
	case DisconnectSockets:
		o.selection(m, true).bool("close", m.Close)
	case FetchSockets:
		o.selection(m, true).text("requestId", m.RequestID)
	case ServerSideEmit:
		if m.RequestID != "" {
			o.text("requestId", m.RequestID)
		}
		o.raw("packet", m.Payload)
	case FetchSocketsAnswer:
		o.text("requestId", m.RequestID).list("sockets", m.Sockets)
		if m.Failed != "" {
			o.text("failed", m.Failed)
		}
	case ServerSideEmitAnswer, BroadcastAck:
		o.text("requestId", m.RequestID)
		if !m.undefined() {
			o.raw("packet", m.Payload)
		}
	case BroadcastClientCount:
		o.text("requestId", m.RequestID).number("clientCount", m.Clients)
	}
}

// ClusterFrom returns the UID of the sender of a message that AppendCluster wrote as JSON, without
// decoding it; ok is false if that is not possible. The member is the last but one.
func ClusterFrom(p []byte) (uid []byte, ok bool) {
	const before = `,"uid":"`
	at := bytes.LastIndex(p, []byte(before))
	if len(p) == 0 || p[0] != '{' || at < 0 {
		return nil, false
	}
	uid, rest, ok := bytes.Cut(p[at+len(before):], []byte{'"'})
	if !ok || !bytes.HasPrefix(rest, []byte(`,"nsp":"`)) || !bytes.HasSuffix(p, []byte(`"}`)) {
		return nil, false
	}
	return uid, true
}

type clusterJSON struct {
	Type json.Number     `json:"type"`
	Data json.RawMessage `json:"data"`
	UID  string          `json:"uid"`
	NSP  string          `json:"nsp"`
}

type clusterDataJSON struct {
	Packet      json.RawMessage   `json:"packet"`
	RequestID   string            `json:"requestId"`
	Opts        *selectionJSON    `json:"opts"`
	Rooms       names             `json:"rooms"`
	Close       bool              `json:"close"`
	Sockets     []json.RawMessage `json:"sockets"`
	ClientCount int               `json:"clientCount"`
	Failed      string            `json:"failed"`
}

// ParseCluster decodes a message: JSON, or MessagePack.
func ParseCluster(p []byte) (m Message, err error) {
	if len(p) > AnswerBytesMax {
		return m, ErrTooLarge
	}
	kind, known := msgpackType(p)
	p, attachments, err := text(p, attachmentsOf(kind, known))
	if err != nil {
		return m, err
	}
	var c clusterJSON
	if json.Unmarshal(p, &c) != nil {
		return m, ErrFormat
	}
	return parseCluster(string(c.Type), c.UID, c.NSP, c.Data, attachments)
}

// ParseStream decodes an entry of a stream by its members.
func ParseStream(kind, uid, nsp, data string) (m Message, err error) {
	if len(data) > MessageBytesMax {
		return m, ErrTooLarge
	}
	p, attachments := []byte(data), [][]byte(nil)
	if len(p) > 0 && p[0] != '{' {
		if p, err = base64.StdEncoding.DecodeString(data); err != nil {
			return m, ErrFormat
		}
	}
	if len(p) > 0 {
		if p, attachments, err = text(p, AttachmentsMax); err != nil {
			return m, err
		}
	}
	return parseCluster(kind, uid, nsp, p, attachments)
}

// attachmentsOf returns how many binary values a message may have. Those in the data of sockets
// become text.
func attachmentsOf(t Type, known bool) int {
	if known && t == FetchSocketsAnswer {
		return -1
	}
	return AttachmentsMax
}

// msgpackType finds the type of a message in MessagePack.
func msgpackType(p []byte) (t Type, ok bool) {
	if len(p) == 0 || p[0] == '{' {
		return 0, false
	}
	n, p, err := msgp.ReadMapHeaderBytes(p)
	if err != nil {
		return 0, false
	}
	for range n {
		var name []byte
		if name, p, err = msgp.ReadMapKeyZC(p); err != nil {
			return 0, false
		}
		if string(name) == "type" {
			v, _, err := msgp.ReadUint8Bytes(p)
			return Type(v), err == nil
		}
		if p, err = msgp.Skip(p); err != nil {
			return 0, false
		}
	}
	return 0, false
}

func parseCluster(kind, uid, nsp string, data []byte, attachments [][]byte) (m Message, err error) {
	n, err := strconv.ParseUint(kind, 10, 8)
	if err != nil || len(uid) > IDBytesMax || uid == "" {
		return m, ErrFormat
	}
	m = Message{Type: Type(n), UID: uid, Namespace: nsp}
	switch {
	case m.Type < InitialHeartbeat || m.Type > AdapterClose:
		return m, ErrType
	case m.Type == InitialHeartbeat || m.Type == Heartbeat || m.Type == AdapterClose:
		return m, nil
	case len(data) > MessageBytesMax && m.Type != FetchSocketsAnswer:
		return m, ErrTooLarge
	}
	var d clusterDataJSON
	if json.Unmarshal(data, &d) != nil || len(d.RequestID) > IDBytesMax {
		return m, ErrFormat
	}
	m.RequestID = d.RequestID
	if d.Opts != nil {
		m.take(d.Opts)
	}
	switch m.Type {
	case Broadcast:
		var packet packetJSON
		if d.Opts == nil || json.Unmarshal(d.Packet, &packet) != nil {
			return m, ErrFormat
		}
		if packet.Type != packetEvent {
			return m, ErrType
		}
		m.Payload, m.Attachments = packet.Data, attachments
	case SocketsJoin, SocketsLeave, DisconnectSockets:
		if d.Opts == nil {
			return m, ErrFormat
		}
		m.Names, m.Close = d.Rooms.list, d.Close
	case FetchSockets:
		if d.Opts == nil || d.RequestID == "" {
			return m, ErrFormat
		}
	case ServerSideEmit:
		m.Payload, m.Attachments = d.Packet, attachments
	default: // an answer
		if d.RequestID == "" {
			return m, ErrFormat
		}
		m.Sockets, m.Clients, m.Failed = d.Sockets, d.ClientCount, d.Failed
		m.Payload, m.Attachments = d.Packet, attachments
	}
	return m, nil
}
