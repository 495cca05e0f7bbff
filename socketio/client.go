// A client: one connection, with its sockets in the namespaces that it has joined. Loop only.

package socketio

import (
	"c100k/internal/auth"
	"c100k/internal/engineio"
	"c100k/netpoll"
)

// client is the state of one Engine.IO session. Most clients are in one namespace only.
type client struct {
	session  netpoll.ID
	facts    *facts
	only     *Socket            // the socket, while there is only one namespace; nil if others has it, or there is none
	others   map[string]*Socket // by namespace, from the second on; nil is a namespace that was left
	assembly *assembly          // a packet whose attachments have not all arrived
	joined   bool               // it has been in a namespace
	greeted  bool               // sio.Watch.Joined was called
	who      *auth.Principal    // what that was told

	assembling bool // it is in reactor.assembling
}

// of returns the client of a session.
func (r *reactor) of(s *engineio.Session) *client { return r.clients.At(s.Value()) }

// socket returns the client's socket in a namespace; nil if there is none.
func (c *client) socket(namespace []byte) *Socket {
	if c.only != nil {
		if c.only.nsp.name == string(namespace) {
			return c.only
		}
		return nil
	}
	return c.others[string(namespace)]
}

// wasIn reports whether the client has left a namespace of that name. Packets that it sent before
// it knew may still arrive.
func (c *client) wasIn(namespace []byte) bool {
	_, known := c.others[string(namespace)]
	return known
}

// put adds a socket.
func (c *client) put(s *Socket) {
	if c.only == nil && c.others == nil {
		c.only = s
		return
	}
	c.useMap()
	c.others[s.nsp.name] = s
}

// useMap moves the only socket to the map.
func (c *client) useMap() {
	if c.others == nil {
		c.others = map[string]*Socket{}
	}
	if c.only != nil {
		c.others[c.only.nsp.name] = c.only
		c.only = nil
	}
}

// remove removes a socket; wasIn is true for its namespace from then on.
func (c *client) remove(s *Socket) {
	c.useMap()
	c.others[s.nsp.name] = nil
}

// namespaces returns how many namespaces the client is or was in.
func (c *client) namespaces() int {
	if c.only != nil {
		return 1
	}
	return len(c.others)
}

// sockets returns the client's sockets.
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
