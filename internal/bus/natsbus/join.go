// How a node comes to the bus, and how its connection comes back.

package natsbus

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"c100k/internal/bus"
)

// Options say where the bus is and who joins it.
type Options struct {
	// URL is the server: nats://HOST:PORT, nats://TOKEN@HOST:PORT or nats://USER:PASSWORD@HOST:PORT.
	URL string
	// Name is by what the others know this node, 1 to NameBytesMax bytes; NodeName is one.
	Name string
	// MessageBytesMax is the largest payload that this node will publish, in bytes; Join warns if the
	// server takes less. Zero: it does not.
	MessageBytesMax int
	// Logger gets what happens to the connection. Nil: nothing is logged.
	Logger *slog.Logger
}

// NodeName is the name of the node that runs in process pid of this machine: HOST/PID.
func NodeName(pid int) string {
	host, err := os.Hostname()
	if err != nil || len(host) > NameBytesMax/2 {
		host = "localhost"
	}
	return host + "/" + strconv.Itoa(pid)
}

// CheckURL says what is wrong with the URL of a server, or nil. It asks no name server, and does
// not repeat what it is given.
func CheckURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return fmt.Errorf("not a URL")
	case u.Scheme != "nats" || u.Host == "" || u.Hostname() == "":
		return fmt.Errorf("not of the form nats://HOST:PORT")
	case u.User != nil && u.User.Username() == "":
		return fmt.Errorf("no user stands before the @")
	case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "":
		return fmt.Errorf("something stands behind the port")
	}
	return nil
}

// RedactedURL is text without the token or the password in it, fit for logs.
func RedactedURL(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "(not a URL)"
	}
	if u.User == nil {
		return text
	}
	if _, ok := u.User.Password(); !ok { // a name alone is a token
		u.User = url.User("xxxxx")
	}
	return u.Redacted()
}

func checkName(name string) error {
	if len(name) < 1 || len(name) > NameBytesMax {
		return fmt.Errorf("natsbus: a node's name of %d bytes; allowed are 1 to %d", len(name), NameBytesMax)
	}
	return nil
}

// Join connects a node to the others. It returns when the node hears them, and they have had time
// to say that they are there. It fails if the server cannot be reached, within ctx or a few
// seconds; later it is tried for ever.
func Join(ctx context.Context, o Options) (*Bus, error) {
	if err := checkName(o.Name); err != nil {
		return nil, err
	}
	if err := CheckURL(o.URL); err != nil {
		return nil, fmt.Errorf("natsbus: %s: %w", RedactedURL(o.URL), err)
	}
	b := &Bus{
		id: max(rand.Uint64(), 1), name: o.Name, log: o.Logger, inbox: bus.NewInbox(),
		out:     outbox{kick: make(chan struct{}, 1)},
		peers:   peers{byID: make(map[uint64]*peer)},
		changed: make(chan struct{}, 1), stop: make(chan struct{}), written: make(chan struct{}), closed: make(chan struct{}),
	}
	if b.log == nil {
		b.log = slog.New(slog.DiscardHandler)
	}
	if err := b.connect(ctx, o.URL); err != nil {
		return nil, fmt.Errorf("natsbus: connect to %s: %w", RedactedURL(o.URL), err)
	}
	go b.write()
	go b.keepTime()
	b.warnOfSize(o.MessageBytesMax)
	b.out.present(true)
	b.meet(ctx)
	return b, nil
}

// connect opens the connection and subscribes; when it returns, the server knows it.
func (b *Bus) connect(ctx context.Context, url string) error {
	timeout := connectTimeout
	if deadline, ok := ctx.Deadline(); ok {
		timeout = max(min(timeout, time.Until(deadline)), time.Millisecond)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	conn, err := nats.Connect(url, b.options(timeout)...)
	if err != nil {
		return err
	}
	b.conn = conn
	b.maxPayload.Store(conn.MaxPayload())
	if err := b.subscribe(timeout); err != nil {
		conn.Close()
		wait(b.closed, closeTimeout)
		return err
	}
	return nil
}

func (b *Bus) options(timeout time.Duration) []nats.Option {
	return []nats.Option{
		nats.Name("c100k " + b.name),
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
		nats.CustomReconnectDelay(reconnectDelay),
		nats.DisconnectErrHandler(b.disconnected),
		nats.ReconnectHandler(b.reconnected),
		nats.ErrorHandler(b.failed),
		nats.ClosedHandler(func(*nats.Conn) { close(b.closed) }),
	}
}

// reconnectDelay grows with the attempts, and is spread, so that the nodes do not come back all at
// once.
func reconnectDelay(attempts int) time.Duration {
	most := min(reconnectDelayMax/10*time.Duration(max(attempts, 1)), reconnectDelayMax)
	return most/2 + rand.N(most/2)
}

func (b *Bus) subscribe(timeout time.Duration) error {
	all, err := b.conn.Subscribe(subjectAll, b.receive)
	if err != nil {
		return err
	}
	answers, err := b.conn.Subscribe(subjectOf(b.id), b.receiveOwn)
	if err != nil {
		return err
	}
	for _, s := range []*nats.Subscription{all, answers} {
		if err := s.SetPendingLimits(PendingPacketsMax, PendingBytesMax); err != nil {
			return err
		}
	}
	return b.conn.FlushTimeout(timeout)
}

// MaxPayload is what a server's max_payload must be for payloads of up to messageBytesMax bytes.
func MaxPayload(messageBytesMax int) int {
	return packetHeaderBytes + messageBytes(&bus.Message{}) + topicBytesMax + messageBytesMax
}

func (b *Bus) warnOfSize(messageBytesMax int) {
	if need, most := int64(MaxPayload(messageBytesMax)), b.maxPayload.Load(); messageBytesMax > 0 && need > most {
		b.log.Warn("the NATS server takes smaller messages than the node: the larger ones stay here. Raise its max_payload",
			"max_payload", most, "needed", need)
	}
}

// meet waits, for a short time, for the others to answer the hello.
func (b *Bus) meet(ctx context.Context) {
	all := time.NewTimer(helloWait)
	defer all.Stop()
	quiet := time.NewTimer(helloQuiet)
	defer quiet.Stop()
	for {
		select {
		case <-b.changed:
			quiet.Reset(helloQuiet)
		case <-quiet.C:
			return
		case <-all.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// disconnected, reconnected and failed are called by the NATS client, on a goroutine of its own.

func (b *Bus) disconnected(_ *nats.Conn, err error) {
	if b.inbox.IsClosed() {
		return
	}
	why := "connection lost"
	if err != nil {
		why += ": " + err.Error()
	}
	b.trouble.Store(&why)
	b.log.Warn("the bus is disconnected; the node goes on alone and tries to come back", "err", err)
}

func (b *Bus) reconnected(c *nats.Conn) {
	b.maxPayload.Store(c.MaxPayload())
	b.peers.excuse(time.Now())
	b.trouble.Store(nil)
	b.out.present(true) // the others say what they have sent meanwhile, so that it can be counted

	// What was missed shows only when they have.
	b.log.Info("the bus is connected again", "unsent", b.unsent.Load())
}

func (b *Bus) failed(_ *nats.Conn, _ *nats.Subscription, err error) {
	b.log.Warn("the bus has trouble", "err", err)
}
