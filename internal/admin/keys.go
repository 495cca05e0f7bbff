// Idempotency keys: of several publishes with the same key the first is published, and all get its
// answer.

package admin

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// keys are the publishes of the last two minutes that had a key. The key belongs to the first topic
// of the item. A publish that failed is forgotten, so that it can be tried again.
type keys struct {
	now func() time.Time

	mu    sync.Mutex // guards the fields below
	first map[string]*keyed
	ages  []aged // oldest first
}

type aged struct {
	name string
	of   *keyed
	at   time.Time
}

// keyed is the first publish with a key.
type keyed struct {
	done chan struct{} // closed with the answer

	answer any // valid when done is closed
}

func newKeys(now func() time.Time) *keys { return &keys{now: now, first: map[string]*keyed{}} }

// take returns the first publish with the item's key: this item, or with again one before it. It is
// nil for an item without a key.
func (k *keys) take(it *item) (first *keyed, again bool) {
	if it.key == "" || it.problem != nil {
		return nil, false
	}
	name := it.keyName()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.forget()
	if found := k.first[name]; found != nil {
		return found, true
	}
	first = &keyed{done: make(chan struct{})}
	k.first[name] = first
	k.ages = append(k.ages, aged{name, first, k.now()})
	return first, false
}

// forget removes keys that are too old, or too many. The caller has mu.
func (k *keys) forget() {
	limit := k.now().Add(-KeyAge)
	n := 0
	for n < len(k.ages) && (len(k.ages)-n > KeysMax || !k.ages[n].at.After(limit)) {
		if k.first[k.ages[n].name] == k.ages[n].of {
			delete(k.first, k.ages[n].name)
		}
		n++
	}
	k.ages = k.ages[n:]
}

// fail answers those who wait for a publish that failed, and forgets its key.
func (k *keys) fail(it *item, first *keyed, answer any) {
	if first == nil {
		return
	}
	k.mu.Lock()
	if name := it.keyName(); k.first[name] == first {
		delete(k.first, name)
	}
	k.mu.Unlock()
	first.settle(answer)
}

func (f *keyed) settle(answer any) {
	f.answer = answer
	close(f.done)
}

// wait returns the answer of the first publish. It comes within the bound of a publish.
func (f *keyed) wait() any {
	<-f.done
	return f.answer
}

func (it *item) keyName() string { return it.topics[0] + "\x00" + it.key }

// idempotencyKey reads the header.
func idempotencyKey(values []string) (string, *Problem) {
	switch {
	case len(values) == 0:
		return "", nil
	case len(values) > 1:
		return "", NewProblem(http.StatusBadRequest, "bad_idempotency_key", "Idempotency-Key is there twice")
	}
	return checkKey(strings.TrimSpace(values[0]))
}

func itemKey(value []byte) (string, *Problem) {
	key, ok := unquote(value)
	if !ok {
		return "", badItem(`"key" has to be a string of valid Unicode`)
	}
	return checkKey(key)
}

func checkKey(key string) (string, *Problem) {
	if key == "" || len(key) > KeyBytesMax {
		return "", NewProblem(http.StatusBadRequest, "bad_idempotency_key", fmt.Sprintf("an idempotency key is 1 to %d bytes, not %d", KeyBytesMax, len(key)))
	}
	return key, nil
}
