// What others see of a table: pages, and what has changed.

package presence

import (
	"slices"
	"strconv"

	"c100k/internal/jsontext"
)

// Member is a user in a topic.
type Member struct {
	Sub   string
	Info  string // JSON; empty for nothing
	Conns int    // its connections, over all processes
}

// Page is a part of a topic's members, in the order of their names.
type Page struct {
	Count   int // users, and connections that were not identified
	Members []Member
	Next    string // the last name of this page if others follow, else empty
}

// Page returns those of a topic behind a name, at most PageMembers. Any goroutine; not for loops.
func (t *Table) Page(topic, after string) Page {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := Page{Count: t.count(topic)}
	if t.topics[topic] == nil {
		return p
	}
	var tables []map[string]*member
	for _, peer := range t.peers {
		if members := peer.topics[topic]; members != nil {
			tables = append(tables, members)
		}
	}
	p.Members = make([]Member, 0, min(t.topics[topic].users, PageMembers))
	t.orderOf(topic).each(after, func(sub string) bool {
		m := Member{Sub: sub}
		for _, members := range tables {
			if one := members[sub]; one != nil {
				m.Conns += int(one.conns)
				if m.Info == "" {
					m.Info = one.info
				}
			}
		}
		switch {
		case m.Conns == 0: // it has left
		case len(p.Members) == PageMembers:
			p.Next = p.Members[PageMembers-1].Sub
			return false
		default:
			p.Members = append(p.Members, m)
		}
		return true
	})
	return p
}

// AppendMembers appends the members of a page's JSON object: "count", "members" and, if there is
// another page, "next".
func (p *Page) AppendMembers(dst []byte) []byte {
	dst = strconv.AppendInt(append(dst, `"count":`...), int64(p.Count), 10)
	dst = append(dst, `,"members":[`...)
	for i := range p.Members {
		m := &p.Members[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendUser(dst, m.Sub, m.Info)
		dst = strconv.AppendInt(append(dst, `,"conns":`...), int64(m.Conns), 10)
		dst = append(dst, '}')
	}
	dst = append(dst, ']')
	if p.Next != "" {
		dst = jsontext.AppendString(append(dst, `,"next":`...), p.Next)
	}
	return dst
}

// appendUser appends the object of a user without its end.
func appendUser(dst []byte, sub, info string) []byte {
	dst = jsontext.AppendString(append(dst, `{"sub":`...), sub)
	if info != "" {
		dst = append(append(dst, `,"info":`...), info...)
	}
	return dst
}

// tell sends watchers what has changed.
func (t *Table) tell() {
	for name, c := range t.watched {
		if !t.opt.Watched(WatchTopic(name)) {
			delete(t.watched, name)
			continue
		}
		if p := t.appendChanges(nil, name, c); p != nil {
			t.opt.Publish(WatchTopic(name), p)
		}
	}
}

// appendChanges makes the message about a topic; nil if there is nothing to say.
func (t *Table) appendChanges(dst []byte, name string, c *changes) []byte {
	subs := make([]string, 0, len(c.was))
	for sub := range c.was {
		subs = append(subs, sub)
	}
	slices.Sort(subs)
	var joined, left []byte
	for _, sub := range subs {
		if len(joined)+len(left) > ChangeBytesMax {
			break
		}
		info, is := t.look(key{name, sub})
		switch was := c.was[sub]; {
		case is && (!was.there || was.info != info):
			joined = append(appendUser(append(joined, ','), sub, info), '}')
		case was.there && !is:
			left = append(appendUser(append(left, ','), sub, ""), '}')
		}
		delete(c.was, sub)
	}
	count := t.count(name)
	if joined == nil && left == nil && count == c.count {
		return nil
	}
	c.count = count
	dst = jsontext.AppendString(append(dst, `{"type":"presence","topic":`...), name)
	dst = appendList(append(dst, `,"joined":[`...), joined)
	dst = appendList(append(dst, `],"left":[`...), left)
	dst = strconv.AppendInt(append(dst, `],"count":`...), int64(count), 10)
	return append(dst, '}')
}

// appendList appends elements that all have a comma in front.
func appendList(dst, elements []byte) []byte {
	if len(elements) > 0 {
		dst = append(dst, elements[1:]...)
	}
	return dst
}

// look finds a user in any process.
func (t *Table) look(k key) (info string, there bool) {
	for _, p := range t.peers {
		if m, ok := p.topics[k.topic][k.sub]; ok {
			info, there = m.info, true
			if info != "" {
				return info, true
			}
		}
	}
	return info, there
}
