// `c100k why`: is a connection or a user there, and why did it end?

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"c100k/internal/admin"
	"c100k/netpoll"
)

func (a *app) why() *cobra.Command {
	return a.command(verb{
		path: "why", use: "why CONN|SUB", short: "Says whether a connection or a user is there, and why connections ended",
		long: "CONN is the id of a connection, as logs, hooks and the API have it; SUB the subject of tokens. A node\n" +
			"remembers the last 10,000 ends of each of its workers. Exit code 1: nothing is known of it.",
		examples: []string{
			"c100k why 0000001a00000003                      # one connection",
			"c100k why u17                                   # all connections of a user",
			"c100k why u17 --json | jq -r '.closes[]?.reason'",
		},
		args: arguments(1, 1, "the id of a connection, or a user"),
		run: func(ctx context.Context, c call) error {
			api, err := newAdminAPI(c)
			if err != nil {
				return err
			}
			w := whyReport{app: a, api: api, json: c.Options.Why.JSON}
			if _, err := netpoll.ParseID(c.args[0]); err == nil {
				return w.connection(ctx, c.args[0])
			}
			return w.user(ctx, c.args[0])
		},
	})
}

type whyReport struct {
	*app
	api  *adminAPI
	json bool
}

// seen is an open or a closed connection.
type seen struct {
	admin.Connection
	Closed, Reason, Why, Text string
	Code, Owed                int
}

func (w *whyReport) connection(ctx context.Context, id string) error {
	var s seen
	text, err := w.api.document(ctx, "/v1/connections/"+id, &s)
	if err != nil {
		var told *statusError
		if errors.As(err, &told) && told.status == http.StatusNotFound {
			return fmt.Errorf("nothing is known of connection %s: it never was on this node, or it ended long ago", id)
		}
		return err
	}
	if w.json {
		return w.write(text)
	}
	return w.print(w.describe(&s))
}

func (w *whyReport) user(ctx context.Context, sub string) error {
	var open struct {
		Connections []seen
		Next        string
		Missing     []string
	}
	var ended struct {
		Closes  []seen
		Missing []string
	}
	query := url.Values{"sub": {sub}, "limit": {"20"}}.Encode()
	first, err := w.api.document(ctx, "/v1/connections?"+query, &open)
	if err != nil {
		return err
	}
	second, err := w.api.document(ctx, "/v1/closes?"+query, &ended)
	if err != nil {
		return err
	}
	none := len(open.Connections)+len(ended.Closes) == 0
	switch {
	case w.json:
		if err := w.write(first, second); err != nil {
			return err
		}
		if none {
			return &exit{code: exitFailure}
		}
		return nil
	case none:
		return fmt.Errorf("nothing is known of user %s: no connection is open, and none of the last ends was of this user%s",
			visible(sub), missingText(append(open.Missing, ended.Missing...)))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s has %s open.\n", visible(sub), counted(len(open.Connections), open.Next != ""))
	for i := range open.Connections {
		b.WriteString(w.describe(&open.Connections[i]))
	}
	if len(ended.Closes) > 0 {
		b.WriteString("\nEnded, newest first:\n")
	}
	for i := range ended.Closes {
		b.WriteString(w.describe(&ended.Closes[i]))
	}
	if text := missingText(append(open.Missing, ended.Missing...)); text != "" {
		b.WriteString("\nThe list is not whole" + text + "\n")
	}
	return w.print(b.String())
}

func counted(n int, more bool) string {
	switch {
	case more:
		return fmt.Sprintf("more than %d connections", n)
	case n == 1:
		return "1 connection"
	}
	return fmt.Sprintf("%d connections", n)
}

func missingText(missing []string) string {
	if len(missing) == 0 {
		return ""
	}
	return ": " + visible(strings.Join(missing, "; "))
}

// describe is a connection in a few lines.
func (w *whyReport) describe(s *seen) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s", s.ID, s.Transport)
	if s.Sub != "" {
		fmt.Fprintf(&b, "  user %s", visible(s.Sub))
	}
	if s.Address != "" {
		fmt.Fprintf(&b, "  from %s", s.Address)
	}
	lasted := (time.Duration(s.Seconds) * time.Second).String()
	if s.Closed == "" {
		fmt.Fprintf(&b, "\n  open for %s, %d topics, %d bytes behind\n", lasted, s.Topics, s.Behind)
		return b.String()
	}
	fmt.Fprintf(&b, "\n  ended %s after %s: %s\n  %s\n", s.Closed, lasted, s.Reason, s.Why)
	if s.Code != 0 {
		fmt.Fprintf(&b, "  close code %d", s.Code)
		if s.Text != "" {
			fmt.Fprintf(&b, " %q", s.Text)
		}
		b.WriteString("\n")
	}
	if s.Owed > 0 {
		fmt.Fprintf(&b, "  it had not taken %d bytes\n", s.Owed)
	}
	return b.String()
}

func (w *whyReport) print(text string) error {
	_, err := fmt.Fprint(w.stdout, text)
	return err
}

// write prints documents, one a line.
func (w *whyReport) write(documents ...[]byte) error {
	for _, text := range documents {
		if _, err := fmt.Fprintf(w.stdout, "%s\n", bytes.TrimSpace(text)); err != nil {
			return err
		}
	}
	return nil
}
