// What an operator asks of a node: its state, its health, to let go.

package admin

import (
	"net/http"
	"strings"

	"c100k/internal/figures"
)

func (a *api) stats(w http.ResponseWriter, r *http.Request, _ string) {
	values, problem := query(r, "cluster")
	if problem != nil {
		problem.Write(w)
		return
	}
	switch values["cluster"] {
	case "", "0":
		writeJSON(w, http.StatusOK, a.node.Stats())
	case "1":
		a.statsOfAll(w)
	default:
		NewProblem(http.StatusBadRequest, "bad_query", "the parameter cluster is neither 0 nor 1").Write(w)
	}
}

// statsOfAll waits for the other nodes, a bounded time. A node that has none is alone.
func (a *api) statsOfAll(w http.ResponseWriter) {
	over := make(chan *figures.Nodes, 1)
	if all, ok := a.node.(NodesReader); ok {
		all.ReadNodes(func(n *figures.Nodes) { over <- n })
	} else {
		over <- figures.Alone("", a.node.Stats())
	}
	writeJSON(w, http.StatusOK, <-over)
}

func (a *api) closeConnection(w http.ResponseWriter, r *http.Request, arg string) {
	id, problem := connectionID(arg)
	if problem != nil {
		problem.Write(w)
		return
	}
	found, err := a.node.CloseConnection(id)
	if err != nil {
		unavailable(err).Write(w)
		return
	}
	if !found {
		NewProblem(http.StatusNotFound, "no_such_connection", "there is no connection "+id.String()+"; it may have closed").Write(w)
		return
	}
	a.log.Info("connection closed on demand", "conn", id.String(), "peer", r.RemoteAddr)
	w.WriteHeader(http.StatusNoContent)
}

func (a *api) drain(w http.ResponseWriter, r *http.Request, _ string) {
	if err := a.node.Drain(); err != nil {
		NewProblem(http.StatusConflict, "cannot_drain", err.Error()).Write(w)
		return
	}
	a.log.Info("drain on demand", "peer", r.RemoteAddr)
	writeJSON(w, http.StatusAccepted, struct {
		Draining bool `json:"draining"`
	}{true})
}

// healthz says that the process is there and serves HTTP; whether it wants connections is what
// readyz says.
func (a *api) healthz(w http.ResponseWriter, _ *http.Request, _ string) {
	writeBody(w, "text/plain; charset=utf-8", http.StatusOK, []byte("ok\n"))
}

func (a *api) readyz(w http.ResponseWriter, _ *http.Request, _ string) {
	remarks, err := a.node.Ready()
	if err != nil {
		NewProblem(http.StatusServiceUnavailable, "not_ready", err.Error()).Write(w)
		return
	}
	text := strings.Join(append([]string{"ok"}, remarks...), "\n") + "\n"
	writeBody(w, "text/plain; charset=utf-8", http.StatusOK, []byte(text))
}
