// Package dial joins the bus that a URL names, whatever its kind.
package dial

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"c100k/internal/bus"
	"c100k/internal/bus/natsbus"
	"c100k/internal/bus/redisbus"
	"c100k/internal/redisurl"
)

// Options say where the bus is and who joins it.
type Options struct {
	URL             string       // of NATS or Redis
	Credentials     string       // file for NATS; empty: none
	Name            string       // of the node, 1 to bus.NameBytesMax bytes
	MessageBytesMax int          // of payloads
	Logger          *slog.Logger // nil: nothing is logged
}

// Kind is "nats" or "redis".
func Kind(url string) string {
	if redisurl.Is(url) {
		return "redis"
	}
	return "nats"
}

// errForm names what is allowed.
var errForm = errors.New("allowed are memory, nats://HOST:PORT and tls://HOST:PORT, " + redisurl.Forms)

// Check says what is wrong with a URL, or nil. It asks no name server, and does not repeat what it
// is given.
func Check(url string) error {
	switch {
	case redisurl.Is(url):
		_, err := redisurl.Read(url)
		return err
	case strings.HasPrefix(url, "nats:") || strings.HasPrefix(url, "tls:"):
		if err := natsbus.CheckURL(url); err != nil {
			return fmt.Errorf("%w: %w", err, errForm)
		}
		return nil
	}
	return errForm
}

// Redacted is url without tokens and passwords, fit for logs.
func Redacted(url string) string {
	if redisurl.Is(url) {
		return redisurl.Redacted(url)
	}
	return natsbus.RedactedURL(url)
}

// Join joins a node. It fails if the broker cannot be reached, within ctx or some seconds; later it
// is tried for ever.
func Join(ctx context.Context, o Options) (*bus.Core, error) {
	if redisurl.Is(o.URL) {
		b, err := redisbus.Join(ctx, redisbus.Options{URL: o.URL, Name: o.Name, MessageBytesMax: o.MessageBytesMax, Logger: o.Logger})
		if err != nil {
			return nil, err
		}
		return b.Core, nil
	}
	b, err := natsbus.Join(ctx, natsbus.Options{URL: o.URL, Credentials: o.Credentials, Name: o.Name, MessageBytesMax: o.MessageBytesMax, Logger: o.Logger})
	if err != nil {
		return nil, err
	}
	return b.Core, nil
}
