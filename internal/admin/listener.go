// A listener that survives: an error of accept(2) must not end a port for good.

package admin

import (
	"errors"
	"log/slog"
	"net"
	"time"
)

const (
	// acceptPause is how long a port rests after an error of accept: as long as the public port
	// does (netpoll), so that neither spins while descriptors or memory are short.
	acceptPause = 100 * time.Millisecond

	// acceptWarnEvery is how often such an error is logged at most.
	acceptWarnEvery = time.Minute
)

// lasting is a listener whose Accept fails only once it is closed.
type lasting struct {
	net.Listener
	port  string
	log   *slog.Logger
	pause func(time.Duration)
	now   func() time.Time
}

// Lasting returns ln with an Accept that survives every error but the end of the listener. net/http
// ends a server after errors that it does not know to be temporary, such as ENOMEM. port names it
// in the log.
func Lasting(ln net.Listener, port string, log *slog.Logger) net.Listener {
	return &lasting{Listener: ln, port: port, log: log, pause: time.Sleep, now: time.Now}
}

// Accept implements net.Listener.
func (l *lasting) Accept() (net.Conn, error) {
	for warned := (time.Time{}); ; l.pause(acceptPause) {
		c, err := l.Listener.Accept()
		if err == nil || errors.Is(err, net.ErrClosed) {
			return c, err
		}
		if now := l.now(); now.Sub(warned) >= acceptWarnEvery {
			warned = now
			l.log.Warn("no connection can be accepted; the port rests and tries again", "port", l.port, "err", err)
		}
	}
}
