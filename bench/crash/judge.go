// The judge: what was acknowledged, beside what subscribers got and what the node has.

package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// judge compares.
func (t *trial) judge(r *result, publishers []*publisher, subscribers []*subscriber) error {
	for _, s := range subscribers {
		r.resumed += s.resumed
		r.resets += s.resets
		kept, err := t.history(s.topic)
		if err != nil {
			return err
		}
		for _, list := range [][]message{s.got, kept} {
			places := r.order(list)
			for _, p := range publishers {
				if p.topic() == s.topic {
					r.find(p.acked, places)
				}
			}
		}
	}
	for _, p := range publishers {
		r.acknowledged += len(p.acked)
		r.retried += p.retried
	}
	return nil
}

// order looks at a list for itself: offsets ascend, each message is there once, and those of a
// publisher are in their order.
func (r *result) order(list []message) (places map[string]string) {
	places = make(map[string]string, len(list))
	last, begun := uint64(0), map[string]int{}
	for _, m := range list {
		_, digits, _ := strings.Cut(m.offset, ".")
		offset, err := strconv.ParseUint(digits, 10, 64)
		if err != nil || offset <= last {
			r.disordered++
		}
		last = offset
		if _, there := places[m.payload]; there {
			r.doubled++
			continue
		}
		places[m.payload] = m.offset
		from, digits, _ := strings.Cut(m.payload, "-")
		if number, err := strconv.Atoi(digits); err != nil || number != begun[from] {
			r.disordered++
		}
		begun[from]++
	}
	return places
}

// find looks for what was acknowledged, at the offset that was told.
func (r *result) find(acked []message, places map[string]string) {
	for _, m := range acked {
		switch at, there := places[m.payload]; {
		case !there:
			r.lost++
		case at != m.offset:
			r.disordered++
		}
	}
}

// history reads what the node has of a topic, page by page.
func (t *trial) history(topic int) (list []message, err error) {
	after := ""
	for {
		query := url.Values{"limit": {"1000"}}
		if after != "" {
			query.Set("after", after)
		}
		response, err := http.Get(fmt.Sprintf("http://%s/v1/topics/crash.%d/history?%s", t.node.Load().Admin, topic, query.Encode()))
		if err != nil {
			return nil, err
		}
		var page struct {
			Messages []struct{ Data, Offset string }
			Next     string
		}
		err = json.NewDecoder(response.Body).Decode(&page)
		response.Body.Close()
		if err != nil || response.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("history: %s, %w", response.Status, err)
		}
		for _, m := range page.Messages {
			list = append(list, message{m.Data, m.Offset})
		}
		if after = page.Next; after == "" {
			return list, nil
		}
	}
}
