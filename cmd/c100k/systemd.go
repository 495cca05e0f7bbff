// What systemd is told and what it hands over: state by sd_notify(3), the watchdog, sockets by
// sd_listen_fds(3).

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"

	"c100k/server"
)

const (
	// feedsPerTimeout is how often the watchdog is fed within its timeout. sd_watchdog_enabled(3)
	// advises two; with three, one that comes late does no harm.
	feedsPerTimeout = 3

	// stopMargin is what a stop may take beyond --drain: the last closes, the bus, history.
	stopMargin = 15 * time.Second
)

// notify tells systemd, where it started us and wants to know (NOTIFY_SOCKET).
func notify(state string) {
	// A manager that does not listen is no failure of the node.
	_, _ = daemon.SdNotify(false, state)
}

// extendTimeout asks systemd to wait for the drain before it kills the process, whatever
// TimeoutStopSec of the unit is.
func extendTimeout(drain time.Duration) string {
	return fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", (max(drain, 0) + stopMargin).Microseconds())
}

// startWatchdog feeds systemd's watchdog until ctx ends, where the unit has one. It stops while an
// event loop is stuck, so that systemd ends the process and starts it again. The parent of workers
// watches them itself, and only shows that it runs.
func (s *serving) startWatchdog(ctx context.Context) {
	timeout, err := daemon.SdWatchdogEnabled(false)
	if err != nil || timeout == 0 {
		return
	}
	tick := time.NewTicker(timeout / feedsPerTimeout)
	go func() {
		defer tick.Stop()
		s.feed(ctx, tick.C)
	}()
}

func (s *serving) feed(ctx context.Context, tick <-chan time.Time) {
	loops, _ := s.node.(interface{ Stuck() error })
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick:
		}
		if loops != nil {
			if err := loops.Stuck(); err != nil {
				s.log.Error("systemd's watchdog is not fed: it will end this process", "err", err)
				continue
			}
		}
		notify(daemon.SdNotifyWatchdog)
	}
}

// portsOf are the listening sockets among files, by their names. It closes the files. Nil: there
// are none.
func portsOf(files []*os.File) (*server.Ports, error) {
	if len(files) == 0 {
		return nil, nil
	}
	ports := &server.Ports{}
	var all error
	for _, file := range files {
		all = errors.Join(all, takePort(ports, file))
	}
	if all == nil {
		return ports, nil
	}
	for _, ln := range []net.Listener{ports.Public, ports.Admin, ports.Redirect} {
		if ln != nil {
			ln.Close()
		}
	}
	return nil, all
}

func takePort(ports *server.Ports, file *os.File) error {
	defer file.Close()
	// A unit with Accept=yes passes connections, and one with ListenDatagram another kind of socket.
	if listens, err := unix.GetsockoptInt(int(file.Fd()), unix.SOL_SOCKET, unix.SO_ACCEPTCONN); err != nil || listens == 0 {
		return fmt.Errorf("the socket %q from systemd does not listen: ListenStream= and Accept=no are wanted", file.Name())
	}
	// See netpoll.Acceptor.Listen.
	if protocol, err := unix.GetsockoptInt(int(file.Fd()), unix.SOL_SOCKET, unix.SO_PROTOCOL); err == nil && protocol == unix.IPPROTO_MPTCP {
		return fmt.Errorf("the socket %q from systemd is of Multipath TCP, which is not supported: remove SocketProtocol=mptcp", file.Name())
	}
	ln, err := net.FileListener(file)
	if err != nil {
		return fmt.Errorf("the socket %q from systemd cannot be used: %w", file.Name(), err)
	}
	place := &ports.Public
	switch file.Name() {
	case "admin":
		place = &ports.Admin
	case "redirect":
		place = &ports.Redirect
	}
	if *place != nil {
		ln.Close()
		return fmt.Errorf("the socket %q from systemd is one too many: one each is public, admin and redirect (FileDescriptorName=)", file.Name())
	}
	*place = ln
	return nil
}
