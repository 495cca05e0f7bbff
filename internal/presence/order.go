// The names of a topic in their order, for pages.

package presence

import (
	"slices"
	"sort"
	"time"
)

// order is the users of a topic in the order of their names: made when somebody asks, and kept
// while somebody does. Without it each page would look at all users, and a client that asks again
// and again would keep a processor busy.
type order struct {
	names  []string // sorted; some may have left
	fresh  []string // have joined since
	sorted bool     // fresh is
	gone   int      // have left since
	used   time.Duration
}

// changed notes a user that has joined or left.
func (o *order) changed(sub string, joined bool) {
	switch {
	case o == nil:
	case joined:
		o.fresh, o.sorted = append(o.fresh, sub), false
	default:
		o.gone++
	}
}

// orderOf is the order of a topic, as it is now. The lock is held.
func (t *Table) orderOf(topic string) *order {
	o := t.orders[topic]
	if o == nil || len(o.fresh)+o.gone > orderChangesMin+len(o.names)/orderChangesPart {
		o = &order{sorted: true}
		n := 0
		for _, p := range t.peers {
			n += len(p.topics[topic])
		}
		o.names = make([]string, 0, n)
		for _, p := range t.peers {
			for sub := range p.topics[topic] {
				if sub != "" {
					o.names = append(o.names, sub)
				}
			}
		}
		slices.Sort(o.names)
		o.names = slices.Compact(o.names)
		if len(o.names) > PageMembers {
			t.orders[topic] = o
		} else {
			delete(t.orders, topic)
		}
	}
	if !o.sorted {
		slices.Sort(o.fresh)
		o.fresh, o.sorted = slices.Compact(o.fresh), true
	}
	o.used = t.opt.Now()
	return o
}

// each calls f for the names behind one, in their order, until it returns false. Some have left.
func (o *order) each(after string, f func(sub string) bool) {
	behind := func(list []string) []string {
		return list[sort.Search(len(list), func(i int) bool { return list[i] > after }):]
	}
	names, fresh := behind(o.names), behind(o.fresh)
	for len(names)+len(fresh) > 0 {
		var sub string
		switch {
		case len(fresh) == 0 || len(names) > 0 && names[0] < fresh[0]:
			sub, names = names[0], names[1:]
		case len(names) > 0 && names[0] == fresh[0]:
			sub, names, fresh = names[0], names[1:], fresh[1:]
		default:
			sub, fresh = fresh[0], fresh[1:]
		}
		if !f(sub) {
			return
		}
	}
}

// forgetOrders forgets those that nobody has asked for. The lock is held.
func (t *Table) forgetOrders(now time.Duration) {
	for topic, o := range t.orders {
		if now-o.used > orderIdle {
			delete(t.orders, topic)
		}
	}
}
