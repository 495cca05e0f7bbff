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
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"c100k/internal/history"
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
Reconnects with growing pauses, and goes on behind the last message where the node keeps messages
(--history); says what was missed where it cannot. Ctrl-C: exit code 0.`,
		examples: []string{
			"c100k sub news",
			"c100k sub news sports --json | jq .data",
			"c100k sub news --count 1                         # waits for one message",
			"c100k sub news --last 10                         # the last ten first",
			"c100k sub news --rewind 5m                       # what was published in five minutes",
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
			if s.from, err = beginning(c.Options.Sub, len(c.args)); err != nil {
				return err
			}
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
	from    *wish

	printed   int
	positions map[string]string // of topics with history: behind what has been printed
}

// wish is a topic of a subscribe command, and where it begins.
type wish struct {
	Topic  string `json:"topic"`
	After  string `json:"after,omitempty"`
	Last   int    `json:"last,omitempty"`
	Rewind string `json:"rewind,omitempty"`
}

// beginning reads where the subscription begins; nil: now.
func beginning(o settings.SubOptions, topics int) (*wish, error) {
	w := wish{After: o.After, Last: o.Last}
	if o.Rewind > 0 {
		w.Rewind = o.Rewind.String()
	}
	chosen := 0
	for _, on := range []bool{w.After != "", w.Last != 0, w.Rewind != ""} {
		if on {
			chosen++
		}
	}
	switch {
	case chosen == 0:
		return nil, nil
	case chosen > 1:
		return nil, usage("--after, --last and --rewind exclude each other")
	case w.After != "" && topics != 1:
		return nil, usage("--after is a position of one topic")
	}
	if _, err := history.ParseFrom(w.After, decimal(w.Last), w.Rewind); err != nil {
		return nil, usage("%v", err)
	}
	return &w, nil
}

// decimal is empty for zero.
func decimal(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// wishes are the topics of the next subscribe command. A topic that has been printed goes on behind
// its last message.
func (s *subscriber) wishes(fresh bool) []any {
	list := make([]any, len(s.topics))
	for i, topic := range s.topics {
		switch after := s.positions[topic]; {
		case after != "":
			list[i] = wish{Topic: topic, After: after}
		case fresh && s.from != nil:
			from := *s.from
			from.Topic = topic
			list[i] = from
		default:
			list[i] = topic
		}
	}
	return list
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
		subscribed, err := s.follow(ctx, !ever)
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
// subscribed says whether the node had accepted the topics. With fresh, none has been printed yet.
func (s *subscriber) follow(ctx context.Context, fresh bool) (subscribed bool, err error) {
	c, err := dial(ctx, s.options.URL, s.secure)
	if err != nil {
		return false, err
	}
	defer c.close()
	stop := context.AfterFunc(ctx, c.close)
	defer stop()
	if err := c.subscribe(s.wishes(fresh)); err != nil {
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
			if !fresh {
				s.sayUnknown()
			}
			subscribed, s.positions = true, e.Offsets
		case "resumed":
			if !fresh {
				fmt.Fprintf(s.stderr, "c100k: missed %d messages of %s, which come now\n", e.Messages, visible(e.Topic))
			}
		case "reset":
			fmt.Fprintf(s.stderr, "c100k: messages of %s may be missing: what was published before cannot be had (%s)\n", visible(e.Topic), visible(e.Reason))
			s.keep(e.Topic, e.Offset)
		case "message":
			s.keep(e.Topic, e.Offset)
			if err := s.print(&e, text); err != nil {
				return subscribed, err
			}
		case "gap":
			fmt.Fprintf(s.stderr, "c100k: gap: %d messages of %s were dropped, because this side is slow\n", e.Missed, visible(e.Topic))
		case "error":
			err := fmt.Errorf("%s: %s", visible(e.Code), visible(e.Message))
			if !subscribed && e.Code == "forbidden" && len(s.positions) > 0 {
				s.positions = nil // it may have the topics, and not what is kept of them
				if err := c.subscribe(s.wishes(false)); err != nil {
					return false, err
				}
				continue
			}
			if !subscribed {
				return false, permanent{err}
			}
			fmt.Fprintf(s.stderr, "c100k: %v\n", err)
		}
	}
}

// keep notes where a topic with history is; an empty offset is that of a topic without.
func (s *subscriber) keep(topic, offset string) {
	if offset != "" {
		if s.positions == nil {
			s.positions = map[string]string{}
		}
		s.positions[topic] = offset
	}
}

// sayUnknown says of which topics nobody knows what was missed, because nothing is kept of them.
func (s *subscriber) sayUnknown() {
	for _, topic := range s.topics {
		if s.positions[topic] == "" {
			fmt.Fprintf(s.stderr, "c100k: messages of %s may be missing: the node keeps none\n", visible(topic))
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
