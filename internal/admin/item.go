// One item of a publish: {"topic":…, "data":…} in its forms.

package admin

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"

	"c100k/broadcast"
)

// item is one parsed item; where problem is set, nothing else counts.
type item struct {
	topics  []string
	kind    broadcast.Kind
	payload []byte
	key     string                    // Idempotency-Key; empty: none
	from    func(topic string) string // Publication.From; nil: nothing
	problem *Problem
}

// itemFields are an item's members as they stand in the body, nil where absent.
type itemFields struct {
	topic, topics, data, dataBase64, key []byte
}

func parseItem(value []byte, messageBytesMax int) item {
	fields, problem := splitItem(value)
	var it item
	if problem == nil {
		it.topics, problem = itemTopics(&fields)
	}
	if problem == nil {
		it.kind, it.payload, problem = itemPayload(&fields)
	}
	if problem == nil && fields.key != nil {
		it.key, problem = itemKey(fields.key)
	}
	if problem == nil && len(it.payload) > messageBytesMax {
		problem = NewProblem(http.StatusRequestEntityTooLarge, "too_large", fmt.Sprintf("the message is larger than %d bytes", messageBytesMax))
	}
	if problem != nil {
		return item{problem: problem}
	}
	return it
}

// splitItem takes an object apart. Keys are compared exactly: encoding/json would take "TOPIC" too,
// and the last of two "topic".
func splitItem(value []byte) (f itemFields, problem *Problem) {
	if value[0] != '{' {
		return f, badItem("an item has to be an object")
	}
	for key, member := range members(value) {
		name, _ := unquote(key)
		field := f.field(name)
		if field == nil {
			return f, badItem("unknown key " + quoted(name) + "; the keys are topic, topics, data, data_base64 and key")
		}
		if *field != nil {
			return f, badItem("the key " + quoted(name) + " is there twice")
		}
		*field = member
	}
	return f, nil
}

func (f *itemFields) field(name string) *[]byte {
	switch name {
	case "topic":
		return &f.topic
	case "topics":
		return &f.topics
	case "data":
		return &f.data
	case "data_base64":
		return &f.dataBase64
	case "key":
		return &f.key
	}
	return nil
}

func itemTopics(f *itemFields) ([]string, *Problem) {
	if (f.topic == nil) == (f.topics == nil) {
		return nil, badItem(`an item has to have either "topic" or "topics"`)
	}
	if f.topic != nil {
		topic, problem := itemTopic(f.topic)
		return []string{topic}, problem
	}
	if f.topics[0] != '[' {
		return nil, badItem(`"topics" has to be an array of strings`)
	}
	var topics []string
	for element := range elements(f.topics) {
		if len(topics) == PublishTopicsMax {
			return nil, badItem(fmt.Sprintf(`"topics" has more than %d topics`, PublishTopicsMax))
		}
		topic, problem := itemTopic(element)
		if problem != nil {
			return nil, problem
		}
		topics = append(topics, topic)
	}
	if len(topics) == 0 {
		return nil, badItem(`"topics" is empty`)
	}
	return topics, nil
}

func itemTopic(value []byte) (string, *Problem) {
	topic, ok := unquote(value)
	if !ok {
		return "", NewProblem(http.StatusBadRequest, "bad_topic", "a topic has to be a string of valid Unicode")
	}
	return topic, checkPublished(topic)
}

// itemPayload is the message: a string goes out as text, without its quotes, so that a bare
// subscriber gets what curl -d would have sent; every other value as JSON; data_base64 as bytes.
func itemPayload(f *itemFields) (broadcast.Kind, []byte, *Problem) {
	switch {
	case (f.data == nil) == (f.dataBase64 == nil):
		return 0, nil, badItem(`an item has to have either "data" or "data_base64"`)
	case f.dataBase64 != nil:
		text, ok := unquote(f.dataBase64)
		payload, err := base64.StdEncoding.Strict().DecodeString(text)
		if !ok || err != nil {
			return 0, nil, badItem(`"data_base64" has to be a string of base64 (RFC 4648, section 4, with padding)`)
		}
		return broadcast.Binary, payload, nil
	case f.data[0] == '"':
		text, ok := unquote(f.data)
		if !ok {
			return 0, nil, badItem(`"data" has a lone surrogate, which is not text`)
		}
		return broadcast.Text, []byte(text), nil
	}
	// Indentation is the publisher's; ten thousand subscribers need not get it.
	var compact bytes.Buffer
	compact.Grow(len(f.data))
	if err := json.Compact(&compact, f.data); err != nil {
		return 0, nil, badItem(`"data" is not JSON: ` + err.Error())
	}
	return broadcast.JSON, bytes.Clone(compact.Bytes()), nil
}

func badItem(detail string) *Problem {
	return NewProblem(http.StatusBadRequest, "bad_item", detail)
}
