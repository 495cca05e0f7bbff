// A packet that waits for its attachments. Loop only.

package socketio

import (
	"bytes"
	"encoding/json"
)

// assembly is a packet with attachments of which some have not arrived. What it keeps is bounded: the text by the transport's limit of
// a message, the attachments by that and AttachmentsMax.
type assembly struct {
	packet      packet // its slices are of text
	text        []byte
	attachments [][]byte
}

// newAssembly begins to collect the attachments of the packet that text holds. text is copied.
func newAssembly(text []byte) *assembly {
	a := &assembly{text: bytes.Clone(text)}
	a.packet, _ = parsePacket(a.text) // it was parsed before, where it lay
	return a
}

// add takes an attachment, which is copied, and tells whether it was the last.
func (a *assembly) add(p []byte) (complete bool) {
	a.attachments = append(a.attachments, bytes.Clone(p))
	return len(a.attachments) == a.packet.attachments
}

// checkPlaceholders tells whether every placeholder of the arguments names an attachment that there is. In a packet without attachments
// nothing is a placeholder.
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
