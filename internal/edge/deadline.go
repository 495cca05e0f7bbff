// The deadlines of a Conn: the one that net/http sets, the one of the head that is being read, and
// those of the body.

package edge

import (
	"errors"
	"net"
	"os"
	"time"
)

// SetDeadline is SetReadDeadline and SetWriteDeadline. Any goroutine.
func (c *Conn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.Conn.SetWriteDeadline(t)
}

// SetReadDeadline bounds the present and later reads. Any goroutine.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	c.readDeadline = t
	err := c.Conn.SetReadDeadline(c.earlier())
	c.mu.Unlock()
	c.wake()
	return err
}

// earlier is the earliest of the deadlines that are set. The caller holds mu.
func (c *Conn) earlier() time.Time {
	first := c.readDeadline
	for _, t := range [...]time.Time{c.headDeadline, c.bodyDeadline} {
		if first.IsZero() || !t.IsZero() && t.Before(first) {
			first = t
		}
	}
	return first
}

// armBody starts the deadline of the next read of a body, and with the first read that of the whole
// body.
func (c *Conn) armBody() {
	now := time.Now()
	if total := c.listener.opt.BodyTimeout; total > 0 && c.bodyEnd.IsZero() {
		c.bodyEnd = now.Add(total)
	}
	next := now.Add(BodyIdleTimeout)
	if !c.bodyEnd.IsZero() && c.bodyEnd.Before(next) {
		next = c.bodyEnd
	}
	c.setBodyDeadline(next)
}

// disarmBody ends the deadlines of a body that is complete.
func (c *Conn) disarmBody() {
	c.bodyEnd = time.Time{}
	c.setBodyDeadline(time.Time{})
}

func (c *Conn) setBodyDeadline(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bodyDeadline.Equal(t) {
		return
	}
	c.bodyDeadline = t
	// An error means that the socket is closed, and the next read says that.
	_ = c.Conn.SetReadDeadline(c.earlier())
}

// bodyError is what Read returns after an error of the socket in the middle of a body.
func (c *Conn) bodyError(err error) error {
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	c.mu.Lock()
	late := !c.bodyDeadline.IsZero() && c.earlier().Equal(c.bodyDeadline)
	c.mu.Unlock()
	if late {
		c.breakBody(RefuseBodyTimeout)
		return c.broken
	}
	return err
}

// armHead starts the deadline of a head, once net/http asks for it and its first byte is there.
// Further bytes do not extend it.
func (c *Conn) armHead() {
	c.mu.Lock()
	armed := !c.headDeadline.IsZero()
	c.mu.Unlock()
	if d := c.listener.opt.HeadTimeout; d > 0 && !armed {
		c.setHeadDeadline(time.Now().Add(d))
	}
}

func (c *Conn) setHeadDeadline(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.headDeadline.Equal(t) {
		return
	}
	c.headDeadline = t
	// An error means that the socket is closed, and the next read says that.
	_ = c.Conn.SetReadDeadline(c.earlier())
}

// headError is what Read returns after an error of the socket in the middle of a head.
func (c *Conn) headError(err error) error {
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	c.mu.Lock()
	late := !c.headDeadline.IsZero() && c.earlier().Equal(c.headDeadline)
	c.mu.Unlock()
	if late {
		return c.refuse(RefuseTimeout)
	}
	return err
}

// waitDeadline waits, without reading, until the read deadline has passed or the connection is
// closed.
func (c *Conn) waitDeadline() error {
	for {
		c.mu.Lock()
		deadline := c.readDeadline
		c.mu.Unlock()
		if c.ended.Load() {
			return net.ErrClosed
		}
		var passed <-chan time.Time
		if !deadline.IsZero() {
			left := time.Until(deadline)
			if left <= 0 {
				return os.ErrDeadlineExceeded
			}
			passed = time.After(left)
		}
		select {
		case <-c.kick:
		case <-passed:
		}
	}
}

// wake makes waitDeadline check again.
func (c *Conn) wake() {
	select {
	case c.kick <- struct{}{}:
	default:
	}
}
