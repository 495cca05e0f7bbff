// A received message as one that is published.

package wsconn

import (
	"slices"

	"c100k/broadcast"
	"c100k/frame"
)

// Published returns what a hub needs of m: its kind, and a payload that may be kept.
func Published(m *frame.Message) (broadcast.Kind, []byte) {
	payload := m.Payload
	if !m.Owned {
		payload = slices.Clone(payload) // it lies in the read arena, and subscribers that lag keep it for long
	}
	if m.Op == frame.OpBinary {
		return broadcast.Binary, payload
	}
	return broadcast.Text, payload
}
