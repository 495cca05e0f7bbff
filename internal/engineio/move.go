// The way of a request to the loop where its session is.

package engineio

import (
	"c100k/netpoll"

	"golang.org/x/sys/unix"
)

// Loops takes requests from one loop of a process to another: what Config.Move needs where there is one process. Immutable once in use.
type Loops struct {
	// Process is the number of this process; a request for another one is not moved.
	Process uint8

	// Remotes are the loops', by their index.
	Remotes []*netpoll.Remote

	// Head is the role of connections whose next bytes are a request.
	Head netpoll.Role

	// Lost hears of the tag of a connection that no loop took; it may be nil.
	Lost func(tag uint32)
}

// Move is a Config.Move.
func (m *Loops) Move(l *netpoll.Loop, c *netpoll.Conn, process, loop uint8, first []byte) bool {
	if process != m.Process || int(loop) >= len(m.Remotes) {
		return false
	}
	tag, fd := c.Tag(), l.Detach(c)
	if !m.Remotes[loop].Post(func(l *netpoll.Loop) { l.Adopt(fd, m.Head, tag, first) }) {
		unix.Close(fd)
		if m.Lost != nil {
			m.Lost(tag)
		}
	}
	return true
}
