// What `serve` says of the box before it serves.

package main

import (
	"c100k/internal/doctor"
	"c100k/server"
)

// warnOfLimits logs, once at the start, each limit of the box that stands in the way, with what
// lifts it. Without --max-conns nobody has said how many there will be, and only what does not
// depend on that is judged. It never refuses.
func (s *serving) warnOfLimits() {
	wanted := &s.Options.Node
	report := doctor.Examine(s.host(), doctor.Want{
		Conns: int64(wanted.MaxConns), Workers: int64(max(0, wanted.Workers)), Node: true, Plain: wanted.IO == server.IOSyscall,
	})
	for _, c := range report.Warnings() {
		s.log.Warn("a limit of this box is low", "limit", c.Name, "value", c.Value, "needed", c.Needed, "lift", c.Lift)
	}
}
