// A connection, as handlers have it.

package websocket

import (
	"errors"

	"c100k/broadcast"
	"c100k/frame"
	"c100k/internal/wsconn"
	"c100k/netpoll"
)

// ID names a connection. It is comparable, may be kept, and names no other connection ever after.
type ID = netpoll.ID

// Conn is one connection. Its methods are for the handlers of the Server, which run on the event
// loop of the connection; other goroutines keep the ID and call Server.Send, Server.Close or
// Server.Do. The exceptions say so. On a connection that is closed the methods do nothing.
//
// A build with the tag c100kdebug panics where a method is called on another goroutine.
type Conn struct {
	part  *part
	id    netpoll.ID
	data  any
	state wsconn.State
	extra uint32 // index in part.extras of what few connections have, else 0
}

// extra is what a connection has beside its record while it needs it.
type extra struct {
	async       *lane  // functions of Go; nil: none wait
	held        []held // published messages that wait for the end of a fragmented one
	heldBytes   int    // of held
	fragment    bool   // a fragmented message has begun
	paused      bool   // Pause was called
	asyncPaused bool   // reading has paused for Go
	subprotocol string
}

// held is a run of published messages that is kept back.
type held struct {
	p       []byte
	mark, n uint32
}

// ID names the connection. Any goroutine.
func (c *Conn) ID() ID { return c.id }

// Data returns what SetData stored, nil before, and nil once OnClose has returned.
func (c *Conn) Data() any {
	c.check("Data")
	if c.data == ended {
		return nil
	}
	return c.data
}

// SetData stores a value of the program's own at the connection.
func (c *Conn) SetData(v any) {
	c.check("SetData")
	if c.data != ended { // which says that OnClose was called
		c.data = v
	}
}

// Subprotocol returns the subprotocol that was chosen, "" if none was.
func (c *Conn) Subprotocol() string {
	c.check("Subprotocol")
	if c.extra == 0 {
		return ""
	}
	return c.part.extras.At(c.extra).subprotocol
}

// conn finds the connection's record, nil if the connection is closed or closing.
func (c *Conn) conn() *netpoll.Conn {
	n := c.part.loop.Lookup(c.id)
	if n == nil || n.Closing() {
		return nil
	}
	return n
}

// Closed tells whether nothing can be sent any more and nothing will come.
func (c *Conn) Closed() bool {
	c.check("Closed")
	return c.conn() == nil
}

// Buffered returns how many bytes wait to be taken by the client.
func (c *Conn) Buffered() int {
	c.check("Buffered")
	n := c.conn()
	if n == nil {
		return 0
	}
	return c.part.pending(n, c)
}

// SendText sends a text message. s must be UTF-8.
func (c *Conn) SendText(s string) Result {
	c.check("SendText")
	p := c.part
	if len(s) >= sharedBytesMin {
		return c.send(c.conn(), frame.OpText, []byte(s), true)
	}
	p.text = append(p.text[:0], s...)
	return c.send(c.conn(), frame.OpText, p.text, true)
}

// SendBinary sends a binary message. p is copied.
func (c *Conn) SendBinary(p []byte) Result {
	c.check("SendBinary")
	return c.send(c.conn(), frame.OpBinary, p, true)
}

// Send sends a message. Its data is copied, unless it is the data of the message that OnMessage is
// being called for: that goes back to its sender without a copy, and must not be changed any more.
func (c *Conn) Send(m Message) Result {
	c.check("Send")
	return c.send(c.conn(), m.Kind.op(), m.Data, !m.NoCompress)
}

// SendPrepared sends a message that was encoded before.
func (c *Conn) SendPrepared(p *Prepared) Result {
	c.check("SendPrepared")
	n := c.conn()
	b := p.encoded(c.state.Window())
	if r := c.admit(n, len(b)); r == Dropped {
		return Dropped
	}
	c.part.ReplyShared(c.part.loop, n, b)
	return result(n)
}

// result says what becomes of what was just sent to n.
func result(n *netpoll.Conn) Result {
	switch {
	case n.Closing():
		return Dropped
	case n.Backlogged():
		return Queued
	}
	return Sent
}

// admit says whether n more bytes may be sent as a message: Dropped if not.
func (c *Conn) admit(n *netpoll.Conn, size int) Result {
	if n == nil {
		return Dropped
	}
	p := c.part
	if c.extra != 0 && p.extras.At(c.extra).fragment {
		return Dropped // RFC 6455, 5.4: fragments of one message may not be interleaved with another's
	}
	pending := p.pending(n, c)
	if pending == 0 || pending+size <= p.server.opt.Outbox {
		return Sent
	}
	return p.tooFar(n, pending+size-p.server.opt.Outbox)
}

func (c *Conn) send(n *netpoll.Conn, op frame.OpCode, data []byte, compress bool) Result {
	p := c.part
	if c.admit(n, len(data)+frameHeadMax) == Dropped {
		return Dropped
	}
	if window := c.state.Window(); window != frame.NoWindow && compress && len(data) >= wsconn.DeflateBytesMin {
		p.frame = wsconn.AppendDeflated(p.frame[:0], op, data, window)
		p.Reply(p.loop, n, p.frame)
		return result(n)
	}
	if reply, ok := p.inPlace(n, op, data); ok {
		if len(reply) < inPlaceBytesMin {
			p.Reply(p.loop, n, reply)
		} else {
			p.ReplyTurn(p.loop, n, reply)
		}
		return result(n)
	}
	if len(data) >= sharedBytesMin {
		p.ReplyShared(p.loop, n, frame.AppendFrame(make([]byte, 0, len(data)+frameHeadMax), op, data))
		return result(n)
	}
	p.frame = frame.AppendFrame(p.frame[:0], op, data)
	p.Reply(p.loop, n, p.frame)
	return result(n)
}

// SendFragment sends a part of a message, so that a message whose length is not known, or that is
// large, needs no memory of its size. The first call begins the message, final ends it; kind is
// that of the first call. Between the two the other sends answer Dropped, and what is published to
// the connection waits. The data is copied.
func (c *Conn) SendFragment(kind Kind, data []byte, final bool) Result {
	c.check("SendFragment")
	n := c.conn()
	if n == nil {
		return Dropped
	}
	p := c.part
	begun := c.extra != 0 && p.extras.At(c.extra).fragment
	if pending := p.pending(n, c); pending > 0 && pending+len(data) > p.server.opt.Outbox {
		// Half a message cannot be dropped; only one that has not begun can.
		if begun {
			p.Slow(p.loop, n)
			return Dropped
		}
		if p.tooFar(n, pending+len(data)-p.server.opt.Outbox) == Dropped {
			return Dropped
		}
	}
	op := frame.OpContinuation
	if !begun {
		op = kind.op()
	}
	p.frame = frame.AppendFragment(p.frame[:0], op, final, data)
	p.loop.Send(n, p.frame)
	switch {
	case !final && !begun:
		p.of(c).fragment = true
	case final && begun:
		p.release(n, c)
	}
	if final {
		p.CountSent()
	}
	return result(n)
}

// Ping sends a ping with at most 125 bytes of data, which its pong brings back: see Server.OnPong.
// The server's own heartbeat needs no call.
func (c *Conn) Ping(data []byte) Result { return c.control("Ping", frame.OpPing, data) }

// Pong sends an unasked pong with at most 125 bytes of data: RFC 6455, 5.5.3. Pings are answered by
// the server itself.
func (c *Conn) Pong(data []byte) Result { return c.control("Pong", frame.OpPong, data) }

func (c *Conn) control(method string, op frame.OpCode, data []byte) Result {
	c.check(method)
	n := c.conn()
	p := c.part
	if n == nil || len(data) > frame.ControlBytesMax {
		return Dropped
	}
	if pending := n.Pending(); pending > p.server.opt.Outbox {
		return Dropped
	}
	p.frame = frame.AppendFrame(p.frame[:0], op, data)
	p.loop.Send(n, p.frame)
	return result(n)
}

// Close ends the connection with a close frame behind what was sent before: RFC 6455, 7. Code 0
// sends none. The reason is cut at 123 bytes. OnClose is called before Close returns.
func (c *Conn) Close(code int, reason string) {
	c.check("Close")
	if n := c.conn(); n != nil {
		c.part.close(n, code, reason)
	}
}

// close ends a connection for the program.
func (p *part) close(n *netpoll.Conn, code int, reason string) {
	if code == 0 || code == int(frame.CodeNoStatus) {
		code, reason = int(frame.CodeNoStatus), "" // RFC 6455, 5.5.1: without a code there is no reason
	}
	p.End(p.loop, n, netpoll.ReasonLocal, closeCode(code), reason)
}

// closeCode is the code that may be sent for one that a program gives.
func closeCode(code int) uint16 {
	if code < 0 || code > 4999 {
		return frame.CodeInternal
	}
	return uint16(code)
}

// Terminate cuts the connection at once: what was not sent is lost, and there is no close frame.
func (c *Conn) Terminate() {
	c.check("Terminate")
	if n := c.conn(); n != nil {
		c.part.terminate(n)
	}
}

// Pause stops reading from the client until Resume: TCP then holds back what it sends. What was
// read already may still reach OnMessage.
func (c *Conn) Pause() {
	c.check("Pause")
	if n := c.conn(); n != nil {
		c.part.of(c).paused = true
		c.part.loop.StopRead(n)
	}
}

// Resume ends what Pause began.
func (c *Conn) Resume() {
	c.check("Resume")
	n := c.conn()
	if n == nil || c.extra == 0 {
		return
	}
	x := c.part.extras.At(c.extra)
	x.paused = false
	if !x.asyncPaused {
		c.part.loop.StartRead(n)
	}
	c.part.tidy(c)
}

// The errors of Subscribe are those of broadcast: ErrClosed, an invalid topic, or a bound.
var (
	// ErrClosed is returned where the connection, or the server, is closed.
	ErrClosed = errors.New("websocket: closed")

	// ErrBusy is returned where too much waits for the event loop already.
	ErrBusy = errors.New("websocket: too much waits for the event loop")
)

// Subscribe adds the connection to a topic: at least 1 byte of UTF-8 without control characters, at
// most 253, on a node less 12 and the bytes of its path. The
// error says what is wrong with the name, or that the connection has Options.TopicsPerConn topics.
func (c *Conn) Subscribe(topic string) error {
	c.check("Subscribe")
	n := c.conn()
	if n == nil {
		return ErrClosed
	}
	if err := c.part.server.validTopic(topic); err != nil {
		return err
	}
	_, err := c.part.shard.Subscribe(n.Slot(), c.part.form(&c.state), c.part.topic(topic))
	return err
}

// Unsubscribe takes the connection out of a topic, and tells whether it was in it.
func (c *Conn) Unsubscribe(topic string) bool {
	c.check("Unsubscribe")
	n := c.conn()
	return n != nil && c.part.shard.Unsubscribe(n.Slot(), c.part.topic(topic))
}

// Topics returns the topics that the connection is subscribed to.
func (c *Conn) Topics() (topics []string) {
	c.check("Topics")
	if n := c.conn(); n != nil {
		c.part.shard.Topics(n.Slot(), func(topic string) {
			if name, ok := c.part.named(topic); ok {
				topics = append(topics, name)
			}
		})
	}
	return topics
}

// Publish sends a message to all subscribers of a topic but this connection: see Server.Publish.
func (c *Conn) Publish(topic string, m Message) (broadcast.Result, error) {
	c.check("Publish")
	return c.part.publish(c, topic, m)
}
