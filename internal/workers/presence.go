// Members of topics: each worker knows those of all.

package workers

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"c100k/internal/admin"
)

// Presence asks the workers, and takes the first answer by their number.
func (f *fleet) Presence(topic, after string) (admin.PresencePage, error) {
	pages := make([]admin.PresencePage, len(f.s.slots))
	errs := f.each(partTimeout, func(ctx context.Context, p *slot, c *client) error {
		return c.do(ctx, http.MethodGet, "/v1/topics/"+segment(topic)+"/presence?after="+url.QueryEscape(after), nil, &pages[p.number])
	})
	for i, err := range errs {
		var told *problem
		switch {
		case err == nil:
			return pages[i], nil
		case errors.As(err, &told) && told.status == http.StatusNotFound:
			return admin.PresencePage{}, admin.ErrNoPresence
		}
	}
	return admin.PresencePage{}, errs[0]
}
