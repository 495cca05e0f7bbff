// What is counted: handshakes, by how they ended.

package tlsconn

import (
	"errors"
	"net"
	"sync/atomic"

	"c100k/netpoll"
)

// failure is why a handshake has failed.
type failure uint8

const (
	failNoTLS     failure = iota // bytes that are no TLS
	failPlainHTTP                // a request in plain HTTP
	failHello                    // no ClientHello, or one that is too long
	failTimeout                  // it took too long
	failPeer                     // the peer has left
	failAlert                    // the peer has sent an alert
	failRefused                  // no common version or suite, a bad certificate of the client, an illegal message
	failOverload                 // too many handshakes wait
	failStalled                  // it was given up because others wait
	failInternal                 // our fault

	failureCount
)

// FailureNames are the labels of the counters of Figures.Failed.
var FailureNames = [failureCount]string{
	"not_tls", "plain_http", "bad_hello", "timeout", "peer_closed", "peer_alert", "refused", "overload", "stalled", "internal",
}

// FailureCount is the number of reasons.
const FailureCount = int(failureCount)

// failureOf is why crypto/tls has failed.
func failureOf(err error) failure {
	var op *net.OpError
	var panicked *panicError
	switch {
	case errors.Is(err, errEnded):
		return failPeer
	case errors.As(err, &op) && op.Op == "remote error": // crypto/tls has no other name for an alert
		return failAlert
	case errors.Is(err, errMismatch), errors.Is(err, errMaster), errors.Is(err, errNoConfig), errors.As(err, &panicked):
		return failInternal
	}
	return failRefused
}

// failureOfEnd is why a connection has ended in its handshake.
func failureOfEnd(r netpoll.Reason) failure {
	switch r {
	case netpoll.ReasonTimeout:
		return failTimeout
	case netpoll.ReasonPanic:
		return failInternal
	}
	return failPeer
}

// counters are those of one layer. The loop writes, any goroutine reads.
type counters struct {
	done   [2][2]atomic.Uint64 // by version 1.3 and resumption
	failed [failureCount]atomic.Uint64
}

// Figures are the counters of a layer.
type Figures struct {
	Full12, Full13, Resumed12, Resumed13 uint64
	Failed                               [FailureCount]uint64
}

func (k *counters) shaken(a *about) {
	v, r := 0, 0
	if a.version == version13 {
		v = 1
	}
	if a.resumed {
		r = 1
	}
	k.done[v][r].Add(1)
}

// Figures are the counters so far. Any goroutine.
func (t *Layer) Figures() (f Figures) {
	k := &t.counters
	f.Full12, f.Full13 = k.done[0][0].Load(), k.done[1][0].Load()
	f.Resumed12, f.Resumed13 = k.done[0][1].Load(), k.done[1][1].Load()
	for i := range f.Failed {
		f.Failed[i] = k.failed[i].Load()
	}
	return f
}
