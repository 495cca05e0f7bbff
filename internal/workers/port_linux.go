// The listening socket of one worker, which the parent holds too: it takes a worker that hangs out
// of the accept rotation, and puts it back.

package workers

import (
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// workerPort is a socket bound to the public port, beside those of the other workers. The parent
// makes it and the worker inherits it, so that either can start and stop listening. The kernel
// deals connections only to sockets that listen.
type workerPort struct{ file *os.File }

// share makes the socket of one worker. It does not listen yet.
func (r *reservation) share() (*workerPort, error) {
	fd, err := boundSocket(r.addr, true)
	if err != nil {
		return nil, fmt.Errorf("share the public port: %w", err)
	}
	return &workerPort{os.NewFile(uintptr(fd), "port")}, nil
}

// inheritPort is the socket on a descriptor that the parent has passed on.
func inheritPort(fd int) (*workerPort, error) {
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return nil, os.NewSyscallError("getsockopt", err)
	}
	protocol, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL)
	if err != nil || kind != unix.SOCK_STREAM || protocol != unix.IPPROTO_TCP {
		return nil, fmt.Errorf("descriptor %d is no TCP socket", fd)
	}
	unix.CloseOnExec(fd)
	return &workerPort{os.NewFile(uintptr(fd), "port")}, nil
}

// listen starts to listen, or starts again after suspend. The worker and the parent may call it.
func (p *workerPort) listen() error {
	return p.control("listen", func(fd int) error { return unix.Listen(fd, backlogMax) })
}

// suspend stops listening, in the worker's process too. Connections that nobody has accepted are
// reset, so their clients do not wait for a hung worker. The socket stays bound.
func (p *workerPort) suspend() error {
	return p.control("shutdown", func(fd int) error {
		if err := unix.Shutdown(fd, unix.SHUT_RD); err != unix.ENOTCONN { // it did not listen
			return err
		}
		return nil
	})
}

// listener is a net.Listener on a duplicate of the socket.
func (p *workerPort) listener() (net.Listener, error) {
	if err := p.listen(); err != nil {
		return nil, err
	}
	return net.FileListener(p.file)
}

func (p *workerPort) control(what string, f func(fd int) error) error {
	raw, err := p.file.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = f(int(fd)) }); err != nil {
		return err
	}
	return os.NewSyscallError(what, failed)
}

// Close closes this process's descriptor of the socket. The socket listens until every process has
// closed its own.
func (p *workerPort) Close() error { return p.file.Close() }
