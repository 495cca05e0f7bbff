// `c100k top`: a node in a terminal.

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"github.com/spf13/cobra"

	"c100k/internal/admin"
	"c100k/internal/figures"
)

const (
	// topEvery is how often the view asks the node.
	topEvery = time.Second
	// topRows is how many topics, connections and closes are asked for: a page costs the node the same
	// however many there are.
	topRows = 100
)

func (a *app) top() *cobra.Command {
	return a.command(verb{
		path: "top", use: "top", short: "Shows a node live: figures, topics, connections, and why connections ended",
		long: "Keys: 1 to 4, tab: overview, topics, connections, closes. /: filter, as the API has it (a prefix of\n" +
			"topics, a user, a reason). s: sort. p: pause. q: end. With --once it prints one look and ends.",
		examples: []string{
			"c100k top",
			"c100k top --admin-url http://node7:9100 --api-key-file key",
			"c100k top --once --json | jq .stats.connections.total",
		},
		args: arguments(0, 0, "no arguments"),
		run: func(ctx context.Context, c call) error {
			api, err := newAdminAPI(c)
			if err != nil {
				return err
			}
			if !c.Options.Top.Once && c.Options.Top.JSON {
				return usage("--json goes with --once")
			}
			if c.Options.Top.Once {
				return a.topOnce(ctx, api, c.Options.Top.JSON)
			}
			if !a.terminal(a.stdout) {
				return usage("standard output is no terminal: use --once")
			}
			ctx, stop := a.interruptible(ctx)
			defer stop()
			return a.topLive(ctx, api)
		},
	})
}

// look is what one look at a node has found.
type look struct {
	Stats       json.RawMessage    `json:"stats"`
	Topics      []admin.Topic      `json:"topics"`
	Connections []admin.Connection `json:"connections"`
	Closes      []admin.Closed     `json:"closes"`
	Missing     []string           `json:"missing,omitempty"`

	figures *figures.Reading
	at      time.Time
}

// tab is one of the pages of the view.
type tab int

const (
	tabOverview tab = iota
	tabTopics
	tabConnections
	tabCloses
	tabAll
)

// ask looks at a node; of the lists only the one that is shown is asked for, or all.
func (a *adminAPI) ask(ctx context.Context, shown tab, filter string) (*look, error) {
	l := &look{at: time.Now(), figures: new(figures.Reading)}
	var err error
	if l.Stats, err = a.document(ctx, "/v1/stats", l.figures); err != nil {
		return nil, err
	}
	list := func(t tab, path, name string, query url.Values, into any) error {
		if err != nil || shown != t && shown != tabAll && !(shown == tabOverview && t == tabConnections) {
			return err
		}
		if filter != "" && shown == t {
			query.Set(name, filter)
		}
		query.Set("limit", fmt.Sprint(topRows))
		_, err = a.document(ctx, path+"?"+query.Encode(), into)
		return err
	}
	var topics struct {
		Topics  []admin.Topic
		Missing []string
	}
	var connections struct {
		Connections []admin.Connection
		Missing     []string
	}
	var closes struct {
		Closes  []admin.Closed
		Missing []string
	}
	behind := url.Values{}
	if shown == tabOverview {
		behind.Set("behind", "1") // who is slow
	}
	_ = list(tabTopics, "/v1/topics", "prefix", url.Values{"order": {"subscribers"}}, &topics) // err keeps the first error
	_ = list(tabConnections, "/v1/connections", "sub", behind, &connections)
	_ = list(tabCloses, "/v1/closes", "reason", url.Values{}, &closes)
	l.Topics, l.Connections, l.Closes = topics.Topics, connections.Connections, closes.Closes
	for _, missing := range [][]string{topics.Missing, connections.Missing, closes.Missing} {
		l.Missing = append(l.Missing, missing...)
	}
	return l, err
}

// topOnce prints one look.
func (a *app) topOnce(ctx context.Context, api *adminAPI, asJSON bool) error {
	l, err := api.ask(ctx, tabAll, "")
	if err != nil {
		return err
	}
	if asJSON {
		return a.writeJSON(l)
	}
	v := topView{width: 100, latest: l}
	for t := tabOverview; t < tabAll; t++ {
		v.tab = t
		if _, err := fmt.Fprintln(a.stdout, ansi.Strip(v.page(20))); err != nil {
			return err
		}
	}
	return nil
}

// topLive shows a node until somebody ends it.
func (a *app) topLive(ctx context.Context, api *adminAPI) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	v := &topView{ctx: ctx, api: api, width: 80, height: 24}
	program := tea.NewProgram(v, tea.WithInput(a.stdin), tea.WithOutput(a.stdout), tea.WithEnvironment(a.environ),
		tea.WithoutSignalHandler(), tea.WithContext(ctx))
	_, err := program.Run()
	if ctx.Err() != nil || v.ended {
		return nil // INT, TERM, or q
	}
	return err
}
