// The endpoint as the protocol of its three roles on a node.

package engineio

import (
	"c100k/broadcast"
	"c100k/internal/proto"
	"c100k/netpoll"
)

// Protocols are those of Roles.Polling, Roles.Socket and Roles.Session, in this order. gap is
// proto.Protocol.Gap of all of them; nil appends nothing.
func (e *Endpoint) Protocols(gap func(dst []byte, f broadcast.Form, topic string, missed uint32) []byte) []proto.Protocol {
	if gap == nil {
		gap = func(dst []byte, _ broadcast.Form, _ string, _ uint32) []byte { return dst }
	}
	return []proto.Protocol{
		roleProtocol{e.PollingHandler(), e, gap, true}, roleProtocol{e.SocketHandler(), e, gap, false}, roleProtocol{e.SessionHandler(), e, gap, false},
	}
}

// roleProtocol is one of the three roles. A connection of any of them drains, is closed, and gets
// what it is sent, as the session does that it belongs to.
type roleProtocol struct {
	netpoll.Handler
	*Endpoint
	gap func(dst []byte, f broadcast.Form, topic string, missed uint32) []byte
	sum bool // HeldBytes is that of all three
}

// HeldBytes implements proto.Holder. The endpoint is counted once.
func (p roleProtocol) HeldBytes() int64 {
	if p.sum {
		return p.Endpoint.HeldBytes()
	}
	return 0
}

// Gap implements proto.Protocol.
func (p roleProtocol) Gap(dst []byte, f broadcast.Form, topic string, missed uint32) []byte {
	return p.gap(dst, f, topic, missed)
}
