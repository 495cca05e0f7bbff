// `c100k history`: prints what a node keeps of a topic.

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"c100k/internal/history"
)

// historyPage is how many messages one request asks for: with the largest ones that nodes take
// unless they are told otherwise, they fit in documentBytesMax.
const historyPage = 100

func (a *app) history() *cobra.Command {
	return a.command(verb{
		path: "history", use: "history TOPIC", short: "Prints what a node keeps of a topic, one message a line",
		long: "A line is the position, a tab and the message. Exit code 1: nothing is kept of topics of that name.",
		examples: []string{
			"c100k history chat.a",
			"c100k history chat.a --reverse --limit 10        # the last ten, newest first",
			"c100k history chat.a --after k3x-1.41 --json | jq .published",
		},
		args: arguments(1, 1, "a TOPIC"),
		run: func(ctx context.Context, c call) error {
			o := c.Options.History
			if _, err := history.ParseFrom(o.After, "", ""); err != nil {
				return usage("--after: %v", err)
			}
			api, err := newAdminAPI(c)
			if err != nil {
				return err
			}
			h := historian{app: a, api: api, topic: c.args[0], json: o.JSON, reverse: o.Reverse, left: o.Limit, out: bufio.NewWriter(a.stdout)}
			if err := h.run(ctx, o.After); err != nil {
				h.out.Flush() // what came is worth having
				return err
			}
			return h.out.Flush()
		},
	})
}

// historian prints one page after the other.
type historian struct {
	*app
	api           *adminAPI
	topic         string
	json, reverse bool
	left          int // messages that may still be printed; 0: no end
	out           *bufio.Writer
}

func (h *historian) run(ctx context.Context, after string) error {
	path := "/v1/topics/" + pathSegment(h.topic) + "/history?"
	for {
		size := historyPage
		if h.left > 0 {
			size = min(size, h.left)
		}
		query := url.Values{"limit": {strconv.Itoa(size)}}
		if after != "" {
			query.Set("after", after)
		}
		if h.reverse {
			query.Set("reverse", "true")
		}
		var page struct {
			Messages []json.RawMessage
			Next     string
		}
		if _, err := h.api.document(ctx, path+query.Encode(), &page); err != nil {
			return err
		}
		for _, text := range page.Messages {
			if err := h.print(text); err != nil {
				return err
			}
		}
		if h.left > 0 {
			if h.left -= len(page.Messages); h.left <= 0 {
				return nil
			}
		}
		if page.Next == "" || page.Next == after || len(page.Messages) == 0 {
			return nil
		}
		after = page.Next
	}
}

func (h *historian) print(text json.RawMessage) error {
	line := string(text)
	if !h.json {
		var e envelope
		if err := e.parse(text); err != nil {
			return fmt.Errorf("the node's answer: %w", err)
		}
		line = e.Offset + "\t" + e.payload()
	}
	if h.terminal(h.stdout) {
		line = visible(line)
	}
	// bufio keeps the first error; it comes back from Flush.
	h.out.WriteString(line)
	h.out.WriteByte('\n')
	return nil
}
