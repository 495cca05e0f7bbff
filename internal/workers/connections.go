// The connections of a node of several workers, and their ends: each worker knows its own.

package workers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"c100k/internal/admin"
	"c100k/netpoll"
)

// Connections joins the workers' lists.
func (f *fleet) Connections(ctx context.Context, q *admin.ConnectionQuery) ([]admin.Connection, []string) {
	path := "/v1/connections?" + q.Values().Encode()
	return joined(ctx, f, func(ctx context.Context, c *client) ([]admin.Connection, error) {
		var page struct {
			Connections []admin.Connection `json:"connections"`
			Next        string             `json:"next"`
			Missing     []string           `json:"missing"`
		}
		err := c.do(ctx, http.MethodGet, path, nil, &page)
		return more(page.Connections, page.Next), errors.Join(err, partial(page.Missing))
	})
}

// Closes joins the workers' lists.
func (f *fleet) Closes(ctx context.Context, q *admin.CloseQuery) ([]admin.Closed, []string) {
	path := "/v1/closes?" + q.Values().Encode()
	return joined(ctx, f, func(ctx context.Context, c *client) ([]admin.Closed, error) {
		var page struct {
			Closes  []admin.Closed `json:"closes"`
			Next    string         `json:"next"`
			Missing []string       `json:"missing"`
		}
		err := c.do(ctx, http.MethodGet, path, nil, &page)
		return more(page.Closes, page.Next), errors.Join(err, partial(page.Missing))
	})
}

// more is a page of a worker; where another page follows it has its last entry twice, so that who
// joins the pages sees one entry too many. That one is behind the page in the order of all.
func more[T any](page []T, next string) []T {
	if n := len(page); n > 0 && next != "" {
		page = append(page, page[n-1])
	}
	return page
}

// partial is an error for a list that is not whole.
func partial(missing []string) error {
	if len(missing) == 0 {
		return nil
	}
	return errors.New(missing[0])
}

// joined asks all workers at the same time, and joins what they list.
func joined[T any](ctx context.Context, f *fleet, ask func(context.Context, *client) ([]T, error)) ([]T, []string) {
	lists := make([][]T, len(f.s.slots))
	errs := f.each(partTimeout, func(_ context.Context, p *slot, c *client) (err error) {
		ctx, cancel := context.WithTimeout(ctx, partTimeout)
		defer cancel()
		lists[p.number], err = ask(ctx, c)
		return err
	})
	return slices.Concat(lists...), f.unwell(errs)
}

// Connection asks the worker whose loop the connection is on.
func (f *fleet) Connection(ctx context.Context, id netpoll.ID) (any, error) {
	p, process, err := f.ownerOf(id)
	if process == nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, partTimeout)
	defer cancel()
	var found json.RawMessage
	err = process.client.do(ctx, http.MethodGet, "/v1/connections/"+id.String(), nil, &found)
	var told *problem
	switch {
	case err == nil:
		return found, nil
	case errors.As(err, &told) && told.status == http.StatusNotFound:
		return nil, nil
	}
	return nil, fmt.Errorf("%s: %s", p.label(), words(err))
}

// ownerOf is the worker whose loop a connection is on, and its process; nil if there is none. The
// error says that it does not answer.
func (f *fleet) ownerOf(id netpoll.ID) (*slot, *process, error) {
	number := id.Loop() / f.s.setup.Load().config.Loops
	if number >= len(f.s.slots) {
		return nil, nil, nil
	}
	p := f.s.slots[number]
	process := p.process()
	if process == nil {
		return p, nil, nil // so its connections do not exist either
	}
	if err := process.signs.silence(); err != nil {
		return p, nil, fmt.Errorf("%s %w", p.label(), err)
	}
	return p, process, nil
}
