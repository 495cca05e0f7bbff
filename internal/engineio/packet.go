// The packets of Engine.IO.

package engineio

// PacketType is the kind of a packet.
type PacketType uint8

// The types, as numbered on the wire.
const (
	PacketOpen PacketType = iota
	PacketClose
	PacketPing
	PacketPong
	PacketMessage
	PacketUpgrade
	PacketNoop
)

// Packet is one packet. Data is a slice of what it was parsed from, or new.
type Packet struct {
	Type   PacketType
	Binary bool // the data is bytes, and the type PacketMessage
	Data   []byte
}
