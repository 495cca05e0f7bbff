// The record of a client.

package engineio

import (
	"time"

	"c100k/frame"
	"c100k/internal/wsconn"
	"c100k/netpoll"
)

// Session is one client's record. Loop only; a *Session is valid during the callback that was given
// it, and until Closed.
type Session struct {
	wsconn.State // of its WebSocket, probing or not

	secret [secretBytes]byte // the random part of its id
	flags  sessionFlags

	// deflated is the window of its messages if it began on a WebSocket that negotiated
	// permessage-deflate, else frame.NoWindow: one that began with polling has messages in its queue.
	deflated frame.Window

	value  uint32
	anchor netpoll.ID // its name; holds its deadline
	socket netpoll.ID // its WebSocket, also during an upgrade; 0: none
	poll   netpoll.ID // the connection whose GET waits; 0: none
	post   netpoll.ID // the connection whose POST is being read; 0: none
	queue  uint32     // index in Endpoint.queues while it polls and has pending output, else 0

	probeEnd time.Duration // when the current upgrade is given up, on the loop's clock
}

type sessionFlags uint16

const (
	flagV3        sessionFlags = 1 << iota // speaks protocol 3
	flagSocket                             // its transport is WebSocket
	flagProbing                            // an upgrade is under way on socket
	flagPinged                             // protocol 4: a ping is not answered yet
	flagClosed                             // App.Closed was called
	flagFarewell                           // closed; waits for a poll to send the close packet
	flagReady                              // in Endpoint.ready
	flagPosting                            // a payload of its client is being received
	flagOvertaken                          // ended by a POST without a poll: the POST waits for one that it may have overtaken
	flagLeft                               // with flagOvertaken: the client has said that it closes
	flagBase64                             // protocol 3: the client cannot take binary payloads
)

// ID names the session, for any goroutine and without a limit in time; see Endpoint.Lookup.
func (s *Session) ID() netpoll.ID { return s.anchor }

// Member is the session's number in a shard of its loop.
func (s *Session) Member() uint32 { return s.anchor.Slot() }

// Version is the protocol's: 3 or 4.
func (s *Session) Version() int {
	if s.flags&flagV3 != 0 {
		return 3
	}
	return 4
}

// Transport is the session's transport now.
func (s *Session) Transport() Transport {
	if s.flags&flagSocket != 0 {
		return TransportWebSocket
	}
	return TransportPolling
}

// Form is the form in which everything is sent to the session; it never changes.
func (s *Session) Form() Form {
	switch {
	case s.flags&flagV3 != 0:
		return FormV3
	case s.deflated == frame.WindowFull:
		return FormV4Deflated
	case s.deflated == frame.WindowNarrow:
		return FormV4Narrow
	}
	return FormV4
}

// Value is the number that the layer above has given the session, 0 at first.
func (s *Session) Value() uint32 { return s.value }

// SetValue stores a number of the layer above in the session, such as an index in a slab.
func (s *Session) SetValue(v uint32) { s.value = v }
