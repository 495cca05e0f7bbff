// The dashboard: its files, and how a page from another machine logs in.

package admin

import (
	"embed"
	"encoding/json"
	"mime"
	"net/http"
	"strings"

	"c100k/loadgen/report/uplot"
)

//go:embed ui
var dashboardFiles embed.FS

// dashboardPolicy lets the pages load what this node serves, and nothing else; nobody may frame
// them.
const dashboardPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// dashboardRoutes are open to any peer: the files have nothing of the node in them, and what they
// ask for is not open.
func (a *api) dashboardRoutes() []route {
	return []route{
		{pattern: path(""), get: a.dashboardFile, open: true},
		{pattern: path("ui/session"), get: a.showSession, open: true},
		{pattern: path("ui/login"), post: a.login, open: true},
		{pattern: path("ui/logout"), post: a.logout, open: true},
		{pattern: path("ui/*"), get: a.dashboardFile, open: true},
	}
}

// dashboardFile answers with a file of the dashboard.
func (a *api) dashboardFile(w http.ResponseWriter, r *http.Request, name string) {
	var text []byte
	switch name {
	case "":
		if r.URL.Path == "/" {
			name = "index.html"
		}
	case "uplot.js":
		text = []byte(uplot.Script)
	case "uplot.css":
		text = []byte(uplot.Style)
	}
	if text == nil {
		var err error
		if text, err = dashboardFiles.ReadFile("ui/" + name); err != nil {
			notFound([]string{"ui", name}).Write(w)
			return
		}
	}
	h := w.Header()
	h.Set("Content-Security-Policy", dashboardPolicy)
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	writeBody(w, mime.TypeByExtension(name[strings.LastIndexByte(name, '.'):]), http.StatusOK, text)
}

// showSession tells a page what it may do: role is "full", "read" or "none"; csrf is what its
// requests have to bring if it has logged in.
func (a *api) showSession(w http.ResponseWriter, r *http.Request, _ string) {
	may, problem := a.access.judge(r)
	answer := struct {
		Role string `json:"role"`
		CSRF string `json:"csrf"`
	}{Role: may.String()}
	if problem != nil && problem.Status == http.StatusForbidden {
		problem.Write(w) // a page of another site, or a node without a key: a login does not help
		return
	}
	if s := a.access.session(r); s != nil {
		answer.CSRF = s.csrf
	}
	writeJSON(w, http.StatusOK, answer)
}

// login makes a session for who knows a key. A form of another site cannot send this media type
// without a preflight, which is refused.
func (a *api) login(w http.ResponseWriter, r *http.Request, _ string) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		refuse(w, r, NewProblem(http.StatusUnsupportedMediaType, "content_type", "a login is application/json"))
		return
	}
	if origins := r.Header.Values("Origin"); len(origins) > 0 && !a.access.originAllowed(origins, r.Host) {
		refuse(w, r, NewProblem(http.StatusForbidden, "foreign_origin", "Origin "+quoted(strings.Join(origins, ", "))+" may not log in here"))
		return
	}
	body, problem := readBody(w, r, bodyIgnoredBytesMax)
	if problem != nil {
		refuse(w, r, problem)
		return
	}
	defer releaseBody(body)
	var sent struct {
		Key string `json:"key"`
	}
	if json.Unmarshal(body.Bytes(), &sent) != nil {
		NewProblem(http.StatusBadRequest, "bad_json", `a login is {"key":"…"}`).Write(w)
		return
	}
	may, problem := a.access.tryKey(r, sent.Key)
	if problem != nil {
		problem.Write(w)
		return
	}
	s := a.access.sessions.begin(may, sent.Key)
	http.SetCookie(w, &http.Cookie{Name: sessionCookie, Value: s.id, Path: "/", HttpOnly: true, Secure: r.TLS != nil,
		SameSite: http.SameSiteStrictMode, MaxAge: int(SessionAge.Seconds())})
	a.log.Info("log-in to the dashboard", "role", may.String(), "peer", r.RemoteAddr)
	w.WriteHeader(http.StatusNoContent)
}

// logout ends the session of the page.
func (a *api) logout(w http.ResponseWriter, r *http.Request, _ string) {
	if s := a.access.session(r); s != nil && s.mayChange(r) {
		a.access.sessions.end(s)
	}
	http.SetCookie(w, &http.Cookie{Name: sessionCookie, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode, MaxAge: -1})
	w.WriteHeader(http.StatusNoContent)
}
