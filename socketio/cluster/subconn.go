// A connection that receives: it reads messages in place, and skips those that are too large.

package cluster

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"c100k/internal/siowire"
)

// subConn is one. Its goroutine reads; send is called by that of the subscriber.
type subConn struct {
	net.Conn
	r      *redisCarrier
	addr   string
	events chan subEvent
	in     *bufio.Reader
	quiet  bool // a PING waits for its answer; the reader only

	// Those of the last message: the next is often of the same. The reader only.
	by      subscription
	channel string
}

// errReply is wrapped by the error of a connection that Redis has refused something on.
var errReply = errors.New("cluster: Redis refuses")

// errProtocol says that a connection does not speak the protocol of Redis.
var errProtocol = errors.New("cluster: this is not the protocol of Redis")

// dialSub connects to a server.
func dialSub(ctx context.Context, r *redisCarrier, addr string, events chan subEvent) (*subConn, error) {
	o := &r.option
	var conn net.Conn
	var err error
	switch {
	case o.DialCtxFn != nil:
		conn, err = o.DialCtxFn(ctx, addr, &o.Dialer, o.TLSConfig)
	case o.TLSConfig != nil:
		d := tls.Dialer{NetDialer: &o.Dialer, Config: o.TLSConfig}
		conn, err = d.DialContext(ctx, "tcp", addr)
	default:
		conn, err = o.Dialer.DialContext(ctx, "tcp", addr)
	}
	if err != nil {
		return nil, err
	}
	c := &subConn{Conn: conn, r: r, addr: addr, events: events, in: bufio.NewReaderSize(timed{conn}, subBufferBytes)}
	if o.Username != "" || o.Password != "" {
		args := []string{"AUTH", o.Username, o.Password}
		if o.Username == "" {
			args = []string{"AUTH", o.Password}
		}
		if err := c.ask(args...); err != nil {
			conn.Close()
			return nil, err
		}
	}
	if err := c.ask("CLIENT", "SETNAME", o.ClientName); err != nil {
		conn.Close()
		return nil, err
	}
	go c.read()
	return c, nil
}

// ask sends a command and waits for the answer, before there are subscriptions.
func (c *subConn) ask(args ...string) error {
	_ = c.SetWriteDeadline(time.Now().Add(writeTimeout)) // the write fails if this does
	if _, err := c.Write(appendCommand(nil, args...)); err != nil {
		return err
	}
	line, err := c.line()
	if err == nil && (len(line) == 0 || line[0] != '+') {
		err = fmt.Errorf("%w: %.200s", errReply, line)
	}
	return err
}

// timed bounds each read.
type timed struct{ net.Conn }

func (c timed) Read(p []byte) (int, error) {
	_ = c.SetReadDeadline(time.Now().Add(subQuietMax)) // the read fails if this does
	return c.Conn.Read(p)
}

func appendCommand(dst []byte, args ...string) []byte {
	dst = append(strconv.AppendInt(append(dst, '*'), int64(len(args)), 10), "\r\n"...)
	for _, arg := range args {
		dst = append(strconv.AppendInt(append(dst, '$'), int64(len(arg)), 10), "\r\n"...)
		dst = append(append(dst, arg...), "\r\n"...)
	}
	return dst
}

// send makes or ends subscriptions.
func (c *subConn) send(sharded, on bool, list []subscription) {
	verb := map[bool][2]string{false: {"UNSUBSCRIBE", "PUNSUBSCRIBE"}, true: {"SUBSCRIBE", "PSUBSCRIBE"}}[on]
	if sharded {
		verb[0] = "S" + verb[0]
	}
	var out []byte
	for _, of := range list { // channels of one command would have to be of one slot
		if of.pattern {
			out = appendCommand(out, verb[1], of.name)
		} else {
			out = appendCommand(out, verb[0], of.name)
		}
	}
	_ = c.SetWriteDeadline(time.Now().Add(writeTimeout)) // the write fails if this does
	if _, err := c.Write(out); err != nil {
		c.close() // the reader tells that it has ended
	}
}

func (c *subConn) close() {
	_ = c.Conn.Close() // it is over in any case
}

// read takes what comes until the connection ends.
func (c *subConn) read() {
	err := c.next()
	for err == nil {
		err = c.next()
	}
	_ = c.Conn.Close() // it has failed
	c.events <- subEvent{conn: c, ended: err, moved: -1}
}

// next takes one message or reply.
func (c *subConn) next() error {
	line, err := c.first()
	if err != nil {
		return err
	}
	switch line[0] {
	case '*':
		return c.push(line)
	case '-':
		return c.refused(string(line))
	case '+':
		return nil // a PONG before there are subscriptions
	}
	return errProtocol
}

// first waits for a line. Where nothing comes, it asks whether the server is there.
func (c *subConn) first() ([]byte, error) {
	for {
		_, err := c.in.Peek(1)
		if err == nil {
			c.quiet = false
			return c.line()
		}
		var late net.Error
		if !errors.As(err, &late) || !late.Timeout() || c.quiet {
			return nil, err
		}
		c.quiet = true
		_ = c.SetWriteDeadline(time.Now().Add(writeTimeout)) // the write fails if this does
		if _, err := c.Write(appendCommand(nil, "PING")); err != nil {
			return nil, err
		}
	}
}

// line returns the next line without its end; it is valid until the next read.
func (c *subConn) line() ([]byte, error) {
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	if len(line) < 3 || line[len(line)-2] != '\r' {
		return nil, errProtocol
	}
	return line[:len(line)-2], nil
}

// refused takes an error of Redis. A slot that has moved is looked for again.
func (c *subConn) refused(text string) error {
	if rest, ok := strings.CutPrefix(text, "-MOVED "); ok {
		digits, _, _ := strings.Cut(rest, " ")
		if slot, err := strconv.Atoi(digits); err == nil {
			c.events <- subEvent{conn: c, moved: slot}
			return nil
		}
	}
	return fmt.Errorf("%w: %.200s", errReply, text[1:])
}

// The kinds of what is pushed, with the number of elements behind them.
var pushes = map[string]int{
	"message": 2, "smessage": 2, "pmessage": 3, "pong": 1,
	"subscribe": 2, "ssubscribe": 2, "psubscribe": 2, "unsubscribe": 2, "sunsubscribe": 2, "punsubscribe": 2,
}

// push takes an array.
func (c *subConn) push(line []byte) error {
	n, err := strconv.Atoi(string(line[1:]))
	if err != nil || n < 1 || n > 4 {
		return errProtocol
	}
	kind, err := c.short()
	if err != nil {
		return err
	}
	want, known := pushes[string(kind)]
	if !known || want != n-1 {
		return errProtocol
	}
	switch string(kind) {
	case "message", "smessage":
		return c.message(false)
	case "pmessage":
		return c.message(true)
	case "pong":
		_, err = c.short()
		return err
	}
	ends := string(kind) == "sunsubscribe"
	channel, err := c.short()
	if err != nil {
		return err
	}
	name := string(channel)
	if line, err = c.line(); err != nil || line[0] != ':' {
		return errors.Join(err, errProtocol)
	}
	if ends && c.r.wants(subscription{name: name}) {
		c.events <- subEvent{conn: c, gone: name, moved: -1} // its slot has moved
	}
	return nil
}

// length reads the length of a string.
func (c *subConn) length() (int, error) {
	line, err := c.line()
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(string(line[1:]))
	if line[0] != '$' || err != nil || n < 0 || n > subStringBytesMax {
		return 0, errProtocol
	}
	return n, nil
}

// short reads a string that must fit into the buffer; nil: it does not, and was skipped. It is
// valid until the next read.
func (c *subConn) short() ([]byte, error) {
	n, err := c.length()
	if err != nil {
		return nil, err
	}
	if n+2 > channelBytesMax {
		return nil, c.skip(n)
	}
	p, err := c.in.Peek(n + 2)
	if err != nil {
		return nil, err
	}
	_, err = c.in.Discard(n + 2) // it is in the buffer, and stays there until the next read
	return p[:n:n], err
}

func (c *subConn) skip(n int) error {
	for n += 2; n > 0; {
		step := min(n, subBufferBytes)
		if _, err := c.in.Discard(step); err != nil {
			return err
		}
		n -= step
	}
	return nil
}

// message takes a message. A pattern stands before the channel.
func (c *subConn) message(pattern bool) error {
	name, err := c.short()
	if err != nil {
		return err
	}
	known := name != nil
	if string(name) != c.by.name || c.by.pattern != pattern {
		c.by = subscription{pattern: pattern, name: string(name)}
	}
	if pattern {
		if name, err = c.short(); err != nil {
			return err
		}
		known = known && name != nil
	}
	if string(name) != c.channel {
		c.channel = string(name)
	}
	n, err := c.length()
	if err != nil {
		return err
	}
	if !known || n > siowire.AnswerBytesMax {
		c.r.cluster.counters.refused.Add(1)
		return c.skip(n)
	}
	if n+2 > subBufferBytes {
		return c.large(n)
	}
	p, err := c.in.Peek(n + 2)
	if err != nil {
		return err
	}
	c.r.cluster.received(c.by, c.channel, p[:n:n])
	_, err = c.in.Discard(n + 2)
	return err
}

// large takes a message that does not fit into the buffer. Its memory grows with what comes.
func (c *subConn) large(n int) error {
	var p bytes.Buffer
	for p.Len() < n {
		if _, err := io.CopyN(&p, c.in, int64(min(n-p.Len(), subBufferBytes))); err != nil {
			return err
		}
	}
	c.r.cluster.received(c.by, c.channel, slices.Clip(p.Bytes()))
	_, err := c.in.Discard(2)
	return err
}
