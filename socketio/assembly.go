// Assembly of a packet and its attachments. Loop only.

package socketio

import (
	"bytes"
	"encoding/json"
	"time"

	"c100k/internal/engineio"
	"c100k/netpoll"
)

// assembly is a packet with attachments of which some have not arrived. The transport's limit of a
// message bounds the text, and the sum of the attachments too. assemblyTimeoutDefault bounds the
// time.
type assembly struct {
	packet      packet // its slices are of text
	text        []byte
	attachments [][]byte
	bytes       int           // of the attachments
	began       time.Duration // on the loop's clock
}

// newAssembly makes an assembly of the packet in text. text is copied.
func newAssembly(text []byte, now time.Duration) *assembly {
	a := &assembly{text: bytes.Clone(text), began: now}
	a.packet, _ = parsePacket(a.text) // it was parsed before the copy, without a fault
	return a
}

// add adds a copy of an attachment, and reports whether it was the last. It is a fault if the
// attachments have more than bytesMax bytes together.
func (a *assembly) add(p []byte, bytesMax int) (complete bool, bad fault) {
	if a.bytes += len(p); a.bytes > bytesMax {
		return false, faultBytes
	}
	a.attachments = append(a.attachments, bytes.Clone(p))
	return len(a.attachments) == a.packet.attachments, ""
}

// held is how much memory the assembly has, in bytes.
func (a *assembly) held() int { return len(a.text) + a.bytes }

// forgetAssembly ends the wait for attachments, and returns what has come.
func (r *reactor) forgetAssembly(c *client) *assembly {
	a := c.assembly
	if c.assembly = nil; a != nil {
		r.assembled -= int64(a.held())
	}
	return a
}

// Kept implements engineio.Keeper.
func (a app) Kept(s *engineio.Session) int {
	if c := a.of(s); c.assembly != nil {
		return c.assembly.held()
	}
	return 0
}

// KeptBytes implements engineio.Keeper.
func (a app) KeptBytes() int64 { return a.assembled }

// assemble makes the assembly of the packet in text, and starts its timeout.
func (r *reactor) assemble(l *netpoll.Loop, c *client, text []byte) {
	c.assembly = newAssembly(text, l.Now())
	r.assembled += int64(c.assembly.held())
	if !c.assembling {
		c.assembling = true
		r.assembling.add(l.Now()+r.server.opt.assemblyTimeout, c.session)
		r.armAlarm(l)
	}
}

// checkAssembly checks a client some time after it sent a packet with attachments, and closes its
// connection if they have not arrived. While the client sends more such packets, it is checked once
// in each timeout, not once for each packet.
func (r *reactor) checkAssembly(l *netpoll.Loop, id netpoll.ID) {
	s := r.engine.Lookup(l, id)
	if s == nil {
		return
	}
	patience := r.server.opt.assemblyTimeout
	switch c := r.of(s); {
	case c.assembly == nil:
		c.assembling = false
	case l.Now()-c.assembly.began >= patience:
		r.reject(l, s, faultSlow)
	default:
		r.assembling.add(l.Now()+patience, id)
	}
}

// checkPlaceholders checks that every placeholder of the arguments names an attachment that exists.
// In a packet without attachments nothing is a placeholder.
func checkPlaceholders(args []json.RawMessage, attachments int) fault {
	if attachments == 0 {
		return ""
	}
	for _, arg := range args {
		if _, bad := findPlaceholders(arg, attachments); bad != "" {
			return bad
		}
	}
	return ""
}
