// The format of npm @socket.io/redis-adapter and @socket.io/redis-emitter.

package siowire

import (
	"encoding/json"
	"strconv"
	"strings"

	"c100k/internal/jsontext"
	"c100k/internal/sio"

	"github.com/tinylib/msgp/msgp"
)

// Classic is the format with a prefix of its channels, which is "socket.io" by default.
type Classic struct{ Key string }

// The numbers of the types on the wire.
const (
	classicSockets = iota
	classicAllRooms
	classicJoin
	classicLeave
	classicDisconnect
	classicFetch
	classicServerSideEmit
	classicBroadcast
	classicClientCount
	classicAck
)

// packetEvent is the type of a packet with an event.
const packetEvent = 2

// BroadcastChannel is where broadcasts of a namespace are published that are not for exactly one
// room.
func (c Classic) BroadcastChannel(nsp string) string { return c.Key + "#" + nsp + "#" }

// Pattern is the pattern of all channels of broadcasts of a namespace. A namespace that has a
// special character of patterns in its name gets its own messages only.
func (c Classic) Pattern(nsp string) string {
	return globEscaper.Replace(c.BroadcastChannel(nsp)) + "*"
}

var globEscaper = strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`, "]", `\]`)

// RequestChannel is where requests of a namespace are published.
func (c Classic) RequestChannel(nsp string) string { return c.Key + "-request#" + nsp + "#" }

// ResponseChannel is where responses are published for all servers to read.
func (c Classic) ResponseChannel(nsp string) string { return c.Key + "-response#" + nsp + "#" }

// SpecificChannel is where responses to one server are published.
func (c Classic) SpecificChannel(nsp, uid string) string {
	return c.ResponseChannel(nsp) + uid + "#"
}

// Room returns the room that a channel of broadcasts is for; "" if it is for no single one. ok is
// false if it is not a channel of the namespace.
func (c Classic) Room(nsp, channel string) (room string, ok bool) {
	rest, ok := strings.CutPrefix(channel, c.BroadcastChannel(nsp))
	if !ok || rest == "" {
		return "", ok
	}
	return rest[:len(rest)-1], true // as the npm package does, whatever the last character is
}

// Channel returns where a message is published. An answer to a server that is named goes to the
// channel of that server.
func (c Classic) Channel(m *Message) string {
	switch m.Type {
	case Broadcast:
		switch {
		case m.RequestID != "":
			return c.RequestChannel(m.Namespace)
		case len(m.Rooms) == 1:
			return c.BroadcastChannel(m.Namespace) + m.Rooms[0] + "#"
		}
		return c.BroadcastChannel(m.Namespace)
	case FetchSocketsAnswer, ServerSideEmitAnswer, BroadcastClientCount, BroadcastAck, Answer:
		if m.To != "" {
			return c.SpecificChannel(m.Namespace, m.To)
		}
		return c.ResponseChannel(m.Namespace)
	}
	return c.RequestChannel(m.Namespace)
}

// Append appends the encoding of a message.
func (c Classic) Append(dst []byte, m *Message) []byte {
	switch {
	case m.Type == Broadcast && m.RequestID == "":
		return appendClassicBroadcast(dst, m)
	case m.Type == Broadcast || m.Type == BroadcastAck || len(m.Attachments) > 0:
		return sio.AppendMsgpack(dst, appendClassicText(nil, m), m.Attachments)
	}
	return appendClassicText(dst, m)
}

func appendClassicBroadcast(dst []byte, m *Message) []byte {
	dst = msgp.AppendArrayHeader(dst, 3)
	dst = msgp.AppendString(dst, m.UID)
	dst = msgp.AppendMapHeader(dst, 3)
	dst = msgp.AppendUint8(msgp.AppendString(dst, "type"), packetEvent)
	dst = sio.AppendMsgpack(msgp.AppendString(dst, "data"), m.Payload, m.Attachments)
	dst = msgp.AppendString(msgp.AppendString(dst, "nsp"), m.Namespace)
	dst = msgp.AppendMapHeader(dst, 3)
	dst = appendClassicNames(msgp.AppendString(dst, "rooms"), m.Rooms)
	if m.UID == EmitterUID { // the npm emitter has another order
		dst = appendClassicFlags(msgp.AppendString(dst, "flags"), m)
		return appendClassicNames(msgp.AppendString(dst, "except"), m.Except)
	}
	dst = appendClassicNames(msgp.AppendString(dst, "except"), m.Except)
	return appendClassicFlags(msgp.AppendString(dst, "flags"), m)
}

func appendClassicNames(dst []byte, names []string) []byte {
	dst = msgp.AppendArrayHeader(dst, uint32(len(names)))
	for _, name := range names {
		dst = msgp.AppendString(dst, validText(name))
	}
	return dst
}

func appendClassicFlags(dst []byte, m *Message) []byte {
	n := uint32(0)
	if m.Volatile {
		n++
	}
	if m.NoCompress {
		n++
	}
	dst = msgp.AppendMapHeader(dst, n)
	if m.Volatile {
		dst = msgp.AppendBool(msgp.AppendString(dst, "volatile"), true)
	}
	if m.NoCompress {
		dst = msgp.AppendBool(msgp.AppendString(dst, "compress"), false)
	}
	return dst
}

// appendClassicText appends a request or answer as JSON.
func appendClassicText(dst []byte, m *Message) []byte {
	o := object{dst: append(dst, '{')}
	switch m.Type {
	case SocketIDs:
		o.ids(m).number("type", classicSockets).names("rooms", m.Rooms)
	case AllRooms:
		o.ids(m).number("type", classicAllRooms)
	case SocketsJoin:
		o.ids(m).number("type", classicJoin).selection(m, false).names("rooms", m.Names)
	case SocketsLeave:
		o.ids(m).number("type", classicLeave).selection(m, false).names("rooms", m.Names)
	case DisconnectSockets:
		o.ids(m).number("type", classicDisconnect).selection(m, false).bool("close", m.Close)
	case FetchSockets:
		o.ids(m).number("type", classicFetch).selection(m, false)
	case ServerSideEmit:
		o.ids(m).number("type", classicServerSideEmit).raw("data", m.Payload)
	case Broadcast:
		o.ids(m).number("type", classicBroadcast)
		o.name("packet")
		o.dst = append(o.dst, `{"type":2,"data":`...)
		o.dst = append(append(o.dst, m.Payload...), `,"nsp":`...)
		o.dst = append(jsontext.AppendString(o.dst, m.Namespace), '}')
		o.selection(m, true)
	case FetchSocketsAnswer, Answer:
		o.text("requestId", m.RequestID)
		if m.Sockets != nil {
			o.list("sockets", m.Sockets)
		}
		if m.Names != nil {
			o.names("rooms", m.Names)
		}
		o.sender(m)
	case ServerSideEmitAnswer:
		o.number("type", classicServerSideEmit).text("requestId", m.RequestID)
		if !m.undefined() {
			o.raw("data", m.Payload)
		}
		o.sender(m)
	case BroadcastClientCount:
		o.number("type", classicClientCount).text("requestId", m.RequestID).number("clientCount", m.Clients)
		o.sender(m)
	case BroadcastAck:
		o.number("type", classicAck).text("requestId", m.RequestID)
		if !m.undefined() {
			o.raw("packet", m.Payload)
		}
		o.sender(m)
	}
	return append(o.dst, '}')
}

// object writes the members of a JSON object.
type object struct {
	dst  []byte
	some bool
}

func (o *object) name(name string) {
	if o.some {
		o.dst = append(o.dst, ',')
	}
	o.some = true
	o.dst = append(append(append(o.dst, '"'), name...), '"', ':')
}

func (o *object) raw(name string, value []byte) *object {
	o.name(name)
	o.dst = append(o.dst, value...)
	return o
}

func (o *object) text(name, value string) *object {
	o.name(name)
	o.dst = jsontext.AppendString(o.dst, validText(value))
	return o
}

func (o *object) number(name string, value int) *object {
	o.name(name)
	o.dst = strconv.AppendInt(o.dst, int64(value), 10)
	return o
}

func (o *object) bool(name string, value bool) *object {
	o.name(name)
	o.dst = strconv.AppendBool(o.dst, value)
	return o
}

func (o *object) names(name string, list []string) *object {
	o.name(name)
	o.dst = appendNames(o.dst, list)
	return o
}

func (o *object) list(name string, list []json.RawMessage) *object {
	o.name(name)
	o.dst = append(o.dst, '[')
	for i, element := range list {
		if i > 0 {
			o.dst = append(o.dst, ',')
		}
		o.dst = append(o.dst, element...)
	}
	o.dst = append(o.dst, ']')
	return o
}

// ids writes the UID and the id of a request. Messages of an emitter have them only if they are an
// event for servers.
func (o *object) ids(m *Message) *object {
	if m.UID != "" && (m.UID != EmitterUID || m.Type == ServerSideEmit) {
		o.text("uid", m.UID)
	}
	if m.RequestID != "" {
		o.text("requestId", m.RequestID)
	}
	return o
}

// sender writes what Node's servers do not: who answers, and why there is no result. They ignore
// it.
func (o *object) sender(m *Message) {
	if m.UID != "" {
		o.text("uid", m.UID)
	}
	if m.Failed != "" {
		o.text("failed", m.Failed)
	}
}

// selection writes the sockets that are meant.
func (o *object) selection(m *Message, flags bool) *object {
	o.name("opts")
	opts := object{dst: append(o.dst, '{')}
	opts.names("rooms", m.Rooms).names("except", m.Except)
	if flags {
		opts.name("flags")
		f := object{dst: append(opts.dst, '{')}
		if m.Volatile {
			f.bool("volatile", true)
		}
		if m.NoCompress {
			f.bool("compress", false)
		}
		if m.Timeout > 0 {
			f.number("timeout", int(m.Timeout.Milliseconds()))
		}
		opts.dst = append(f.dst, '}')
	}
	o.dst = append(opts.dst, '}')
	return o
}
