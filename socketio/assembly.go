// A packet that waits for its attachments. Loop only.

package socketio

import (
	"bytes"
	"encoding/json"
	"time"

	"c100k/internal/engineio"
	"c100k/netpoll"
)

// assembly is a packet with attachments of which some have not arrived. What it keeps is bounded:
// the text by the transport's limit of a message, and all attachments together by the same; in time
// by assemblyTimeoutDefault.
type assembly struct {
	packet      packet // its slices are of text
	text        []byte
	attachments [][]byte
	bytes       int           // of the attachments
	began       time.Duration // on the loop's clock
}

// newAssembly begins to collect the attachments of the packet that text holds. text is copied.
func newAssembly(text []byte, now time.Duration) *assembly {
	a := &assembly{text: bytes.Clone(text), began: now}
	a.packet, _ = parsePacket(a.text) // it was parsed before, where it lay
	return a
}

// add takes an attachment, which is copied, and tells whether it was the last. It is a fault if all
// of them are more than bytesMax.
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

// assemble begins to wait for the attachments of the packet that text holds.
func (r *reactor) assemble(l *netpoll.Loop, c *client, text []byte) {
	c.assembly = newAssembly(text, l.Now())
	r.assembled += int64(c.assembly.held())
	if !c.assembling {
		c.assembling = true
		r.assembling.add(l.Now()+r.server.opt.assemblyTimeout, c.session)
		r.armAlarm(l)
	}
}

// overdue looks at a client that has begun a packet with attachments some time ago, and ends it if
// they have not come. It is looked at again, and not once for each packet, as long as it sends more
// of those.
func (r *reactor) overdue(l *netpoll.Loop, id netpoll.ID) {
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

// checkPlaceholders tells whether every placeholder of the arguments names an attachment that there
// is. In a packet without attachments nothing is a placeholder.
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
