// Why connections end, in words.

package admin

import (
	"maps"
	"slices"

	"c100k/netpoll"
)

// whys are sentences for an operator, by the label of the reason.
var whys = map[string]string{
	netpoll.ReasonPeer.String():      "The client closed the connection.",
	netpoll.ReasonReset.String():     "The network or the client cut the connection without a close: a lost mobile network, a proxy's timeout, or a client that was killed.",
	netpoll.ReasonTimeout.String():   "The client did not answer a heartbeat in time (--ping-interval, --ping-timeout): it is gone, or its network is.",
	netpoll.ReasonProtocol.String():  "The client sent something that its protocol does not allow.",
	netpoll.ReasonTooBig.String():    "The client sent a message that is longer than --max-message.",
	netpoll.ReasonPolicy.String():    "The client did what it may not: it sent more than --rate allows, or used a topic without the right to.",
	netpoll.ReasonSlow.String():      "The client took less than it was sent, and fell behind by more than --outbox.",
	netpoll.ReasonDrain.String():     "The node was going down (--drain), and told the client to come back.",
	netpoll.ReasonAdmin.String():     "An operator closed the connection through the API.",
	netpoll.ReasonRefused.String():   "The request was answered with an error.",
	netpoll.ReasonLocal.String():     "The server was done with the connection.",
	netpoll.ReasonPanic.String():     "A handler of the program panicked; the log has its stack.",
	netpoll.ReasonLayer.String():     "The client sent TLS records that cannot be opened.",
	netpoll.ReasonTruncated.String(): "The connection was cut without TLS's closing record.",
	netpoll.ReasonExpired.String():   "The client's token expired, and it did not send a new one in time.",
	netpoll.ReasonRevoked.String():   "The client's token was revoked.",
	netpoll.ReasonMemory.String():    "The node was short of memory (--memory), and held much for this client.",
}

// Why is a reason in words; empty if it is the label of none.
func Why(reason string) string { return whys[reason] }

// Reasons are the labels.
func Reasons() []string { return slices.Sorted(maps.Keys(whys)) }
