// What the table calls a goal that is missed.

package main

import (
	"strings"
	"testing"
	"time"
)

func TestProblems(t *testing.T) {
	good := row{step: "s", at: "node1", node: true, published: 10, received: 7, missed: 2, unsent: 1, acked: 3,
		noticed: time.Second, noticeMax: time.Second, back: time.Second, backMax: time.Second}
	for _, c := range []struct {
		name    string
		change  func(*row)
		problem string
	}{
		{"all is accounted for", func(*row) {}, ""},
		{"a packet that was sent and answered too late counts twice", func(r *row) { r.received = 10 }, ""},
		{"nothing flows", func(r *row) { r.published = 0 }, "nothing was published"},
		{"one message is nowhere", func(r *row) { r.missed = 1 }, "lost without being counted"},
		{"a kept message is lost", func(r *row) { r.lost = 1 }, "lost although kept"},
		{"noticed late", func(r *row) { r.noticed++ }, "noticed in 1.00 s"},
		{"back late", func(r *row) { r.back++ }, "back in 1.00 s"},
		{"no goal for the time", func(r *row) { r.back, r.backMax = time.Hour, 0 }, ""},
		{"a client is not reached", func(r *row) { r.events, r.eventsGoal = 5, true }, "all are reached"},
		{"events of Socket.IO are not promised", func(r *row) { r.events = 5 }, ""},
	} {
		r := good
		c.change(&r)
		all := &table{rows: []row{good, r}}
		if got := r.problem(); got != c.problem || all.met() != (c.problem == "") {
			t.Errorf("%s: %q, want %q", c.name, got, c.problem)
		}
		var text strings.Builder
		all.print(&text)
		if strings.Contains(text.String(), "MISSED") != (c.problem != "") {
			t.Errorf("%s: %s", c.name, text.String())
		}
	}
}
