// Rights: the lists of patterns of a client, compiled and shared.

package auth

import (
	"fmt"
	"strings"
	"sync"
)

// Lists are the rights of a client as a token or a backend writes them. All of them are lists of
// patterns; those of Join have no wildcard, because they name topics.
type Lists struct {
	Subscribe []string `json:"subscribe,omitempty"`
	Publish   []string `json:"publish,omitempty"`
	History   []string `json:"history,omitempty"`
	Presence  []string `json:"presence,omitempty"`
	Deny      []string `json:"deny,omitempty"` // wins over all others
	Join      []string `json:"join,omitempty"` // subscribed at connect
}

// Right is something that a client may do with a topic.
type Right uint8

// The rights, in the order of Lists.
const (
	Subscribe Right = iota
	Publish
	History
	Presence
	rightCount
)

// String is the name of the right's list.
func (r Right) String() string { return [...]string{"subscribe", "publish", "history", "presence"}[r] }

// Rights are Lists, compiled. They are immutable, and shared by all clients with the same lists.
// Any goroutine.
type Rights struct {
	allow [rightCount][]Pattern
	deny  []Pattern
	join  []Pattern
	sub   bool // {sub} occurs somewhere
}

// NewRights compiles lists. The error names the pattern that is wrong and its list.
func NewRights(lists *Lists) (*Rights, error) {
	r, total := &Rights{}, 0
	for name, list := range lists.all() {
		if total += len(list); total > PatternsMax {
			return nil, fmt.Errorf("more than %d patterns", PatternsMax)
		}
		patterns := make([]Pattern, 0, len(list))
		for _, text := range list {
			p, err := ParsePattern(text)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", listNames[name], err)
			}
			patterns = append(patterns, p)
			r.sub = r.sub || p.sub
		}
		switch name {
		case denyList:
			r.deny = patterns
		case joinList:
			r.join = patterns
		default:
			r.allow[name] = patterns
		}
	}
	if len(r.join) > JoinMax {
		return nil, fmt.Errorf("join: %d topics; allowed are %d", len(r.join), JoinMax)
	}
	for i := range r.join {
		if strings.ContainsAny(r.join[i].text, oneLevel+restLevels) {
			return nil, fmt.Errorf("join: %q has a wildcard, and a client can only join topics", r.join[i].text)
		}
	}
	return r, nil
}

// The lists behind those of the rights.
const (
	denyList = int(rightCount) + iota
	joinList
	listCount
)

var listNames = [listCount]string{"subscribe", "publish", "history", "presence", "deny", "join"}

func (l *Lists) all() [listCount][]string {
	return [...][]string{l.Subscribe, l.Publish, l.History, l.Presence, l.Deny, l.Join}
}

// Lists are the lists that r was made of.
func (r *Rights) Lists() Lists {
	texts := func(patterns []Pattern) (list []string) {
		for i := range patterns {
			list = append(list, patterns[i].text)
		}
		return list
	}
	return Lists{
		Subscribe: texts(r.allow[Subscribe]), Publish: texts(r.allow[Publish]), History: texts(r.allow[History]), Presence: texts(r.allow[Presence]),
		Deny: texts(r.deny), Join: texts(r.join),
	}
}

// NeedsSubject tells whether {sub} occurs in a list.
func (r *Rights) NeedsSubject() bool { return r.sub }

// Allows tells whether r allows it to the client whose subject is sub, as SubjectLevel has it. It
// allocates nothing.
func (r *Rights) Allows(right Right, topic, sub string) bool {
	if r.sub && sub == "" {
		return false // a list that denies could not be applied
	}
	return !matches(r.deny, topic, sub) && matches(r.allow[right], topic, sub)
}

// Denies tells whether the list that denies has the topic.
func (r *Rights) Denies(topic, sub string) bool {
	return r.sub && sub == "" || matches(r.deny, topic, sub)
}

func matches(list []Pattern, topic, sub string) bool {
	for i := range list {
		if list[i].Match(topic, sub) {
			return true
		}
	}
	return false
}

// Decision is which pattern decides about a right.
type Decision struct {
	Allowed bool
	List    string // the list of Pattern; "" if none matches
	Pattern string
}

// Explain is Allows with its reason.
func (r *Rights) Explain(right Right, topic, sub string) Decision {
	for i := range r.deny {
		if r.deny[i].Match(topic, sub) {
			return Decision{false, listNames[denyList], r.deny[i].text}
		}
	}
	for i := range r.allow[right] {
		if p := &r.allow[right][i]; p.Match(topic, sub) {
			return Decision{Allowed: !r.sub || sub != "", List: right.String(), Pattern: p.text}
		}
	}
	return Decision{}
}

// AppendJoin appends the topics that the client joins when it connects, but for those that it is
// denied.
func (r *Rights) AppendJoin(dst []string, sub string) []string {
	for i := range r.join {
		text := r.join[i].text
		if r.join[i].sub {
			text = strings.ReplaceAll(text, subject, sub)
		}
		if !r.Denies(text, sub) {
			dst = append(dst, text)
		}
	}
	return dst
}

// Registry compiles lists, each set of them once while it knows them. The zero value is empty. Any
// goroutine.
type Registry struct {
	mu    sync.Mutex // guards the field below
	known map[string]*Rights
}

// Rights is NewRights, with the same result for the same lists.
func (g *Registry) Rights(lists *Lists) (*Rights, error) {
	var key strings.Builder
	for _, list := range lists.all() {
		for _, text := range list {
			key.WriteString(text)
			key.WriteByte(0) // no pattern contains it
		}
		key.WriteByte(1)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if r := g.known[key.String()]; r != nil {
		return r, nil
	}
	r, err := NewRights(lists)
	if err != nil {
		return nil, err
	}
	if len(g.known) >= registryMax || g.known == nil {
		g.known = map[string]*Rights{}
	}
	g.known[key.String()] = r
	return r, nil
}
