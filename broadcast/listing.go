// The topics as seen from outside: one, a page of them, their number.

package broadcast

import (
	"container/heap"
	"runtime"
	"slices"
	"strings"
)

// TopicInfo is a topic as seen from outside.
type TopicInfo struct {
	Name    string
	Members int           // over all shards
	ByForm  [FormsMax]int // the same, by form
}

func (t *topic) info() TopicInfo {
	i := TopicInfo{Name: t.name}
	for f := range t.members {
		n := int(t.members[f].Load())
		i.ByForm[f] = n
		i.Members += n
	}
	return i
}

// Topic returns the topic of that name; ok is false if it has no members. Any goroutine.
func (h *Hub) Topic(name string) (info TopicInfo, ok bool) {
	if t := h.lookup(name); t != nil {
		info = t.info()
	}
	return info, info.Members > 0
}

// Topics returns, by name, the first `most` topics with members whose names begin with prefix and
// come behind after, which may be empty. It looks at the name of every topic of the hub, in some
// hundred nanoseconds each, and keeps no more than it returns. Any goroutine but that of a loop.
func (h *Hub) Topics(prefix, after string, most int) []TopicInfo {
	first := make(firstNames, 0, min(most, listingRoom))
	seen := 0
	h.topics.Range(func(name, found any) bool {
		if seen++; seen%listingSlice == 0 {
			runtime.Gosched() // loops share the processors
		}
		n := name.(string)
		full := len(first) == most
		if n <= after && after != "" || !strings.HasPrefix(n, prefix) || full && (most == 0 || n > first[0].Name) {
			return true
		}
		info := found.(*topic).info()
		switch {
		case info.Members == 0:
		case full:
			first[0] = info
			heap.Fix(&first, 0)
		default:
			heap.Push(&first, info)
		}
		return true
	})
	slices.SortFunc(first, func(a, b TopicInfo) int { return strings.Compare(a.Name, b.Name) })
	return first
}

// firstNames is a heap of topics, the last by name on top.
type firstNames []TopicInfo

func (f firstNames) Len() int           { return len(f) }
func (f firstNames) Less(i, j int) bool { return f[i].Name > f[j].Name }
func (f firstNames) Swap(i, j int)      { f[i], f[j] = f[j], f[i] }
func (f *firstNames) Push(t any)        { *f = append(*f, t.(TopicInfo)) }
func (f *firstNames) Pop() any          { panic("not needed: the heap only grows") }

// Busiest returns the `most` topics with the most members, in no particular order; of those with as
// many, any. It costs what Topics costs. Any goroutine but that of a loop.
func (h *Hub) Busiest(prefix string, most int) []TopicInfo {
	first := make(busiest, 0, min(most, listingRoom))
	seen := 0
	h.topics.Range(func(name, found any) bool {
		if seen++; seen%listingSlice == 0 {
			runtime.Gosched() // loops share the processors
		}
		if !strings.HasPrefix(name.(string), prefix) || most == 0 {
			return true
		}
		info := found.(*topic).info()
		switch {
		case info.Members == 0:
		case len(first) < most:
			heap.Push(&first, info)
		case info.Members > first[0].Members:
			first[0] = info
			heap.Fix(&first, 0)
		}
		return true
	})
	return first
}

// busiest is a heap of topics, the one with the fewest members on top.
type busiest []TopicInfo

func (b busiest) Len() int           { return len(b) }
func (b busiest) Less(i, j int) bool { return b[i].Members < b[j].Members }
func (b busiest) Swap(i, j int)      { b[i], b[j] = b[j], b[i] }
func (b *busiest) Push(t any)        { *b = append(*b, t.(TopicInfo)) }
func (b *busiest) Pop() any          { panic("not needed: the heap only grows") }

// TopicCount returns how many topics there are: those with members, those that are kept for their
// positions, and those that are about to end. Any goroutine.
func (h *Hub) TopicCount() int { return int(h.topicCount.Load()) }
