// How a node comes to the bus, and how its connection comes back.

package natsbus

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"c100k/internal/bus"
	"c100k/internal/jitter"
)

// Options say where the bus is and who joins it.
type Options struct {
	// URL is the server: nats://HOST:PORT, nats://TOKEN@HOST:PORT or nats://USER:PASSWORD@HOST:PORT;
	// tls:// instead of nats:// demands TLS. Several servers of one NATS cluster stand behind commas.
	URL string
	// Credentials is a file with a user's JWT and key, as nsc writes it; empty: none.
	Credentials string
	// Name is by what the others know this node, 1 to NameBytesMax bytes; bus.NodeName is one.
	Name string
	// MessageBytesMax is the largest payload that this node will publish, in bytes; Join warns if the
	// server takes less. Zero: it does not.
	MessageBytesMax int
	// Logger gets what happens to the connection. Nil: nothing is logged.
	Logger *slog.Logger
}

// CheckURL says what is wrong with the URL of a server, or of several behind commas, or nil. It
// asks no name server, and does not repeat what it is given.
func CheckURL(text string) error {
	for one := range strings.SplitSeq(text, ",") {
		u, err := url.Parse(strings.TrimSpace(one))
		switch {
		case err != nil:
			return fmt.Errorf("not a URL")
		case u.Scheme != "nats" && u.Scheme != "tls" || u.Host == "" || u.Hostname() == "":
			return fmt.Errorf("not of the form nats://HOST:PORT or tls://HOST:PORT")
		case u.User != nil && u.User.Username() == "":
			return fmt.Errorf("no user stands before the @")
		case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "":
			return fmt.Errorf("something stands behind the port")
		}
	}
	return nil
}

// RedactedURL is text without the tokens and the passwords in it, fit for logs.
func RedactedURL(text string) string {
	list := strings.Split(text, ",")
	for i, one := range list {
		u, err := url.Parse(strings.TrimSpace(one))
		if err != nil {
			return "(not a URL)"
		}
		if u.User == nil {
			continue
		}
		if _, ok := u.User.Password(); !ok { // a name alone is a token
			u.User = url.User("xxxxx")
		}
		list[i] = u.Redacted()
	}
	return strings.Join(list, ",")
}

// Join connects a node to the others. It returns when the node hears them, and they have had time
// to say that they are there. It fails if the server cannot be reached, within ctx or a few
// seconds; later it is tried for ever.
func Join(ctx context.Context, o Options) (*Bus, error) {
	if err := CheckURL(o.URL); err != nil {
		return nil, fmt.Errorf("natsbus: %s: %w", RedactedURL(o.URL), err)
	}
	core, err := bus.NewCore(o.Name, o.MessageBytesMax, o.Logger)
	if err != nil {
		return nil, fmt.Errorf("natsbus: %w", err)
	}
	b := &Bus{Core: core, closed: make(chan struct{}), echoClosed: make(chan struct{})}
	log := o.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if err := b.connect(ctx, &o, log); err != nil {
		return nil, fmt.Errorf("natsbus: connect to %s: %w", RedactedURL(o.URL), err)
	}
	b.warnOfSize(o.MessageBytesMax, log)
	b.Start(carrier{b})
	b.Meet(ctx)
	return b, nil
}

// connect opens the connections and subscribes; when it returns, the server knows it.
func (b *Bus) connect(ctx context.Context, o *Options, log *slog.Logger) error {
	timeout := connectTimeout
	if deadline, ok := ctx.Deadline(); ok {
		timeout = max(min(timeout, time.Until(deadline)), time.Millisecond)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	var err error
	if b.conn, err = nats.Connect(o.URL, b.options(o, timeout, log)...); err != nil {
		return err
	}
	b.maxPayload.Store(b.conn.MaxPayload())
	if err := b.subscribe(timeout); err != nil {
		b.conn.Close()
		wait(b.closed)
		return err
	}
	if err := b.connectEcho(o, timeout, log); err != nil {
		b.conn.Close()
		wait(b.closed)
		return err
	}
	return nil
}

// connectEcho opens the connection that sends probes back.
func (b *Bus) connectEcho(o *Options, timeout time.Duration, log *slog.Logger) error {
	options := append(transport(o, timeout, log), nats.Name("c100k "+b.Name()+" probes"),
		nats.ClosedHandler(func(*nats.Conn) { close(b.echoClosed) }))
	echo, err := nats.Connect(o.URL, options...)
	if err != nil {
		return err
	}
	own := subjectOf(b.Node())
	_, err = echo.Subscribe(subjectProbe(b.Node()), func(m *nats.Msg) {
		_ = echo.Publish(own, m.Data) // a probe that is lost is counted
	})
	if err == nil {
		err = echo.FlushTimeout(timeout)
	}
	if err != nil {
		echo.Close()
		wait(b.echoClosed)
		return err
	}
	b.echo = echo
	return nil
}

// transport are the options of both connections.
func transport(o *Options, timeout time.Duration, log *slog.Logger) []nats.Option {
	list := []nats.Option{
		nats.NoEcho(),
		nats.Timeout(timeout),
		nats.FlusherTimeout(writeTimeout),
		nats.ReconnectOnFlusherError(),
		nats.PingInterval(pingInterval),
		nats.MaxPingsOutstanding(pingsOutMax),
		// Without a connection nothing is kept for later: it would be old when it goes, and unbounded.
		nats.ReconnectBufSize(-1),
		nats.MaxReconnects(-1),
		nats.IgnoreAuthErrorAbort(), // a server that restarts may know its users a moment later
		nats.CustomReconnectDelay(func(attempts int) time.Duration { return jitter.Reconnect(attempts, reconnectDelayMax) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			log.Warn("the bus has trouble", "err", err)
		}),
	}
	if o.Credentials != "" {
		list = append(list, nats.UserCredentials(o.Credentials))
	}
	return list
}

// options are those of the connection that publishes and hears. Its handlers are called by the NATS
// client, on a goroutine of its own.
func (b *Bus) options(o *Options, timeout time.Duration, log *slog.Logger) []nats.Option {
	return append(transport(o, timeout, log),
		nats.Name("c100k "+b.Name()),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			why := "connection lost"
			if err != nil {
				why += ": " + err.Error()
			}
			b.Disconnected(why)
		}),
		nats.ReconnectHandler(func(c *nats.Conn) {
			b.maxPayload.Store(c.MaxPayload())
			b.Reconnected()
		}),
		nats.ClosedHandler(func(*nats.Conn) { close(b.closed) }),
	)
}

func (b *Bus) subscribe(timeout time.Duration) error {
	all, err := b.conn.Subscribe(subjectAll, func(m *nats.Msg) { b.Receive(m.Data) })
	if err != nil {
		return err
	}
	own, err := b.conn.Subscribe(subjectOf(b.Node()), func(m *nats.Msg) { b.ReceiveOwn(m.Data) })
	if err != nil {
		return err
	}
	for _, s := range []*nats.Subscription{all, own} {
		if err := s.SetPendingLimits(PendingPacketsMax, PendingBytesMax); err != nil {
			return err
		}
	}
	return b.conn.FlushTimeout(timeout)
}

func (b *Bus) warnOfSize(messageBytesMax int, log *slog.Logger) {
	need, most := int64(bus.MaxPayload(messageBytesMax)), b.maxPayload.Load()
	if messageBytesMax > 0 && need > most {
		log.Warn("the NATS server takes smaller messages than the node: the larger ones stay here. Raise its max_payload",
			"max_payload", most, "needed", need)
	}
}
