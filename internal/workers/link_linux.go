// The link between the parent and one worker: it carries descriptors of connections, and what has
// been read from those.

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

// Link is one end of a socket pair between the parent and a worker. Dial makes a connection to the
// other side's HTTP server, Accept takes one for ours: each is a socket pair of its own, of which
// one end goes over the link. It is a net.Listener. Any goroutine, but Accept is for one at a time.
// Clients' connections that move from worker to worker go over it too; see moves.go.
type Link struct {
	conn  *net.UnixConn
	end   chan struct{} // closed by Close, or when the other side is gone
	once  sync.Once
	moves *moves
	taken func(m *move) // called with each connection that the other side hands over; set before Accept is called
	beat  func()        // called for each sign of life of the other side; set before Accept is called
	port  *workerPort   // what came with an inherited link; nil at the parent's end
	quota int           // the descriptor of the table of limits, where the orders have any

	packet [packetBytesMax + 1]byte // Accept's; one byte more than may come
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
	if err := packets.SetWriteBuffer(linkBufferBytes); err != nil {
		conn.Close()
		return nil, err
	}
	l := &Link{conn: packets, end: make(chan struct{}), taken: func(m *move) { unix.Close(m.FD) }, beat: func() {}}
	l.moves = newMoves(l)
	return l, nil
}

// socketpair makes two joined sockets that no process which ours starts inherits unasked.
func socketpair(kind int) (a, b *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	return os.NewFile(uintptr(fds[0]), "link"), os.NewFile(uintptr(fds[1]), "link"), nil
}

// DialContext connects to the other side's HTTP server; network and address mean nothing, they are
// those of http.Transport.DialContext. That the other side has taken the connection shows only in
// its answer.
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
	deadline := time.Now().Add(passTimeout)
	if earlier, ok := ctx.Deadline(); ok && earlier.Before(deadline) {
		deadline = earlier
	}
	// A packet needs a byte at least, or it could be lost.
	if err := l.pass([]byte{packetDial}, int(theirs.Fd()), deadline); err != nil {
		conn.Close()
		return nil, fmt.Errorf("pass a connection on: %w", err)
	}
	return conn, nil
}

// pass sends a packet with a descriptor. The link has room for a few hundred small ones that the
// other side has not taken; beyond it, pass fails at its deadline.
func (l *Link) pass(packet []byte, fd int, deadline time.Time) error {
	// Of two goroutines that pass at the same time the later one's deadline may hold for both: they
	// differ by seconds at most.
	if err := l.conn.SetWriteDeadline(deadline); err != nil {
		return err
	}
	_, _, err := l.conn.WriteMsgUnix(packet, unix.UnixRights(fd), nil)
	return err
}

// sendBeat sends a sign of life. It fails where the other side has not taken packets for
// passTimeout.
func (l *Link) sendBeat() error {
	if err := l.conn.SetWriteDeadline(time.Now().Add(passTimeout)); err != nil {
		return err
	}
	_, err := l.conn.Write([]byte{packetBeat})
	return err
}

// Accept waits for the next connection from the other side. It fails for good when the other side,
// or this one, has closed the link. Clients' connections that come meanwhile go to taken.
func (l *Link) Accept() (net.Conn, error) {
	rights := make([]byte, unix.CmsgSpace(4))
	for {
		n, oobn, _, _, err := l.conn.ReadMsgUnix(l.packet[:], rights)
		if err != nil || n == 0 {
			_ = l.Close()
			return nil, net.ErrClosed
		}
		if l.packet[0] == packetBeat && oobn == 0 {
			l.beat()
			continue
		}
		fd, err := received(rights[:oobn])
		if err != nil {
			// No descriptor was free for it. The kernel has closed it, and the other side, or the
			// client, sees that.
			continue
		}
		if l.packet[0] == packetDial {
			if conn, err := connOf(fd); err == nil {
				return conn, nil
			}
			continue
		}
		m, err := parseMove(l.packet[:n])
		if err != nil {
			unix.Close(fd) // the other side is of another build, or its memory is corrupt
			continue
		}
		m.FD = fd
		l.taken(m)
	}
}

// received is the descriptor that came with a packet.
func received(rights []byte) (fd int, err error) {
	messages, err := unix.ParseSocketControlMessage(rights)
	if err != nil {
		return -1, err
	}
	if len(messages) != 1 {
		return -1, errors.New("a packet without a descriptor")
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		return -1, err
	}
	if len(fds) != 1 {
		return -1, errors.New("a packet without a descriptor")
	}
	unix.CloseOnExec(fds[0])
	return fds[0], nil
}

// connOf makes a connection of a descriptor, which it owns.
func connOf(fd int) (net.Conn, error) {
	file := os.NewFile(uintptr(fd), "link")
	defer file.Close() // FileConn works on a duplicate
	return net.FileConn(file)
}

// Close closes the link; connections that it has carried stay, and those that wait to be handed
// over are not sent. Closing again does nothing.
func (l *Link) Close() error {
	err := net.ErrClosed
	l.once.Do(func() {
		close(l.end)
		err = l.conn.Close()
		l.moves.close()
	})
	return err
}

// Addr implements net.Listener.
func (l *Link) Addr() net.Addr { return l.conn.LocalAddr() }
