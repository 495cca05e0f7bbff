// The part of the API for users of the node, who show a token and no key: clients that publish and
// ask who is in a topic where no WebSocket comes through.

package admin

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"c100k/broadcast"
)

// User is a client that has shown its token. Any goroutine.
type User interface {
	// MayPublish judges a publish, and may wait for it; nil: the user may.
	MayPublish(ctx context.Context, topic string, kind broadcast.Kind, payload []byte) *Problem
	// MayWatch tells whether the user may know who is in a topic.
	MayWatch(topic string) bool
	// From is Publication.From of what the user publishes.
	From(topic string) string
}

// NewUsers is the handler of requests that ForUsers lets through, on any port. identify says who
// sends one; its problem is the answer. Of c it needs Node, MessageBytesMax and Logger.
func NewUsers(c Config, identify func(*http.Request) (User, *Problem)) http.Handler {
	a := newAPI(c, false)
	a.identify = identify
	a.routes = []route{
		{pattern: path("v1/publish"), post: a.publish},
		{pattern: path("v1/topics/*"), post: a.publishTopic},
		{pattern: path("v1/topics/*/presence"), get: a.presence},
	}
	return a
}

// ForUsers tells whether a request brings a JWT in place of one of the API keys, and asks for
// something that users may have. token is the JWT.
func ForUsers(r *http.Request, keys ...string) (token string, is bool) {
	token = bearer(r)
	if strings.Count(token, ".") != 2 || !strings.HasPrefix(token, jwtBegin) || slices.ContainsFunc(keys, func(key string) bool { return same(key, token) }) {
		return "", false
	}
	parts, err := segments(r.URL.EscapedPath())
	switch {
	case err != nil || len(parts) < 2 || parts[0] != "v1":
		return "", false
	case r.Method == http.MethodPost:
		return token, len(parts) == 2 && parts[1] == "publish" || len(parts) == 3 && parts[1] == "topics"
	}
	return token, r.Method == http.MethodGet && len(parts) == 4 && parts[1] == "topics" && parts[3] == "presence"
}

// jwtBegin is how each JWT begins: {" in base64.
const jwtBegin = "eyJ"

type userKey struct{}

// userOf is who sends a request; nil for one with the API key.
func userOf(r *http.Request) User {
	u, _ := r.Context().Value(userKey{}).(User)
	return u
}

// userTopicsMax bounds the topics of a request of a user. Each may have to be judged by a backend,
// one after the other.
const userTopicsMax = 100

// judgeItems refuses what a user may not publish. Who has the key may publish all.
func judgeItems(r *http.Request, items []item) {
	u := userOf(r)
	if u == nil {
		return
	}
	n := 0
	for i := range items {
		it := &items[i]
		if n += len(it.topics); it.problem == nil && n > userTopicsMax {
			it.problem = NewProblem(http.StatusRequestEntityTooLarge, "too_many_topics", "a request of a user publishes to at most "+strconv.Itoa(userTopicsMax)+" topics")
		}
		if it.problem == nil && it.key != "" {
			it.problem = NewProblem(http.StatusForbidden, "forbidden", "a key is for those who have the API key")
		}
		for _, topic := range it.topics {
			if it.problem == nil {
				it.problem = u.MayPublish(r.Context(), topic, it.kind, it.payload)
			}
		}
		it.from = u.From
	}
}
