// One line a second, for logs and pipes.

package view

import (
	"fmt"
	"time"

	"c100k/loadgen"
	"c100k/loadgen/swarm"
)

// Line is one look at a run as a line of text.
func Line(p loadgen.Progress) string {
	s := &p.Second
	text := fmt.Sprintf("%6s %-8s %d/%d open", p.Elapsed.Round(time.Second), p.Phase, s.Open, p.Wanted)
	if n := loadgen.Total(p.Failed); n > 0 {
		text += fmt.Sprintf(", %d failed", n)
	}
	if n := loadgen.Total(p.Lost); n > 0 {
		text += fmt.Sprintf(", %d dropped", n)
	}
	if p.Phase == loadgen.Ramp {
		return text + fmt.Sprintf(", %.0f/s", s.Opened)
	}
	switch {
	case p.Mode == swarm.Churn:
		text += fmt.Sprintf(" | opened %.0f%s", s.Opened, ofTarget(s))
	case s.Target > 0:
		text += fmt.Sprintf(" | sent %.0f%s", s.Sent, ofTarget(s))
	case s.Sent > 0:
		text += fmt.Sprintf(" | sent %.0f/s", s.Sent)
	}
	if s.Received > 0 {
		text += fmt.Sprintf(", received %.0f/s", s.Received)
	}
	if l := s.Latency; l != nil {
		text += fmt.Sprintf(" | p50 %v p99 %v max %v", l.P50, l.P99, l.Max)
	}
	text += fmt.Sprintf(" | generator %.0f %%", s.Busy*100)
	if p.Server != nil {
		text += fmt.Sprintf(", server %.2f CPU", s.Cores)
	}
	return text
}

// ofTarget is the end of a rate's text: the rate that was asked for, if any.
func ofTarget(s *loadgen.Second) string {
	if s.Target > 0 {
		return fmt.Sprintf(" of %.0f/s", s.Target)
	}
	return "/s"
}
