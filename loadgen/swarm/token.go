// A token: what a message says of itself.

package swarm

import "time"

// TokenBytes is the length of a token, and so the least size of a message.
const TokenBytes = 32

// Token stands in every message of a run, in printable characters that neither JSON nor HTTP changes.
type Token struct {
	Run    uint32
	Sender uint32
	Seq    uint64        // 48 bits travel
	Sent   time.Duration // Clock when the message was due
}
