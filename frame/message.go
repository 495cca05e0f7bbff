// A received message, and the echo that is made of it in place.

package frame

// Message is one complete message or one control frame. The zero Message, with Complete false, says that more bytes are needed.
type Message struct {
	Payload    []byte
	Head       []byte // bytes directly in front of Payload, in the same memory, free for a reply's header; nil where there are none
	Op         OpCode
	Complete   bool
	Compressed bool // the message came compressed; Payload is inflated
	Owned      bool // Payload is heap memory that nothing else refers to: the caller may keep it for good
}

// InPlace makes a server's frame of m, of kind m.Op, by writing the header into the end of m.Head, in front of the payload: header and payload come
// back as one slice, which lives as long as the payload does. The payload may have been changed or cut at its end before. ok is false, and nothing is
// written, where there is no room: the message was inflated, is a control frame that straddled reads, or its header came in pieces.
func (m *Message) InPlace() (reply []byte, ok bool) {
	n := len(m.Payload)
	size := replyHeaderBytes(n)
	if len(m.Head) < size || cap(m.Head) < len(m.Head)+n {
		return nil, false
	}
	if n > 0 && &m.Head[:len(m.Head)+1][len(m.Head)] != &m.Payload[0] {
		return nil, false
	}
	reply = m.Head[len(m.Head)-size : len(m.Head)+n]
	AppendHeader(reply[:0], m.Op, false, n)
	return reply, true
}
