// POST /v1/publish: one publish as a JSON object, or many as an array of them.

package admin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"strings"
	"unicode/utf8"

	"go.opentelemetry.io/otel/trace"

	"c100k/internal/spans"
)

// failed is an item's answer where it did not succeed.
type failed struct {
	Error *Problem `json:"error"`
}

func (a *api) publish(w http.ResponseWriter, r *http.Request, _ string) {
	problem := jsonBody(r)
	if problem == nil {
		_, problem = query(r)
	}
	if problem != nil {
		problem.Write(w)
		return
	}
	body, problem := readBody(w, r, a.publishBytesMax)
	if problem != nil {
		problem.Write(w)
		return
	}
	defer releaseBody(body)
	p, problem := parsePublish(body.Bytes(), a.messageBytesMax)
	if problem != nil {
		problem.Write(w)
		return
	}
	judgeItems(r, p.items)
	answers := a.publishItems(p.items, spans.Parent(r.Header))
	if p.array {
		writeJSON(w, http.StatusOK, answers)
		return
	}
	if f, ok := answers[0].(failed); ok {
		f.Error.Write(w)
		return
	}
	writeJSON(w, http.StatusOK, answers[0])
}

// jsonBody lets through what people send JSON as: curl -d says it is a form.
func jsonBody(r *http.Request) *Problem {
	value := r.Header.Get("Content-Type")
	if value == "" {
		return nil
	}
	media, _, err := mime.ParseMediaType(value)
	switch {
	case err == nil && (media == "application/json" || media == "application/x-www-form-urlencoded" || media == "text/plain"):
		return nil
	case err == nil && strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+json"):
		return nil
	}
	return NewProblem(http.StatusUnsupportedMediaType, "content_type", "the body has to be application/json, not "+quoted(value))
}

// publishItems publishes all items, in their order, and returns an answer for each when all of them
// are known. parent is the trace that they belong to.
func (a *api) publishItems(items []item, parent trace.SpanContext) []any {
	counts := make([]count, len(items))
	answers := make([]any, len(items))
	firsts := make([]*keyed, len(items))
	again := make([]bool, len(items))
	for i := range items {
		if firsts[i], again[i] = a.keys.take(&items[i]); again[i] {
			continue
		}
		if problem := a.publishItem(&items[i], &counts[i], parent); problem != nil {
			answers[i] = failed{problem}
			a.keys.fail(&items[i], firsts[i], answers[i])
		}
	}
	for i := range answers {
		switch first := firsts[i]; {
		case answers[i] != nil:
		case again[i]:
			answers[i] = first.wait()
		default:
			sum, err := counts[i].wait()
			if err != nil {
				answers[i] = failed{notPublished(err)}
				a.keys.fail(&items[i], first, answers[i])
				continue
			}
			answers[i] = sum
			if first != nil {
				first.settle(sum)
			}
		}
	}
	return answers
}

// publishItem publishes an item to each of its topics, in their order. The problem says why it did
// not.
func (a *api) publishItem(it *item, c *count, parent trace.SpanContext) *Problem {
	if it.problem != nil {
		return it.problem
	}
	for i, topic := range it.topics {
		c.waiting.Add(1)
		add := func(r Outcome) { c.add(topic, len(it.topics) > 1, r) }
		p := Publication{Topic: topic, Kind: it.kind, Payload: it.payload, Key: it.key, Parent: parent}
		if it.from != nil {
			p.From = it.from(topic)
		}
		if err := a.publishLater(p, add); err != nil {
			c.waiting.Done()
			problem := notPublished(err)
			if i > 0 {
				problem.Detail += fmt.Sprintf("; it was published to the first %d of %d topics", i, len(it.topics))
			}
			return problem
		}
	}
	return nil
}

// publication is a parsed body of POST /v1/publish.
type publication struct {
	items []item
	array bool // the answer is an array too
}

// parsePublish parses a body. A problem with the whole of it comes back as such, and nothing is
// published; one with an item is left in the item. Payloads are copies: body may be overwritten
// afterwards.
func parsePublish(body []byte, messageBytesMax int) (publication, *Problem) {
	if problem := checkJSON(body); problem != nil {
		return publication{}, problem
	}
	value := bytes.TrimSpace(body)
	switch value[0] {
	case '{':
		return publication{items: []item{parseItem(value, messageBytesMax)}}, nil
	case '[':
		return parseItems(value, messageBytesMax)
	}
	return publication{}, NewProblem(http.StatusBadRequest, "bad_shape", "the body has to be an object, or an array of objects")
}

func parseItems(array []byte, messageBytesMax int) (publication, *Problem) {
	p := publication{array: true}
	topics := 0
	for element := range elements(array) {
		if len(p.items) == PublishItemsMax {
			return publication{}, NewProblem(http.StatusRequestEntityTooLarge, "too_many_items",
				fmt.Sprintf("the array has more than %d items", PublishItemsMax))
		}
		it := parseItem(element, messageBytesMax)
		topics += len(it.topics)
		if topics > PublishTopicsMax {
			return publication{}, NewProblem(http.StatusRequestEntityTooLarge, "too_many_topics",
				fmt.Sprintf("the items have more than %d topics together", PublishTopicsMax))
		}
		p.items = append(p.items, it)
	}
	return p, nil
}

// unquote is a JSON string's text. A lone surrogate, which JSON's grammar lets pass but UTF-8
// cannot hold, is an error rather than a question mark.
func unquote(value []byte) (string, bool) {
	if value[0] != '"' || loneSurrogate(value) {
		return "", false
	}
	var s string
	return s, json.Unmarshal(value, &s) == nil && utf8.ValidString(s)
}
