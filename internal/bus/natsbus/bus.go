// A node's connections to NATS.

package natsbus

import (
	"strconv"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"c100k/internal/bus"
)

// subjectAll is what all nodes hear.
const subjectAll = "c100k.all"

// subjectOf is what a node hears alone.
func subjectOf(id uint64) string { return "c100k.to." + strconv.FormatUint(id, 16) }

// subjectProbe is where the probes of a node go, to come back to it.
func subjectProbe(id uint64) string { return "c100k.probe." + strconv.FormatUint(id, 16) }

// Bus is one node's connection. Make one with Join; all methods may be called on any goroutine.
type Bus struct {
	*bus.Core

	conn *nats.Conn // publishes and hears
	echo *nats.Conn // sends the node's probes back: NATS does not bring a connection what it has sent itself

	maxPayload atomic.Int64  // of the server, in bytes
	closed     chan struct{} // closed when conn has ended
	echoClosed chan struct{} // closed when echo has ended
}

var _ bus.Bus = (*Bus)(nil)

// carrier is a Bus as its Node sees it.
type carrier struct{ *Bus }

// Send implements bus.Carrier.
func (c carrier) Send(packets []bus.Packet) {
	for i := range packets {
		p := &packets[i]
		subject := subjectAll
		if p.To != 0 {
			subject = subjectOf(p.To)
		}
		p.Err = c.conn.Publish(subject, p.Bytes)
	}
}

// Probe implements bus.Carrier.
func (c carrier) Probe(packet []byte) error { return c.conn.Publish(subjectProbe(c.Node()), packet) }

// Flush implements bus.Carrier.
func (c carrier) Flush(d time.Duration) { _ = c.conn.FlushTimeout(d) }

// Reconnect implements bus.Carrier.
func (c carrier) Reconnect() {
	_ = c.conn.ForceReconnect() // an error says that it is closed
	_ = c.echo.ForceReconnect()
}

// PayloadBytesMax implements bus.Carrier.
func (c carrier) PayloadBytesMax() (bytes int, name string) {
	return int(c.maxPayload.Load()), "max_payload"
}

// Close implements bus.Carrier.
func (c carrier) Close() {
	c.conn.Close()
	c.echo.Close()
	wait(c.closed)
	wait(c.echoClosed)
}

// wait waits for c to be closed, for a bounded time.
func wait(c <-chan struct{}) {
	timer := time.NewTimer(bus.CloseTimeout)
	defer timer.Stop()
	select {
	case <-c:
	case <-timer.C:
	}
}
