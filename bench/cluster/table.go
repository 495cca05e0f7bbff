// The table, and what was promised.

package main

import (
	"fmt"
	"io"
	"strconv"
	"time"
)

// row is one server in one step. Messages are those of the topic without history that were
// published on other nodes; events those of Socket.IO that other servers on Node emitted.
type row struct {
	step, at string
	rate     float64 // messages a second of the step
	node     bool    // a c100k node, for which the goals hold

	published, received, missed, unsent int
	acked, lost                         int // of the topic with history
	events, eventsHeard                 int
	eventsGoal                          bool          // all must come
	noticed, noticeMax                  time.Duration // 0: there was nothing to notice
	back, backMax                       time.Duration // 0: was not away
}

// neither counts the messages that were neither received nor counted.
func (r *row) neither() int { return max(r.published-r.received-r.missed-r.unsent, 0) }

// problem names the goal that is missed, or is empty.
func (r *row) problem() string {
	switch {
	case r.node && r.published == 0:
		return "nothing was published"
	case r.neither() > 0:
		return "lost without being counted"
	case r.lost > 0:
		return "lost although kept"
	case r.noticeMax > 0 && r.noticed > r.noticeMax:
		return "noticed in " + seconds(r.noticeMax)
	case r.backMax > 0 && r.back > r.backMax:
		return "back in " + seconds(r.backMax)
	case r.eventsGoal && r.eventsHeard != r.events:
		return "all are reached"
	}
	return ""
}

type table struct{ rows []row }

func (t *table) met() bool {
	for i := range t.rows {
		if t.rows[i].problem() != "" {
			return false
		}
	}
	return true
}

// print prints the table as Markdown.
func (t *table) print(w io.Writer) {
	fmt.Fprint(w, "| at | published elsewhere | received | missed, counted | not sent, counted | neither: 0 | kept | of them lost: 0 | "+
		"Socket.IO events | received | noticed | back | goals |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---|\n")
	step := ""
	for i := range t.rows {
		r := &t.rows[i]
		if r.step != step {
			step = r.step
			fmt.Fprintf(w, "| **%s** under %.0f publishes a second | | | | | | | | | | | | |\n", step, r.rate)
		}
		verdict := "met"
		if problem := r.problem(); problem != "" {
			verdict = "MISSED: " + problem
		}
		fmt.Fprintf(w, "| %s |", r.at)
		for _, n := range []int{r.published, r.received, r.missed, r.unsent, r.neither(), r.acked, r.lost} {
			fmt.Fprintf(w, " %s |", count(n, r.node))
		}
		fmt.Fprintf(w, " %d | %d | %s | %s | %s |\n", r.events, r.eventsHeard, limited(r.noticed, r.noticeMax), limited(r.back, r.backMax), verdict)
	}
}

func count(n int, known bool) string {
	if !known {
		return ""
	}
	return strconv.Itoa(n)
}

// limited is a time beside its goal.
func limited(d, most time.Duration) string {
	switch {
	case d == 0:
		return ""
	case most == 0:
		return seconds(d)
	}
	return seconds(d) + " (≤ " + seconds(most) + ")"
}

func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 2, 64) + " s" }
