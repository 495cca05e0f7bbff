// Limits that hold for all workers together: the parent makes the table in which they count, and
// gives back what a worker held that has ended.

package workers

import (
	"log/slog"

	"c100k/internal/edge"
	"c100k/internal/quota"
	"c100k/server"
)

// limits are what one process holds of the node's limits. Nil: the node has none.
type limits struct {
	table  *quota.Table
	number int // the worker's
	log    *slog.Logger
}

// openQuota makes the table, if the configuration has limits that hold for the node.
func (s *Supervisor) openQuota(c *server.Config) (err error) {
	if c.NeedsQuota() {
		s.quota, err = quota.NewShared(edge.QuotaKeys(c.MaxConns), c.Workers)
	}
	return err
}

// closeQuota ends the parent's part of it.
func (s *Supervisor) closeQuota() {
	if s.quota != nil {
		_ = s.quota.File().Close()
	}
}

// limitsOf are the limits of the worker with that number.
func (s *Supervisor) limitsOf(number int) *limits {
	if s.quota == nil {
		return nil
	}
	return &limits{s.quota, number, s.log}
}

// giveBack gives back what the process held, which has ended in whatever way.
func (p *limits) giveBack() {
	if p == nil {
		return
	}
	if err := p.table.Forget(p.number); err != nil {
		p.log.Error("what a worker held of the node's limits is still counted", "worker", p.number, "err", err)
	}
}
