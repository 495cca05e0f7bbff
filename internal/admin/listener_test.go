package admin

import (
	"bytes"
	"errors"
	"log/slog"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A port goes on after every error of accept(2), says so once a minute, and ends when it is closed.
func TestLasting(t *testing.T) {
	mine, _ := net.Pipe()
	defer mine.Close()
	for _, errno := range []syscall.Errno{syscall.ENOMEM, syscall.ENOBUFS, syscall.EMFILE, syscall.ENFILE, syscall.EPERM, syscall.EINVAL, syscall.EPROTO} {
		failure := &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", errno)}
		var log bytes.Buffer
		now, paused := time.Unix(0, 0), 0
		l := &lasting{
			Listener: &scripted{left: 1200, err: failure, conn: mine}, port: "admin", log: slog.New(slog.NewTextHandler(&log, nil)),
			pause: func(d time.Duration) { paused++; now = now.Add(d) }, now: func() time.Time { return now },
		}
		if c, err := l.Accept(); err != nil || c != mine {
			t.Errorf("%v: %v, %v", errno, c, err)
		}
		if lines := strings.Count(log.String(), "port=admin"); paused != 1200 || lines != 2 {
			t.Errorf("%v: %d pauses, %d lines in two minutes", errno, paused, lines)
		}
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%v: closed, and %v", errno, err)
		}
	}
}

// scripted is a listener that fails, has one connection, and is closed.
type scripted struct {
	net.Listener
	left int
	err  error
	conn net.Conn
}

func (s *scripted) Accept() (net.Conn, error) {
	switch s.left--; {
	case s.left >= 0:
		return nil, s.err
	case s.left == -1:
		return s.conn, nil
	}
	return nil, net.ErrClosed
}
