// `c100k trace`: what goes in and out of a connection, a user, a topic or an address, live.

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"c100k/internal/admin"
)

// traceLineBytesMax bounds a line of a trace, in bytes: a payload of 4 KiB, in which each byte may
// be escaped, and what is around it.
const traceLineBytesMax = 64 << 10

func (a *app) trace() *cobra.Command {
	return a.command(verb{
		path: "trace", use: "trace", short: "Shows what goes in and out of a connection, a user, a topic or an address",
		long: "One of --conn, --sub, --topic and --address says of what. Payloads are shown with --payload only.\n" +
			"What the node cannot show without delay it drops, and says how much. Ctrl-C ends it.",
		examples: []string{
			"c100k trace --sub u17",
			"c100k trace --conn 0000001a00000003 --payload",
			"c100k trace --topic news --json | jq -r .type",
		},
		args: arguments(0, 0, "no arguments"),
		run: func(ctx context.Context, c call) error {
			api, err := newAdminAPI(c)
			if err != nil {
				return err
			}
			ctx, stop := a.interruptible(ctx)
			defer stop()
			err = a.follow(ctx, api, c)
			if ctx.Err() != nil {
				return nil
			}
			return err
		},
	})
}

// follow prints a trace until the node or ctx ends it.
func (a *app) follow(ctx context.Context, api *adminAPI, c call) error {
	o, query := &c.Options.Trace, url.Values{}
	for name, value := range map[string]string{"conn": o.Conn, "sub": o.Sub, "topic": o.Topic, "address": o.Address} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if len(query) != 1 {
		return usage("one of --conn, --sub, --topic and --address says what is traced")
	}
	if o.Payload {
		query.Set("payload", "1")
	}
	response, err := api.get(ctx, "/v1/trace?"+query.Encode())
	if err != nil {
		return err
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, traceLineBytesMax)
	for lines.Scan() {
		data, ok := bytes.CutPrefix(lines.Bytes(), []byte("data: "))
		if !ok {
			continue
		}
		line := string(data)
		if !o.JSON {
			var e admin.TraceEvent
			if err := json.Unmarshal(data, &e); err != nil {
				return fmt.Errorf("%s did not answer as a node does: is it the admin port?", api.base)
			}
			line = traceLine(&e)
		}
		if _, err := fmt.Fprintln(a.stdout, line); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("the trace has ended: %w", err)
	}
	return errors.New("the node has ended the trace")
}

// traceLine is an event as one line of text.
func traceLine(e *admin.TraceEvent) string {
	var b strings.Builder
	clock := e.Time
	if _, after, ok := strings.Cut(clock, "T"); ok {
		clock = strings.TrimSuffix(after, "Z")
	}
	fmt.Fprintf(&b, "%-12s %-7s", clock, e.Type)
	add := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, " %s=%s", name, visible(value))
		}
	}
	add("conn", e.Conn)
	add("sub", e.Sub)
	add("address", e.Address)
	add("topic", e.Topic)
	if e.Messages > 1 {
		fmt.Fprintf(&b, " messages=%d", e.Messages)
	}
	if e.Bytes > 0 || e.Messages > 0 {
		fmt.Fprintf(&b, " bytes=%d", e.Bytes)
	}
	add("reason", e.Reason)
	if e.Code != 0 {
		fmt.Fprintf(&b, " code=%d", e.Code)
	}
	add("text", e.Text)
	if e.Dropped > 0 {
		fmt.Fprintf(&b, " %d events are missing here", e.Dropped)
	}
	if e.Data != "" {
		b.WriteString("  " + visible(e.Data))
	}
	add("base64", e.DataBase64)
	return strings.TrimRight(b.String(), " ")
}
