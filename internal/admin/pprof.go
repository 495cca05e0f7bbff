// /debug/pprof/: net/http/pprof on our own routes.

package admin

import (
	"net/http"
	"net/http/pprof"
)

// servePprof serves the profiles of this process, or of that which the request asks for.
func (a *api) servePprof(w http.ResponseWriter, r *http.Request, profile string) {
	if a.pprof != nil {
		handler, problem := a.pprof(r)
		if problem != nil {
			problem.Write(w)
			return
		}
		if handler != nil {
			handler.ServeHTTP(w, r)
			return
		}
	}
	ownPprof(w, r, profile)
}

// ownPprof is what the init function of net/http/pprof mounts on http.DefaultServeMux, which
// nothing of ours serves.
func ownPprof(w http.ResponseWriter, r *http.Request, profile string) {
	w.Header().Del("X-Content-Type-Options") // pprof's own pages and errors set what they need
	switch profile {
	case "cmdline":
		pprof.Cmdline(w, r)
	case "profile":
		pprof.Profile(w, r)
	case "symbol":
		pprof.Symbol(w, r)
	case "trace":
		pprof.Trace(w, r)
	default:
		pprof.Index(w, r) // the list, and every named profile
	}
}

func redirectPprof(w http.ResponseWriter, r *http.Request, _ string) {
	http.Redirect(w, r, "/debug/pprof/", http.StatusMovedPermanently)
}
