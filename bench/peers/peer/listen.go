package peer

// listen.go: the listening socket, with the one bound that no library has to know about.

import (
	"context"
	"errors"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Listen opens the listening socket. Its connections have TCP_USER_TIMEOUT: a reader that takes
// nothing for WriteWait is reset by the kernel, so that a library without a write deadline, or with
// a costly one, does not keep what it owes a dead reader for ever.
func (o Options) Listen() (net.Listener, error) {
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		controlErr := c.Control(func(fd uintptr) { // accepted sockets inherit it
			err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(WriteWait/time.Millisecond))
		})
		if controlErr != nil {
			return controlErr
		}
		return err
	}}
	return config.Listen(context.Background(), "tcp", o.Addr)
}

// acceptPause is how long accepting rests when descriptors run out.
const acceptPause = 10 * time.Millisecond

// Accept hands every connection of l to serve, which must not block. It ends the program when the
// listener fails.
func Accept(l net.Listener, serve func(*net.TCPConn)) {
	for {
		conn, err := l.Accept()
		if errors.Is(err, syscall.EMFILE) {
			time.Sleep(acceptPause)
			continue
		}
		Check(err)
		serve(conn.(*net.TCPConn))
	}
}
