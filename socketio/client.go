// A client: one connection, with its sockets in the namespaces that it has joined. Loop only.

package socketio

import (
	"c100k/internal/engineio"
	"c100k/netpoll"
)

// client is what a session of Engine.IO is to us. Most are in one namespace only.
type client struct {
	session  netpoll.ID
	facts    *facts
	only     *Socket            // the socket of the first namespace; nil if others has it, or there is none
	others   map[string]*Socket // by namespace, once there was a second; nil stands for one that was left
	assembly *assembly          // a packet whose attachments are on their way
	joined   bool               // it has been in a namespace

	assembling bool // it is in reactor.assembling
}

// of is the client of a session.
func (r *reactor) of(s *engineio.Session) *client { return r.clients.At(s.Value()) }

// socket is the client's socket in a namespace; nil if it is in none of that name.
func (c *client) socket(namespace []byte) *Socket {
	if c.only != nil {
		if c.only.nsp.name == string(namespace) {
			return c.only
		}
		return nil
	}
	return c.others[string(namespace)]
}

// knew tells whether the client was in a namespace of that name before: what it sent before it
// heard of its end may still arrive.
func (c *client) knew(namespace []byte) bool {
	_, known := c.others[string(namespace)]
	return known
}

// put adds a socket.
func (c *client) put(s *Socket) {
	if c.only == nil && c.others == nil {
		c.only = s
		return
	}
	c.spread()
	c.others[s.nsp.name] = s
}

// spread makes a map of what was one socket.
func (c *client) spread() {
	if c.others == nil {
		c.others = map[string]*Socket{}
	}
	if c.only != nil {
		c.others[c.only.nsp.name] = c.only
		c.only = nil
	}
}

// remove takes a socket out, and remembers that it was there.
func (c *client) remove(s *Socket) {
	c.spread()
	c.others[s.nsp.name] = nil
}

// namespaces is how many namespaces the client is or was in.
func (c *client) namespaces() int {
	if c.only != nil {
		return 1
	}
	return len(c.others)
}

// sockets are the client's sockets.
func (c *client) sockets() (list []*Socket) {
	if c.only != nil {
		return []*Socket{c.only}
	}
	for _, s := range c.others {
		if s != nil {
			list = append(list, s)
		}
	}
	return list
}
