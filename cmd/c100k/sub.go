// `c100k sub`: prints what is published to topics.

package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"c100k/internal/settings"
)

const (
	// backoffMin and backoffMax bound the pause before another attempt, which doubles from one to the
	// other and is spread over its whole length, so that the clients of a node that restarts do not
	// come back as one.
	backoffMin = 250 * time.Millisecond
	backoffMax = 10 * time.Second
)

func (a *app) sub() *cobra.Command {
	return a.command(verb{
		path: "sub", use: "sub TOPIC...", short: "Prints what is published to topics, one message a line",
		long: `With one topic, a line is the message; with several, it is the topic, a tab and the message.
Reconnects with growing pauses; messages published meanwhile are missed. Ctrl-C: exit code 0.`,
		examples: []string{
			"c100k sub news",
			"c100k sub news sports --json | jq .data",
			"c100k sub news --count 1                         # waits for one message",
			"c100k sub --url wss://push.example.com/ws news",
		},
		args: arguments(1, -1, "at least one TOPIC"),
		run: func(ctx context.Context, c call) error {
			s := subscriber{app: a, options: c.Options, topics: c.args, out: bufio.NewWriter(a.stdout), shown: a.terminal(a.stdout)}
			if u, err := url.Parse(c.Options.URL); err != nil || u.Scheme != "ws" && u.Scheme != "wss" || u.Host == "" {
				err = fmt.Errorf("%q is refused; allowed is a URL such as ws://127.0.0.1:8080/ws", c.Options.URL)
				return misconfigured(&settings.Problem{Source: c.Source("url"), Err: err})
			}
			var err error
			if s.secure, err = c.Options.Trust.Config(""); err != nil {
				return usage("%v", err)
			}
			return s.run(ctx)
		},
	})
}

// subscriber follows topics over one connection after another.
type subscriber struct {
	*app
	options *settings.Options
	topics  []string
	out     *bufio.Writer
	secure  *tls.Config
	shown   bool // a person reads along: control characters must not reach the terminal

	printed int
}

// errEnough ends a subscriber that has printed as many messages as it was asked for.
var errEnough = errors.New("enough messages")

// permanent is a failure that another attempt would only repeat.
type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// run connects until it is interrupted, has printed enough, or cannot go on.
func (s *subscriber) run(ctx context.Context) error {
	ctx, stop := s.interruptible(ctx)
	defer stop()
	var ever bool
	backoff := backoffMin
	for {
		subscribed, err := s.follow(ctx)
		if errors.Is(err, errEnough) || ctx.Err() != nil {
			return nil
		}
		if subscribed {
			ever, backoff = true, backoffMin
		}
		// A first attempt that fails is more likely a wrong address than a node that is about to come
		// back.
		if final := (permanent{}); errors.As(err, &final) || !ever || s.options.Sub.NoReconnect {
			return err
		}
		wait := rand.N(backoff)
		fmt.Fprintf(s.stderr, "c100k: %v; again in %v\n", err, wait.Round(10*time.Millisecond))
		backoff = min(2*backoff, backoffMax)
		if s.pause(ctx, wait) != nil {
			return nil
		}
	}
}

// follow subscribes over one connection and prints until it ends, which is always an error;
// subscribed says whether the node had accepted the topics.
func (s *subscriber) follow(ctx context.Context) (subscribed bool, err error) {
	c, err := dial(ctx, s.options.URL, s.secure)
	if err != nil {
		return false, err
	}
	defer c.close()
	stop := context.AfterFunc(ctx, c.close)
	defer stop()
	if err := c.subscribe(s.topics); err != nil {
		return false, err
	}
	for {
		text, err := c.next(func() error { return s.out.Flush() })
		if err != nil {
			return subscribed, errors.Join(err, s.out.Flush())
		}
		var e envelope
		if err := e.parse(text); err != nil {
			return subscribed, permanent{fmt.Errorf("%s speaks another protocol than %s: %w", s.options.URL, subprotocol, err)}
		}
		switch e.Type {
		case "ack":
			subscribed = true
		case "message":
			if err := s.print(&e, text); err != nil {
				return subscribed, err
			}
		case "gap":
			fmt.Fprintf(s.stderr, "c100k: gap: %d messages of %s were dropped, because this side is slow\n", e.Missed, visible(e.Topic))
		case "error":
			err := fmt.Errorf("%s: %s", visible(e.Code), visible(e.Message))
			if !subscribed {
				return false, permanent{err}
			}
			fmt.Fprintf(s.stderr, "c100k: %v\n", err)
		}
	}
}

// print writes one message, and ends the subscriber after the last one asked for.
func (s *subscriber) print(e *envelope, text []byte) error {
	var line string
	switch {
	case s.options.Sub.JSON:
		line = string(text)
	case len(s.topics) > 1:
		line = e.Topic + "\t" + e.payload()
	default:
		line = e.payload()
	}
	if s.shown {
		line = visible(line)
	}
	// bufio keeps the first error; it comes back from Flush.
	s.out.WriteString(line)
	s.out.WriteByte('\n')
	s.printed++
	if s.printed == s.options.Sub.Count {
		if err := s.out.Flush(); err != nil {
			return permanent{err}
		}
		return errEnough
	}
	return nil
}

// visible replaces control characters, which a terminal would obey, by what a person can read. Tabs
// and line ends stay.
func visible(text string) string {
	clean := &strings.Builder{}
	for _, r := range text {
		switch {
		case r == '\t' || r == '\n' || r >= ' ' && r != 0x7f && (r < 0x80 || r > 0x9f):
			clean.WriteRune(r)
		default:
			fmt.Fprintf(clean, `\x%02x`, r)
		}
	}
	return clean.String()
}

// temporary says whether a refused handshake may succeed later.
func temporary(status int) bool {
	return status == http.StatusTooManyRequests || status >= 500
}
