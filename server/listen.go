// Where the node listens: the public port, by TCP or on a Unix socket (unix:PATH, with the mode and
// owner of the socket's file), and the admin port.

package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"c100k/internal/admin"
	"c100k/internal/redirect"
	"c100k/netpoll"
)

const (
	unixScheme = "unix:"

	// unixModeDefault lets the owner and the group connect.
	unixModeDefault fs.FileMode = 0o660

	// unixPathBytesMax is the longest path of a socket, in bytes: sun_path has 108 with its final 0.
	unixPathBytesMax = 107
)

// userTimeoutMax is TCP_USER_TIMEOUT without heartbeats.
const userTimeoutMax = 2 * time.Minute

// open opens the admin port, then the public one.
func (s *Server) open(ln netpoll.Socket) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining() {
		return ErrServerClosed
	}
	if err := s.openAdmin(); err != nil {
		return err
	}
	redirect, err := s.listenRedirect(ln.Addr())
	if err != nil {
		return err
	}
	if err := s.node.Listen(ln, s.userTimeout()); err != nil {
		return fmt.Errorf("%w on %s: %w", ErrListen, ln.Addr(), err)
	}
	s.served = true
	s.tls.source.StartACME(ln.Addr(), redirect)
	return nil
}

// serves tells the program, and then the log: who reads there that the node serves may stop it at
// once, and a service manager has heard by then that it is ready. It has no lock: OnListen may want
// to ask the Server for more.
func (s *Server) serves() {
	public, admin := s.Addr(), s.AdminAddr()
	if s.cfg.OnListen != nil {
		s.cfg.OnListen(public, admin)
	}
	s.logLife("serving", "listen", public.String(), "admin", addrText(admin), "loops", s.cfg.Loops,
		"io", s.node.Loop(0).Kernel(), "max_conns", s.cfg.MaxConns)
}

func (s *Server) openAdmin() error {
	if s.cfg.Admin == "" || s.adminLn != nil || s.cfg.Worker != nil {
		return nil
	}
	ln, err := s.cfg.ListenAdmin()
	if err != nil {
		return err
	}
	s.adminLn = ln
	if s.tls.admin != nil {
		ln = s.tls.admin.Listener(ln)
	}
	handler, err := s.AdminHandler()
	if err != nil {
		ln.Close()
		return err
	}
	s.admin = admin.Server(handler)
	go s.serveHTTP(s.admin, ln, "admin")
	return nil
}

func (s *Server) serveHTTP(h *http.Server, ln net.Listener, name string) {
	if err := h.Serve(admin.Lasting(ln, name, s.log)); err != nil && !errors.Is(err, http.ErrServerClosed) {
		s.log.Error("HTTP server ended", "port", name, "err", err)
	}
}

func addrText(addr net.Addr) string {
	if addr == nil {
		return "off"
	}
	return addr.String()
}

// userTimeout is TCP_USER_TIMEOUT: how long sent bytes may stay unacknowledged. It finds the peer
// that is gone without a word and to whom we do send; the heartbeat finds the others.
func (s *Server) userTimeout() time.Duration {
	if s.cfg.PingInterval == Off {
		return userTimeoutMax
	}
	return min(s.cfg.PingInterval+s.cfg.PingTimeout, userTimeoutMax)
}

// listenPublic opens the public port, or takes the one of Ports.
func (s *Server) listenPublic(ctx context.Context) (net.Listener, error) {
	if p := s.cfg.Ports; p != nil && p.Public != nil {
		return p.Public, nil
	}
	return listen(ctx, s.cfg.Listen)
}

// ListenAdmin opens the admin port, or takes the one of Ports. The error wraps ErrListen.
func (c *Config) ListenAdmin() (net.Listener, error) {
	if c.Ports != nil && c.Ports.Admin != nil {
		return c.Ports.Admin, nil
	}
	ln, err := net.Listen("tcp", c.Admin)
	if err != nil {
		return nil, fmt.Errorf("%w on %s (admin): %w", ErrListen, c.Admin, err)
	}
	return ln, nil
}

// ListenRedirect opens the port for plain HTTP, or takes the one of Ports. The error wraps
// ErrListen.
func (c *Config) ListenRedirect() (net.Listener, error) {
	if c.Ports != nil && c.Ports.Redirect != nil {
		return c.Ports.Redirect, nil
	}
	ln, err := redirect.Listen(c.HTTPRedirect)
	if err != nil {
		return nil, fmt.Errorf("%w on %s (redirect): %w", ErrListen, c.HTTPRedirect, err)
	}
	return ln, nil
}

// listen opens the public port, a Unix socket or plain TCP: a multipath socket, which is net's
// default, costs more a connection and knows no TCP_USER_TIMEOUT.
func listen(ctx context.Context, addr string) (net.Listener, error) {
	if strings.HasPrefix(addr, unixScheme) {
		a, err := parseUnix(addr)
		if err != nil {
			return nil, err
		}
		return a.listen(ctx)
	}
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	return lc.Listen(ctx, "tcp", addr)
}

// unixAddress is where a Unix socket is made, and for whom.
type unixAddress struct {
	path         string
	mode         fs.FileMode
	owner, group string // a name or a number; "": the process's
}

// isUnix tells whether the public port is a Unix socket.
func (c *Config) isUnix() bool { return strings.HasPrefix(c.Listen, unixScheme) }

// parseUnix reads unix:PATH?mode=0660&owner=NAME&group=NAME.
func parseUnix(text string) (a unixAddress, err error) {
	path, query, _ := strings.Cut(strings.TrimPrefix(text, unixScheme), "?")
	a = unixAddress{path: path, mode: unixModeDefault}
	if path == "" || len(path) > unixPathBytesMax || strings.IndexByte(path, 0) >= 0 || !filepath.IsAbs(path) {
		return a, fmt.Errorf("the path of the socket is absolute and has at most %d bytes", unixPathBytesMax)
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return a, err
	}
	for name, given := range values {
		if len(given) != 1 || given[0] == "" {
			return a, fmt.Errorf("%s needs one value", name)
		}
		switch name {
		case "mode":
			mode, err := strconv.ParseUint(given[0], 8, 32)
			if err != nil || mode > 0o777 {
				return a, fmt.Errorf("the mode is octal, at most 0777")
			}
			a.mode = fs.FileMode(mode)
		case "owner":
			a.owner = given[0]
		case "group":
			a.group = given[0]
		default:
			return a, fmt.Errorf("%q is not mode, owner or group", name)
		}
	}
	return a, nil
}

// listen makes the socket. A socket that a process has left behind is replaced; one on which
// somebody listens is not.
func (a *unixAddress) listen(ctx context.Context) (net.Listener, error) {
	uid, gid, err := a.ids()
	if err != nil {
		return nil, err
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "unix", a.path)
	if errors.Is(err, syscall.EADDRINUSE) && a.abandoned() {
		if err = os.Remove(a.path); err == nil {
			ln, err = lc.Listen(ctx, "unix", a.path)
		}
	}
	if err != nil {
		return nil, err
	}
	if uid != -1 || gid != -1 {
		err = os.Chown(a.path, uid, gid)
	}
	if err == nil {
		err = os.Chmod(a.path, a.mode)
	}
	if err != nil {
		ln.Close()
		return nil, err
	}
	return ln, nil
}

// abandoned tells whether the path is a socket on which nobody listens.
func (a *unixAddress) abandoned() bool {
	info, err := os.Lstat(a.path)
	if err != nil || info.Mode().Type() != fs.ModeSocket {
		return false
	}
	c, err := net.Dial("unix", a.path)
	if err == nil {
		c.Close()
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

// ids are the numbers of owner and group; -1 leaves what is.
func (a *unixAddress) ids() (uid, gid int, err error) {
	uid, gid = -1, -1
	if a.owner != "" {
		if uid, err = strconv.Atoi(a.owner); err != nil {
			u, err := user.Lookup(a.owner)
			if err != nil {
				return 0, 0, err
			}
			uid, _ = strconv.Atoi(u.Uid) // on Linux always a number
		}
	}
	if a.group != "" {
		if gid, err = strconv.Atoi(a.group); err != nil {
			g, err := user.LookupGroup(a.group)
			if err != nil {
				return 0, 0, err
			}
			gid, _ = strconv.Atoi(g.Gid)
		}
	}
	return uid, gid, nil
}
