// GET /v1/topics and GET /v1/topics/{topic}: who is subscribed.

package admin

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// topicPage is the answer of GET /v1/topics.
type topicPage struct {
	Topics []Topic `json:"topics"`
	// Next is "after" of the next page; absent on the last one.
	Next string `json:"next,omitempty"`
	// Missing says whose topics are not in it, in words; absent where all are.
	Missing []string `json:"missing,omitempty"`
}

// listTopics lists topics by name, behind the name in "after": that of the last topic of the page
// before, which need not exist any more. "cursor" is another name of "after".
func (a *api) listTopics(w http.ResponseWriter, r *http.Request, _ string) {
	params, problem := query(r, "prefix", "limit", "after", "cursor", "order")
	if problem != nil {
		problem.Write(w)
		return
	}
	limit, problem := pageLimit(params, TopicsPage, TopicsPageMax)
	if problem != nil {
		problem.Write(w)
		return
	}
	after, ok := params["after"]
	if cursor, also := params["cursor"]; also {
		if ok {
			NewProblem(http.StatusBadRequest, "repeated_parameter", "after and cursor mean the same: give one of them").Write(w)
			return
		}
		after = cursor
	}
	switch params["order"] {
	case "", "name":
	case "subscribers":
		a.busiest(w, params["prefix"], limit, after != "")
		return
	default:
		NewProblem(http.StatusBadRequest, "bad_order", "order is name or subscribers, not "+quoted(params["order"])).Write(w)
		return
	}
	topics, missing := a.node.Topics(params["prefix"], after, limit+1) // one more tells whether there is a next page
	topics = slices.DeleteFunc(topics, func(t Topic) bool { return t.Name <= after && after != "" })
	slices.SortFunc(topics, func(x, y Topic) int { return strings.Compare(x.Name, y.Name) })
	page := topicPage{Topics: topics, Missing: missing}
	if len(topics) > limit {
		page.Topics = topics[:limit]
		page.Next = topics[limit-1].Name
	}
	if page.Topics == nil {
		page.Topics = []Topic{} // [] rather than null
	}
	writeJSON(w, http.StatusOK, page)
}

// pageLimit reads how many entries a page is to have: usual without the parameter, at most `most`.
func pageLimit(params map[string]string, usual, most int) (int, *Problem) {
	value, ok := params["limit"]
	if !ok {
		return usual, nil
	}
	limit, err := strconv.Atoi(value)
	if err != nil || limit < 1 || limit > most {
		return 0, NewProblem(http.StatusBadRequest, "bad_limit", fmt.Sprintf("limit has to be 1 to %d, not %s", most, quoted(value)))
	}
	return limit, nil
}

func (a *api) showTopic(w http.ResponseWriter, r *http.Request, name string) {
	problem := checkTopic(name)
	if problem == nil {
		_, problem = query(r)
	}
	if problem != nil {
		problem.Write(w)
		return
	}
	topic, ok := a.node.Topic(name)
	if !ok {
		detail := "nobody is subscribed to " + quoted(name)
		if len(topic.Missing) > 0 {
			detail += ", but not all were asked: " + strings.Join(topic.Missing, "; ")
		}
		NewProblem(http.StatusNotFound, "no_subscribers", detail).Write(w)
		return
	}
	writeJSON(w, http.StatusOK, topic)
}

// busiest answers with the topics that have the most subscribers. It has one page.
func (a *api) busiest(w http.ResponseWriter, prefix string, limit int, behind bool) {
	v, ok := a.node.(TopicRanker)
	if !ok || behind {
		NewProblem(http.StatusBadRequest, "bad_order", "order=subscribers has one page, and not every node knows it").Write(w)
		return
	}
	topics, missing := v.Busiest(prefix, limit)
	slices.SortFunc(topics, func(x, y Topic) int {
		return cmp.Or(cmp.Compare(y.Subscribers, x.Subscribers), strings.Compare(x.Name, y.Name))
	})
	page := topicPage{Topics: topics[:min(len(topics), limit)], Missing: missing}
	if page.Topics == nil {
		page.Topics = []Topic{}
	}
	writeJSON(w, http.StatusOK, page)
}
