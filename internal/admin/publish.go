// POST /v1/topics/{topic}: the body is the payload.

package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"strings"
	"sync"
	"unicode/utf8"

	"c100k/broadcast"
	"c100k/internal/history"
	"c100k/internal/presence"
	"c100k/internal/spans"
)

// published is the answer to a publish.
type published struct {
	Matched int `json:"matched"` // subscribers of the topic
	Queued  int `json:"queued"`  // of them, those for whom it was accepted
	Dropped int `json:"dropped"` // of them, those it was dropped for
	// Partial says that not all nodes were reached, or not in time, and NodesUnreached how many of
	// those that are known; absent otherwise.
	Partial        bool `json:"partial,omitempty"`
	NodesUnreached int  `json:"nodes_unreached,omitempty"`
	// Offset is the position of the message in a topic with history, and Offsets are those of an item
	// with several topics. Durable says what has the message now: memory, file, or replicated.
	Offset  string            `json:"offset,omitempty"`
	Offsets map[string]string `json:"offsets,omitempty"`
	Durable string            `json:"durable,omitempty"`
}

func (a *api) publishTopic(w http.ResponseWriter, r *http.Request, topic string) {
	if problem := checkPublished(topic); problem != nil {
		problem.Write(w)
		return
	}
	if _, problem := query(r); problem != nil {
		problem.Write(w)
		return
	}
	body, problem := readBody(w, r, a.messageBytesMax)
	if problem != nil {
		problem.Write(w)
		return
	}
	defer releaseBody(body)
	kind, problem := payloadKind(r.Header.Values("Content-Type"), body.Bytes())
	if problem != nil {
		problem.Write(w)
		return
	}
	it := item{topics: []string{topic}, kind: kind, payload: bytes.Clone(body.Bytes())}
	if it.key, problem = idempotencyKey(r.Header.Values("Idempotency-Key")); problem != nil {
		problem.Write(w)
		return
	}
	items := []item{it}
	judgeItems(r, items)
	answers := a.publishItems(items, spans.Parent(r.Header))
	if f, ok := answers[0].(failed); ok {
		f.Error.Write(w)
		return
	}
	writeJSON(w, http.StatusOK, answers[0])
}

// checkPublished is checkTopic for a publish: watchers of members take what comes for the node's
// own words.
func checkPublished(topic string) *Problem {
	if presence.Hidden(topic) {
		return NewProblem(http.StatusBadRequest, "bad_topic", "topics that begin with "+presence.WatchPrefix+" say who is in a topic, and only the node publishes to them")
	}
	return checkTopic(topic)
}

func checkTopic(topic string) *Problem {
	if err := broadcast.ValidTopic(topic); err != nil {
		return NewProblem(http.StatusBadRequest, "bad_topic", err.Error())
	}
	return nil
}

// unavailable is the answer where the node takes no messages.
func unavailable(err error) *Problem {
	return NewProblem(http.StatusServiceUnavailable, "unavailable", err.Error())
}

// notPublished is the answer to a publish that has failed.
func notPublished(err error) *Problem {
	switch {
	case errors.Is(err, history.ErrTooLarge):
		return NewProblem(http.StatusRequestEntityTooLarge, "too_large", err.Error())
	}
	return unavailable(err)
}

// payloadKind says what a body is, by its Content-Type, and checks that it is that.
func payloadKind(contentType []string, body []byte) (broadcast.Kind, *Problem) {
	// curl -d says application/x-www-form-urlencoded unless told otherwise, and a plain curl -d hello
	// has to arrive as the text "hello".
	media, charset := "application/x-www-form-urlencoded", ""
	if len(contentType) > 0 {
		var params map[string]string
		var err error
		media, params, err = mime.ParseMediaType(contentType[0])
		if err != nil || len(contentType) > 1 {
			return 0, NewProblem(http.StatusBadRequest, "bad_content_type", "Content-Type "+quoted(strings.Join(contentType, ", "))+" is not a media type")
		}
		charset = params["charset"]
	}
	switch {
	case media == "application/json":
		return broadcast.JSON, checkJSON(body)
	case strings.HasPrefix(media, "text/"):
		return broadcast.Text, checkText(charset, body)
	case media == "application/x-www-form-urlencoded" && utf8.Valid(body):
		return broadcast.Text, nil
	}
	return broadcast.Binary, nil
}

func checkText(charset string, body []byte) *Problem {
	switch strings.ToLower(charset) {
	case "", "utf-8", "utf8", "us-ascii":
	default:
		return NewProblem(http.StatusUnsupportedMediaType, "charset", "text has to be UTF-8, not "+quoted(charset))
	}
	// A text frame with anything else would end every subscriber's connection (RFC 6455, 8.1).
	if !utf8.Valid(body) {
		return NewProblem(http.StatusBadRequest, "not_utf8", "the body is not valid UTF-8; send bytes as application/octet-stream")
	}
	return nil
}

// checkJSON wants one JSON value in valid UTF-8. json.Valid alone lets invalid bytes within strings
// pass.
func checkJSON(body []byte) *Problem {
	if !utf8.Valid(body) {
		return NewProblem(http.StatusBadRequest, "not_utf8", "the body is not valid UTF-8, which JSON has to be")
	}
	if !json.Valid(body) {
		return NewProblem(http.StatusBadRequest, "bad_json", "the body is not a JSON value: "+jsonFault(body))
	}
	return nil
}

// jsonFault says what is wrong with a body that json.Valid has rejected.
func jsonFault(body []byte) string {
	var raw json.RawMessage
	if err := json.Unmarshal(body, &raw); err != nil {
		return err.Error()
	}
	return "it does not end where it should"
}

// count sums up the results of one item's publishes.
type count struct {
	waiting sync.WaitGroup // results that have not come

	mu  sync.Mutex // guards the fields below
	sum published
	err error // the first, of a topic to which the item was not published
}

// add adds the outcome for one topic of an item; several says that the item has more than one. Any
// goroutine.
func (c *count) add(topic string, several bool, r Outcome) {
	defer c.waiting.Done()
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.Err != nil {
		if c.err == nil {
			c.err = r.Err
		}
		return
	}
	if r.Position != (broadcast.Position{}) {
		offset := history.FormatPosition(r.Position)
		if several {
			if c.sum.Offsets == nil {
				c.sum.Offsets = map[string]string{}
			}
			c.sum.Offsets[topic] = offset
		} else {
			c.sum.Offset = offset
		}
		c.sum.Durable = r.Durable
	}
	c.sum.Partial = c.sum.Partial || r.Partial
	c.sum.NodesUnreached = max(c.sum.NodesUnreached, r.Unreached)
	c.sum.Matched += r.Matched
	c.sum.Queued += r.Queued
	c.sum.Dropped += r.Dropped
}

// wait returns the sum when all results have come, or why the item was not published to each of its
// topics.
func (c *count) wait() (published, error) {
	c.waiting.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sum, c.err
}

// later is how a node is published to: its own PublishLater, or its Publish, whose result is there
// at once.
func later(n Node) func(Publication, func(Outcome)) error {
	if p, ok := n.(LatePublisher); ok {
		return p.PublishLater
	}
	return func(p Publication, done func(Outcome)) error {
		result, err := n.Publish(p.Topic, p.Kind, p.Payload)
		if err == nil {
			done(Outcome{Result: result})
		}
		return err
	}
}
