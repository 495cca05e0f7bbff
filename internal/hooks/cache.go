// What a hook remembers of its backend's answers.

package hooks

import (
	"container/list"
	"sync"
	"time"
)

// cache holds answers until they end, and forgets the one that was not used for the longest time
// when there are too many. The zero value is empty. Any goroutine.
type cache struct {
	mu      sync.Mutex // guards the fields below
	entries map[key]*list.Element
	used    list.List // of *entry, the one used last in front
	bytes   int
}

type entry struct {
	key    key
	answer *Answer
	until  time.Time
}

// get is the answer for a key, nil if there is none or it has ended.
func (c *cache) get(k key, now time.Time) *Answer {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := c.entries[k]
	if at == nil {
		return nil
	}
	if e := at.Value.(*entry); now.Before(e.until) {
		c.used.MoveToFront(at)
		return e.answer
	}
	c.drop(at)
	return nil
}

// put remembers an answer as long as it says.
func (c *cache) put(k key, a *Answer, now time.Time) {
	until := now.Add(a.Cache)
	if !a.Expires.IsZero() && a.Expires.Before(until) {
		until = a.Expires
	}
	if !now.Before(until) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if at := c.entries[k]; at != nil {
		c.drop(at)
	}
	if c.entries == nil {
		c.entries = make(map[key]*list.Element)
	}
	c.entries[k] = c.used.PushFront(&entry{k, a, until})
	c.bytes += a.bytes()
	for len(c.entries) > CacheEntriesMax || c.bytes > CacheBytesMax {
		c.drop(c.used.Back())
	}
}

// drop forgets an entry. The caller holds mu.
func (c *cache) drop(at *list.Element) {
	e := c.used.Remove(at).(*entry)
	delete(c.entries, e.key)
	c.bytes -= e.answer.bytes()
}

// size is how many answers there are.
func (c *cache) size() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.entries)
}
