package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"c100k/internal/admin"
	"c100k/internal/figures"
)

// aLook is a look at a node with two of everything.
func aLook(at time.Time, sent uint64) *look {
	return &look{
		at: at,
		figures: figures.Read(&figures.Source{Version: "1.2", Uptime: time.Minute, Bus: figures.Bus{Kind: "memory"},
			Transports: map[string]figures.Transport{"sse": {Opened: 3}}, Loops: []figures.Loop{{Broadcasts: sent}}}),
		Topics: []admin.Topic{{Name: "few\x1b[31m", Subscribers: 1}, {Name: "many", Subscribers: 9}},
		Connections: []admin.Connection{
			{Client: admin.Client{ID: "0000000000000001", Sub: "fast", Seconds: 9}}, {Client: admin.Client{ID: "0000000000000002", Sub: "slow\nline", Seconds: 5}, Behind: 77}},
		Closes: []admin.Closed{{Client: admin.Client{ID: "0000000000000003"}, Closed: "2026-11-29T14:29:31Z", Reason: "timeout", Owed: 5}},
	}
}

func TestTopView(t *testing.T) {
	v := &topView{width: 120, height: 30}
	if page := v.page(30); page != "asking the node" {
		t.Error(page)
	}
	v.Update(tea.WindowSizeMsg{Width: 110, Height: 12})
	at := time.Unix(1000, 0)
	v.Update(asked{look: aLook(at, 100)})
	v.Update(asked{look: aLook(at.Add(2*time.Second), 300)})
	for key, want := range map[string][]string{
		"1": {"connections", "out 100/s", "sse 3"},
		"2": {"9  many", `few\x1b[31m`},
		"3": {`slow\nline`, "77"},
		"4": {"14:29:31", "timeout"},
	} {
		v.press(key)
		page := v.page(30)
		for _, text := range want {
			if !strings.Contains(page, text) {
				t.Errorf("page %s has no %q:\n%s", key, text, page)
			}
		}
		if strings.Contains(page, "\x1b[31m") {
			t.Errorf("page %s has the escape of a client", key)
		}
	}
	v.press("2")
	if page := v.page(30); strings.Index(page, "many") > strings.Index(page, "few") {
		t.Error("the busiest topic is not first")
	}
	v.press("s")
	if page := v.page(30); strings.Index(page, "many") < strings.Index(page, "few") {
		t.Error("names are not sorted")
	}
	if lines := strings.Count(v.page(3), "\n"); lines != 2 {
		t.Errorf("%d lines", lines+1)
	}
}

func TestTopKeys(t *testing.T) {
	v := &topView{width: 100, height: 30, latest: aLook(time.Unix(1, 0), 0)}
	v.press("tab")
	for _, key := range []string{"/", "n", "q", "space", "backspace", "w", "enter"} {
		if v.press(key) {
			t.Fatalf("%s ends it", key)
		}
	}
	if v.tab != tabTopics || v.filter[tabTopics] != "nqw" || v.typing {
		t.Errorf("tab %d, filter %q", v.tab, v.filter[tabTopics])
	}
	v.press("p")
	v.Update(asked{look: aLook(time.Unix(5, 0), 0)})
	if v.latest.at.Unix() != 1 {
		t.Error("it goes on while it is paused")
	}
	v.Update(asked{err: errors.New("nobody listens")})
	if !strings.Contains(v.page(30), "nobody listens") {
		t.Error("the error is not shown")
	}
	if !v.press("q") {
		t.Error("q does not end it")
	}
}
