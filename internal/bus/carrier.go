// What a broker has to do for a Core.

package bus

import "time"

// Packet is what a Core hands to its Carrier.
type Packet struct {
	To    uint64 // id of a node; 0 is all
	Bytes []byte
	Err   error // set by the carrier if the broker has not taken it

	messages int // records in it that are messages
	cost     int // of them
}

// Carrier takes packets to the other nodes over one kind of broker, and gives what comes to
// [Core.Receive] and [Core.ReceiveOwn]. It keeps the order of packets to one destination, and
// delivers each at most once. Send, Probe and Flush are called by one goroutine only, and may wait
// for a broker that is slow, for some seconds at most.
type Carrier interface {
	// Send hands the packets on, in order, and sets Err of those that the broker has not taken. Bytes
	// may be used again by the caller where Err is nil.
	Send(packets []Packet)

	// Probe sends a packet so that it comes back to this node, by the way that messages take: over
	// the connections that publish and those that hear.
	Probe(packet []byte) error

	// Flush waits until the broker has everything, at most for d.
	Flush(d time.Duration)

	// Reconnect is called where the broker takes packets and does not deliver them. It drops the
	// connections and makes new ones. Any goroutine; it does not wait.
	Reconnect()

	// PayloadBytesMax is the largest packet that the broker takes now, and what its operator calls
	// this limit. Any goroutine.
	PayloadBytesMax() (bytes int, name string)

	// Close closes the connections; what still waits in Send gets an error. Any goroutine.
	Close()
}
