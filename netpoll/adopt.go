// How connections join a loop and change their role.

package netpoll

// Adopt makes a socket a connection of this loop. fd must be a connected
// non-blocking stream socket; from here on it is the loop's to close, also when
// nil is returned because the slab or epoll is full. first, which may be nil,
// goes to OnData after OnOpen. What is returned may be Closing by then.
func (l *Loop) Adopt(fd int, role Role, tag uint32, first []byte) *Conn {
	c := l.join(fd, role, tag)
	if c != nil {
		l.open(c, first)
	}
	return c
}

// join makes the record, nil if there is no room.
func (l *Loop) join(fd int, role Role, tag uint32) *Conn {
	c := l.conns.alloc()
	if c == nil {
		l.reject(fd, tag)
		return nil
	}
	c.fd, c.role, c.tag = int32(fd), role, tag
	c.seen = l.tick
	c.interest = interestRead
	if l.kernel.Add(c.fd, c.token()) != nil {
		l.conns.release(c)
		l.reject(fd, tag)
		return nil
	}
	l.stats.Opened++
	l.remote.load.Add(1)
	return c
}

func (l *Loop) reject(fd int, tag uint32) {
	l.closing = append(l.closing, int32(fd))
	if l.opt.OnRelease != nil {
		l.opt.OnRelease(tag, ReasonReset)
	}
}

// open is c's first callbacks. A panic in them is charged to c, also when the
// task that adopts it has more sockets to adopt.
func (l *Loop) open(c *Conn, first []byte) {
	was := l.current
	defer func() { l.current = was }()
	defer l.contain()
	l.current = c
	l.opt.Handlers[c.role].OnOpen(l, c)
	l.Redeliver(c, first)
}

// Become gives the same socket another role: the session is 0, no deadline is
// set, OnOpen of the new role is called. OnClose of the old one is not.
func (l *Loop) Become(c *Conn, r Role) {
	if c.Closing() {
		return
	}
	l.wheel.Disarm(c)
	c.role, c.session = r, 0
	was := l.current
	l.current = c // a panic is c's, and then current stays for contain
	l.opt.Handlers[r].OnOpen(l, c)
	l.current = was
}

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
