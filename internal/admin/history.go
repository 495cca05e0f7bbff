// GET and DELETE /v1/topics/{topic}/history: what is kept of a topic.

package admin

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"c100k/broadcast"
	"c100k/internal/history"
)

// Historian is a Node that keeps messages. Without it no topic has a history.
type Historian interface {
	// History returns at most `most` kept messages of a topic: those behind a position, oldest first,
	// or with reverse those before it, newest first. A zero position is the beginning, or the end. The
	// error is history.ErrNoHistory if nothing is kept of topics of that name; of another the text
	// goes to the caller, with status 503.
	History(topic string, after broadcast.Position, most int, reverse bool) (history.Page, error)

	// ForgetHistory forgets what is kept of a topic. The error is as that of History.
	ForgetHistory(topic string) error
}

// historyPage is the answer of GET /v1/topics/{topic}/history.
type historyPage struct {
	Topic    string           `json:"topic"`
	Messages []historyMessage `json:"messages"`
	// Newest is the position of the topic's last message; absent where there was none.
	Newest string `json:"newest,omitempty"`
	// Next is "after" of the next page; absent on the last one.
	Next string `json:"next,omitempty"`
}

type historyMessage struct {
	Data       json.RawMessage `json:"data,omitempty"`
	DataBase64 string          `json:"data_base64,omitempty"`
	Offset     string          `json:"offset"`
	Published  time.Time       `json:"published"`
}

func (a *api) showHistory(w http.ResponseWriter, r *http.Request, name string) {
	problem := checkTopic(name)
	var params map[string]string
	if problem == nil {
		params, problem = query(r, "after", "limit", "reverse")
	}
	var limit int
	var reverse bool
	var after broadcast.Position
	if problem == nil {
		limit, reverse, after, problem = historyParams(params)
	}
	if problem != nil {
		problem.Write(w)
		return
	}
	node, ok := a.node.(Historian)
	kept, err := history.Page{}, history.ErrNoHistory
	if ok {
		kept, err = node.History(name, after, limit, reverse)
	}
	if err != nil {
		historyProblem(name, err).Write(w)
		return
	}
	if after != (broadcast.Position{}) && after.Epoch != kept.Newest.Epoch {
		NewProblem(http.StatusGone, "reset", "the position "+quoted(params["after"])+" is of another epoch than the topic's: begin without after").Write(w)
		return
	}
	page := historyPage{Topic: name, Messages: make([]historyMessage, len(kept.Messages))}
	for i := range kept.Messages {
		page.Messages[i] = historyMessageOf(&kept.Messages[i])
	}
	if kept.Newest != (broadcast.Position{}) {
		page.Newest = history.FormatPosition(kept.Newest)
	}
	if kept.More {
		page.Next = page.Messages[len(page.Messages)-1].Offset
	}
	writeJSON(w, http.StatusOK, page)
}

func historyParams(params map[string]string) (limit int, reverse bool, after broadcast.Position, problem *Problem) {
	if limit, problem = pageLimit(params, HistoryPage, HistoryPageMax); problem != nil {
		return 0, false, after, problem
	}
	switch text, ok := params["reverse"]; {
	case !ok, text == "false", text == "0":
	case text == "", text == "true", text == "1":
		reverse = true
	default:
		return 0, false, after, NewProblem(http.StatusBadRequest, "bad_reverse", "reverse has to be true or false, not "+quoted(text))
	}
	if text, ok := params["after"]; ok {
		var err error
		if after, err = history.ParsePosition(text); err != nil {
			return 0, false, after, NewProblem(http.StatusBadRequest, "bad_position", err.Error()+", not "+quoted(text))
		}
	}
	return limit, reverse, after, nil
}

func historyMessageOf(m *history.Stored) historyMessage {
	h := historyMessage{Offset: history.FormatPosition(m.Position), Published: m.Published.UTC().Truncate(time.Millisecond)}
	switch m.Kind {
	case broadcast.JSON:
		h.Data = m.Payload
	case broadcast.Text:
		h.Data, _ = json.Marshal(string(m.Payload)) // text is valid UTF-8
	default:
		h.DataBase64 = base64.StdEncoding.EncodeToString(m.Payload)
	}
	return h
}

func (a *api) deleteHistory(w http.ResponseWriter, r *http.Request, name string) {
	problem := checkTopic(name)
	if problem == nil {
		_, problem = query(r)
	}
	if problem != nil {
		problem.Write(w)
		return
	}
	node, ok := a.node.(Historian)
	err := history.ErrNoHistory
	if ok {
		err = node.ForgetHistory(name)
	}
	if err != nil {
		historyProblem(name, err).Write(w)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func historyProblem(topic string, err error) *Problem {
	if !errors.Is(err, history.ErrNoHistory) {
		return unavailable(err)
	}
	return NewProblem(http.StatusNotFound, "no_history", "nothing is kept of "+quoted(topic)+": no --history pattern matches it")
}
