// GET /v1/topics/{topic}/presence: who is in a topic.

package admin

import (
	"encoding/json"
	"errors"
	"net/http"
)

// Attended is a Node that knows the members of topics. Without it no topic has presence.
type Attended interface {
	// Presence returns a page of the members of a topic, by name: those behind after, which may be
	// empty. The error is ErrNoPresence where the members of topics of that name are not known; of
	// another the text goes to the caller, with status 503.
	Presence(topic, after string) (PresencePage, error)
}

// ErrNoPresence is returned for a topic whose members are not known.
var ErrNoPresence = errors.New("the members of this topic are not known")

// PresencePage is the answer.
type PresencePage struct {
	Topic string `json:"topic"`
	// Count is the users of the topic, and the connections whose client was not identified.
	Count   int              `json:"count"`
	Members []PresenceMember `json:"members"`
	// Next is "after" of the next page; absent on the last one.
	Next string `json:"next,omitempty"`
}

// PresenceMember is a user.
type PresenceMember struct {
	Sub   string          `json:"sub"`
	Info  json.RawMessage `json:"info,omitempty"`
	Conns int             `json:"conns"`
}

func (a *api) presence(w http.ResponseWriter, r *http.Request, name string) {
	problem := checkTopic(name)
	var params map[string]string
	if problem == nil {
		params, problem = query(r, "after")
	}
	if problem != nil {
		problem.Write(w)
		return
	}
	if u := userOf(r); u != nil && !u.MayWatch(name) {
		NewProblem(http.StatusForbidden, "forbidden", "you may not know who is in "+quoted(name)).Write(w)
		return
	}
	page, err := PresencePage{}, ErrNoPresence
	if node, ok := a.node.(Attended); ok {
		page, err = node.Presence(name, params["after"])
	}
	switch {
	case errors.Is(err, ErrNoPresence):
		NewProblem(http.StatusNotFound, "no_presence", "the members of "+quoted(name)+" are not known: no --presence pattern matches it").Write(w)
	case err != nil:
		unavailable(err).Write(w)
	default:
		writeJSON(w, http.StatusOK, page)
	}
}
