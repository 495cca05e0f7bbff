// The broker: a NATS server in the parent that only the workers use.

package workers

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"

	"github.com/nats-io/nats-server/v2/server"

	"c100k/internal/bus/natsbus"
)

// broker is an embedded NATS server on loopback.
type broker struct {
	nats *server.Server
	url  string // with the secret in it
}

// startBroker starts a broker that takes payloads of messageBytesMax bytes. It listens on a free
// port of loopback. Clients need a secret, which is made here and sent to the workers over their
// links.
func startBroker(messageBytesMax int, log *slog.Logger) (*broker, error) {
	secret := rand.Text()
	payload := max(messageBytesMax, natsbus.PacketBytesMax) + brokerHeadBytes
	nats, err := server.NewServer(&server.Options{
		ServerName: "c100k", Host: "127.0.0.1", Port: server.RANDOM_PORT, Authorization: secret,
		MaxPayload: int32(payload), MaxPending: max(brokerPendingMin, 4*int64(payload)),
		NoSigs:          true, // signals are the supervisor's
		NoSystemAccount: true, // its events have no reader
	})
	if err != nil {
		return nil, fmt.Errorf("make the bus of the workers: %w", err)
	}
	nats.SetLoggerV2(natsLog{log}, false, false, false)
	nats.Start()
	if !nats.ReadyForConnections(brokerTimeout) {
		nats.Shutdown()
		return nil, errors.New("the bus of the workers does not start")
	}
	addr, ok := nats.Addr().(*net.TCPAddr)
	if !ok {
		nats.Shutdown()
		return nil, errors.New("the bus of the workers has no port")
	}
	where := url.URL{Scheme: "nats", User: url.User(secret), Host: addr.String()}
	return &broker{nats: nats, url: where.String()}, nil
}

// close stops the broker and waits for its end.
func (b *broker) close() {
	b.nats.Shutdown()
	b.nats.WaitForShutdown()
}

// natsLog writes the log of a NATS server to a slog.Logger: messages for operators, without its
// banner.
type natsLog struct{ log *slog.Logger }

// Noticef implements server.Logger.
func (l natsLog) Noticef(format string, v ...any) { l.write(slog.LevelDebug, format, v) }

// Warnf implements server.Logger.
func (l natsLog) Warnf(format string, v ...any) { l.write(slog.LevelWarn, format, v) }

// Fatalf implements server.Logger. The server goes on after it.
func (l natsLog) Fatalf(format string, v ...any) { l.write(slog.LevelError, format, v) }

// Errorf implements server.Logger.
func (l natsLog) Errorf(format string, v ...any) {
	level := slog.LevelWarn
	if strings.Contains(format, "Slow Consumer") {
		level = slog.LevelError
	}
	l.write(level, format, v)
}

// Debugf implements server.Logger.
func (l natsLog) Debugf(format string, v ...any) { l.write(slog.LevelDebug, format, v) }

// Tracef implements server.Logger.
func (l natsLog) Tracef(format string, v ...any) { l.write(slog.LevelDebug, format, v) }

func (l natsLog) write(level slog.Level, format string, v []any) {
	l.log.Log(context.Background(), level, "bus of the workers: "+fmt.Sprintf(format, v...))
}
