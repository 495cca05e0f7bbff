// The link between the parent and one worker: it carries descriptors of connections, and nothing else.

package workers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Link is one end of a socket pair between the parent and a worker. Dial makes a connection to the other side's HTTP server, Accept
// takes one for ours: each is a socket pair of its own, of which one end goes over the link. It is a net.Listener. Any goroutine.
type Link struct {
	conn *net.UnixConn
	end  chan struct{} // closed by Close, or when the other side is gone
	once sync.Once
}

// newPair makes a link: our end, and the end for the process to be started.
func newPair() (*Link, *os.File, error) {
	ours, theirs, err := socketpair(unix.SOCK_SEQPACKET)
	if err != nil {
		return nil, nil, err
	}
	link, err := newLink(ours)
	if err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return link, theirs, nil
}

// inheritLink is the link on a descriptor that the parent has passed on.
func inheritLink(fd int) (*Link, error) {
	domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil {
		return nil, os.NewSyscallError("getsockopt", err)
	}
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil || domain != unix.AF_UNIX || kind != unix.SOCK_SEQPACKET {
		return nil, fmt.Errorf("descriptor %d is no link to a parent", fd)
	}
	unix.CloseOnExec(fd)
	return newLink(os.NewFile(uintptr(fd), "link"))
}

// newLink takes the file over.
func newLink(file *os.File) (*Link, error) {
	defer file.Close() // FileConn works on a duplicate
	conn, err := net.FileConn(file)
	if err != nil {
		return nil, err
	}
	packets, ok := conn.(*net.UnixConn)
	if !ok {
		conn.Close()
		return nil, errors.New("a link is a unix socket")
	}
	return &Link{conn: packets, end: make(chan struct{})}, nil
}

// socketpair makes two joined sockets that no process which ours starts inherits unasked.
func socketpair(kind int) (a, b *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	return os.NewFile(uintptr(fds[0]), "link"), os.NewFile(uintptr(fds[1]), "link"), nil
}

// DialContext connects to the other side's HTTP server; network and address mean nothing, they are those of
// http.Transport.DialContext. That the other side has taken the connection shows only in its answer.
func (l *Link) DialContext(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs, err := socketpair(unix.SOCK_STREAM)
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	defer ours.Close() // FileConn works on a duplicate
	conn, err := net.FileConn(ours)
	if err != nil {
		return nil, err
	}
	if err := l.pass(ctx, int(theirs.Fd())); err != nil {
		conn.Close()
		return nil, fmt.Errorf("pass a connection on: %w", err)
	}
	return conn, nil
}

// pass sends a descriptor. The link has room for a few hundred that the other side has not taken; beyond it, pass fails at its
// deadline.
func (l *Link) pass(ctx context.Context, fd int) error {
	deadline, ok := ctx.Deadline()
	if limit := time.Now().Add(passTimeout); !ok || deadline.After(limit) {
		deadline = limit
	}
	if err := l.conn.SetWriteDeadline(deadline); err != nil {
		return err
	}
	// A packet needs a byte at least, or it could be lost.
	_, _, err := l.conn.WriteMsgUnix([]byte{0}, unix.UnixRights(fd), nil)
	return err
}

// Accept waits for the next connection from the other side. It fails for good when the other side, or this one, has closed the
// link.
func (l *Link) Accept() (net.Conn, error) {
	var packet [1]byte
	rights := make([]byte, unix.CmsgSpace(4))
	for {
		n, oobn, _, _, err := l.conn.ReadMsgUnix(packet[:], rights)
		if err != nil || n == 0 {
			_ = l.Close()
			return nil, net.ErrClosed
		}
		if conn, err := received(rights[:oobn]); err == nil {
			return conn, nil
		}
		// No descriptor was free for it. The kernel has closed it, and the other side sees that its request fails.
	}
}

// received is the connection whose descriptor came with a packet.
func received(rights []byte) (net.Conn, error) {
	messages, err := unix.ParseSocketControlMessage(rights)
	if err != nil {
		return nil, err
	}
	if len(messages) != 1 {
		return nil, errors.New("a packet without a descriptor")
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		return nil, err
	}
	if len(fds) != 1 {
		return nil, errors.New("a packet without a descriptor")
	}
	unix.CloseOnExec(fds[0])
	file := os.NewFile(uintptr(fds[0]), "link")
	defer file.Close()
	return net.FileConn(file)
}

// Close closes the link; connections that it has carried stay. Closing again does nothing.
func (l *Link) Close() error {
	err := net.ErrClosed
	l.once.Do(func() {
		close(l.end)
		err = l.conn.Close()
	})
	return err
}

// Addr implements net.Listener.
func (l *Link) Addr() net.Addr { return l.conn.LocalAddr() }
