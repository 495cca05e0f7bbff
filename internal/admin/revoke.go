// Revocations, and the connections of a user: POST, GET and DELETE /v1/revocations, and DELETE
// /v1/users/{sub}/connections.

package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"c100k/internal/auth"
)

// Revoker is a Node that knows users. Its methods are called on any goroutine; an error goes to the
// caller, with status 503.
type Revoker interface {
	// Revoke refuses tokens, and closes the connections that have them, on all nodes.
	Revoke(list []auth.Revocation) error

	// Revocations lists those that hold, by id: at most so many behind after.
	Revocations(after string, most int) ([]auth.Revocation, error)

	// Unrevoke takes one back, on all nodes, and tells whether there was one.
	Unrevoke(id string) (found bool, err error)

	// CloseUser closes the connections of a subject, on all nodes.
	CloseUser(sub string) error
}

// revoker is the node as one that knows users; nil, with the answer given, if it is none.
func (a *api) revoker(w http.ResponseWriter) Revoker {
	v, ok := a.node.(Revoker)
	if !ok {
		NewProblem(http.StatusNotFound, "no_such_path", "this node knows no users").Write(w)
	}
	return v
}

func (a *api) revoke(w http.ResponseWriter, r *http.Request, _ string) {
	if _, problem := query(r); problem != nil {
		problem.Write(w)
		return
	}
	body, problem := readBody(w, r, RevokeBytesMax)
	if problem != nil {
		problem.Write(w)
		return
	}
	defer releaseBody(body)
	list, many, err := readRevocations(body.Bytes())
	for i := range list {
		if err == nil {
			err = list[i].Check(time.Now())
		}
	}
	if err != nil {
		NewProblem(http.StatusBadRequest, "bad_revocation", err.Error()).Write(w)
		return
	}
	v := a.revoker(w)
	if v == nil {
		return
	}
	if err := v.Revoke(list); err != nil {
		unavailable(err).Write(w)
		return
	}
	a.log.Info("tokens revoked on demand", "count", len(list), "peer", r.RemoteAddr)
	if many {
		writeJSON(w, http.StatusOK, list)
	} else {
		writeJSON(w, http.StatusOK, list[0])
	}
}

// readRevocations reads one, or an array.
func readRevocations(p []byte) (list []auth.Revocation, many bool, err error) {
	p = bytes.TrimSpace(p)
	many = len(p) > 0 && p[0] == '['
	if !many {
		p = append(append([]byte{'['}, p...), ']')
	}
	d := json.NewDecoder(bytes.NewReader(p))
	d.DisallowUnknownFields()
	if err := d.Decode(&list); err != nil {
		return nil, many, errors.New(`want {"sub":"u17"}, {"jti":"a1"}, or {"sub":"u17","issued_before":UNIX}, or an array of them: ` + err.Error())
	}
	if len(list) == 0 || len(list) > RevokeMax {
		return nil, many, errors.New("an array has 1 to 20000 revocations")
	}
	return list, many, nil
}

func (a *api) revocations(w http.ResponseWriter, r *http.Request, _ string) {
	q, problem := query(r, "after")
	if problem != nil {
		problem.Write(w)
		return
	}
	v := a.revoker(w)
	if v == nil {
		return
	}
	list, err := v.Revocations(q["after"], RevocationsPage+1)
	if err != nil {
		unavailable(err).Write(w)
		return
	}
	answer := struct {
		Revocations []auth.Revocation `json:"revocations"`
		Next        string            `json:"next,omitempty"` // what after is for the next page
	}{Revocations: list}
	if len(list) > RevocationsPage {
		answer.Revocations, answer.Next = list[:RevocationsPage], list[RevocationsPage-1].ID
	}
	writeJSON(w, http.StatusOK, answer)
}

func (a *api) unrevoke(w http.ResponseWriter, r *http.Request, id string) {
	v := a.revoker(w)
	if v == nil {
		return
	}
	found, err := v.Unrevoke(id)
	switch {
	case err != nil:
		unavailable(err).Write(w)
	case !found:
		NewProblem(http.StatusNotFound, "no_such_revocation", "there is no revocation "+quoted(id)).Write(w)
	default:
		a.log.Info("revocation taken back on demand", "id", id, "peer", r.RemoteAddr)
		w.WriteHeader(http.StatusNoContent)
	}
}

func (a *api) closeUser(w http.ResponseWriter, r *http.Request, sub string) {
	if len(sub) > auth.SubjectBytesMax || sub == "" {
		NewProblem(http.StatusBadRequest, "bad_subject", auth.ErrSubject.Error()).Write(w)
		return
	}
	v := a.revoker(w)
	if v == nil {
		return
	}
	if err := v.CloseUser(sub); err != nil {
		unavailable(err).Write(w)
		return
	}
	a.log.Info("connections of a user closed on demand", "sub", sub, "peer", r.RemoteAddr)
	w.WriteHeader(http.StatusNoContent)
}
