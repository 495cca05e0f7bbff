// Records without a socket: for what outlives its connections.

package netpoll

// Reserve makes a record without a socket, which has a role like others: a
// protocol whose sessions change connections gets from it what a session needs
// of the loop, which is an ID, a slot and a deadline. It is ended by Close; what is
// sent to it ends it too, as it would a broken connection. Nil when the slab is
// full.
func (l *Loop) Reserve(role Role) *Conn {
	c := l.conns.alloc()
	if c == nil {
		return nil
	}
	c.fd, c.role, c.seen = noSocket, role, l.tick
	l.stats.Opened++
	l.remote.load.Add(1)
	l.open(c, nil)
	return c
}

// noSocket is the descriptor of a record without a socket. No system call
// takes it.
const noSocket = -1
