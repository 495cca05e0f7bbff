// TLS: handshakes on a few goroutines, and then a connection that lives in the loop like any other.

package swarm

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"c100k/netpoll"
)

// wire is what crypto/tls takes for its connection. During the handshake it is a socket that
// blocks; from then on it is memory: what the loop has read lies in it, and what the loop is to
// send. When there is nothing to read it says so by an error that passes, and crypto/tls goes on
// where it was when it is asked again.
type wire struct {
	net.Conn        // nil in the loop
	in, out  []byte // in the loop
}

// errAgain says that the bytes are still to come.
var errAgain net.Error = again{}

type again struct{}

func (again) Error() string   { return "nothing has come" }
func (again) Timeout() bool   { return false }
func (again) Temporary() bool { return true } // what makes crypto/tls not remember it

// Read is net.Conn's.
func (w *wire) Read(p []byte) (int, error) {
	if w.Conn != nil {
		return w.Conn.Read(p)
	}
	if len(w.in) == 0 {
		return 0, errAgain
	}
	n := copy(p, w.in)
	w.in = w.in[n:]
	return n, nil
}

// Write is net.Conn's.
func (w *wire) Write(p []byte) (int, error) {
	if w.Conn != nil {
		return w.Conn.Write(p)
	}
	w.out = append(w.out, p...)
	return len(p), nil
}

// secured is one connection's TLS.
type secured struct {
	wire *wire
	conn *tls.Conn
}

// secure is the netpoll.Handler of a role of which it hides that the bytes are encrypted.
type secure struct {
	s     *Swarm
	inner netpoll.Handler
}

// OnOpen is the inner handler's.
func (e *secure) OnOpen(l *netpoll.Loop, c *netpoll.Conn) { e.inner.OnOpen(l, c) }

// OnData decrypts.
func (e *secure) OnData(l *netpoll.Loop, c *netpoll.Conn, p []byte) {
	s := e.s
	t := s.secured.At(s.clients[c.Tag()-1].secured)
	t.wire.in, t.wire.out = p, s.cipher[:0]
	for {
		n, err := t.conn.Read(s.plain)
		if n > 0 {
			s.handlers[c.Role()].OnData(l, c, s.plain[:n])
			if c.Closing() || c.Tag() == 0 {
				return
			}
		}
		switch {
		case err == nil:
		case errors.Is(err, errAgain):
			s.flushTLS(l, c, t) // an answer of TLS itself
			return
		case err == io.EOF:
			s.refuse(l, c, "eof", 0)
			return
		default:
			s.refuse(l, c, "bad TLS", 0)
			return
		}
	}
}

// OnTimer is the inner handler's.
func (e *secure) OnTimer(l *netpoll.Loop, c *netpoll.Conn) { e.inner.OnTimer(l, c) }

// OnWritable is the inner handler's.
func (e *secure) OnWritable(l *netpoll.Loop, c *netpoll.Conn) { e.inner.OnWritable(l, c) }

// OnClose is the inner handler's.
func (e *secure) OnClose(l *netpoll.Loop, c *netpoll.Conn, r netpoll.Reason) {
	e.inner.OnClose(l, c, r)
}

// transmit sends p, encrypted where the run is. p is copied.
func (s *Swarm) transmit(l *netpoll.Loop, c *netpoll.Conn, p []byte) {
	if s.tls == nil {
		l.Send(c, p)
		return
	}
	t := s.secured.At(s.clients[c.Tag()-1].secured)
	t.wire.out = s.cipher[:0]
	if _, err := t.conn.Write(p); err != nil {
		s.refuse(l, c, "bad TLS", 0)
		return
	}
	s.flushTLS(l, c, t)
}

// flushTLS sends what TLS has written. Between turns no connection keeps a buffer for it.
func (s *Swarm) flushTLS(l *netpoll.Loop, c *netpoll.Conn, t *secured) {
	l.Send(c, t.wire.out)
	s.cipher, t.wire.out = t.wire.out[:0], nil
}

// handshaker opens TLS connections on goroutines of its own.
type handshaker struct {
	config  *tls.Config
	timeout time.Duration
	jobs    chan handshake // as many as may be under way: putting one in never blocks
	work    sync.WaitGroup
}

// handshake is one connection that is wanted.
type handshake struct {
	client uint32
	began  time.Duration
	local  netip.Addr
	target netip.AddrPort
}

// newHandshaker is nil where the URL is of no encrypted scheme.
func newHandshaker(spec *Spec) (*handshaker, error) {
	u, err := url.Parse(spec.URL)
	if err != nil || u.Scheme != "wss" && u.Scheme != "https" {
		return nil, nil
	}
	config, err := spec.trust().Config(u.Hostname())
	if err != nil {
		return nil, err
	}
	return &handshaker{config: config, timeout: spec.Timeout, jobs: make(chan handshake, connectingMax)}, nil
}

// run makes handshakes until ctx ends or there are no more jobs; done gets the result of each.
func (h *handshaker) run(ctx context.Context, done func(handshake, int, secured, error)) {
	for range handshakersMax {
		h.work.Go(func() {
			for {
				select {
				case job := <-h.jobs:
					fd, t, err := h.shake(ctx, job)
					done(job, fd, t, err)
				case <-ctx.Done():
					return
				}
			}
		})
	}
}

// shake opens one connection; its descriptor is the caller's.
func (h *handshaker) shake(ctx context.Context, job handshake) (fd int, t secured, err error) {
	ctx, cancel := context.WithTimeout(ctx, h.timeout-(Clock()-job.began))
	defer cancel()
	dialer := net.Dialer{Control: lateBind}
	if job.local.IsValid() {
		dialer.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(job.local, 0))
	}
	socket, err := dialer.DialContext(ctx, "tcp", job.target.String())
	if err != nil {
		return -1, t, err
	}
	defer socket.Close() // the loop has a descriptor of its own for it
	t.wire = &wire{Conn: socket}
	t.conn = tls.Client(t.wire, h.config)
	if err := t.conn.HandshakeContext(ctx); err != nil {
		return -1, t, err
	}
	fd, err = takeOver(socket.(*net.TCPConn))
	t.wire.Conn = nil
	return fd, t, err
}

// lateBind is what netpoll.Connect does too: a port is taken for its destination alone.
func lateBind(_, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
	})
}

// takeOver gives another descriptor of a socket, which does not block either.
func takeOver(socket *net.TCPConn) (fd int, err error) {
	raw, err := socket.SyscallConn()
	if err != nil {
		return -1, err
	}
	if bad := raw.Control(func(from uintptr) { fd, err = unix.FcntlInt(from, unix.F_DUPFD_CLOEXEC, 0) }); bad != nil {
		return -1, bad
	}
	if err != nil {
		return -1, os.NewSyscallError("fcntl", err)
	}
	return fd, nil
}

// shaken takes a connection whose handshake is over, one way or the other.
func (s *Swarm) shaken(l *netpoll.Loop, job handshake, fd int, t secured, err error) {
	cl := &s.clients[job.client]
	switch {
	case err != nil:
		s.leave(job.client, tlsCause(err), 0)
		return
	case s.ending > 0:
		unix.Close(fd)
		s.leave(job.client, "", 0)
		return
	}
	index, held := s.secured.Alloc()
	*held, cl.secured = t, index
	s.adopt(l, job.client, fd)
}

// dropTLS forgets a client's TLS, if it has any.
func (s *Swarm) dropTLS(cl *client) {
	if cl.secured != 0 {
		s.secured.Free(cl.secured)
		cl.secured = 0
	}
}

// tlsCause is the word for why there is no TLS connection.
func tlsCause(err error) string {
	var timeout net.Error
	var errno syscall.Errno
	var record tls.RecordHeaderError
	var invalid x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	switch {
	case errors.As(err, &errno):
		return causeOf(err)
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	case errors.Is(err, io.EOF):
		return "eof"
	case errors.As(err, &record):
		return "no TLS"
	case errors.As(err, &invalid), errors.As(err, &unknown), errors.As(err, &name):
		return "bad certificate"
	}
	return fmt.Sprintf("TLS: %.60s", err)
}
