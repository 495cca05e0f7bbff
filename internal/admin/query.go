// Reading a request's query, strictly.

package admin

import (
	"net/http"
	"net/url"
	"slices"
)

// query reads the query of a request that may have the named parameters, each once, and no others.
func query(r *http.Request, names ...string) (map[string]string, *Problem) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, NewProblem(http.StatusBadRequest, "bad_query", "the query is not well-formed: "+err.Error())
	}
	known := make(map[string]string, len(names))
	for name, value := range values {
		if !slices.Contains(names, name) {
			return nil, NewProblem(http.StatusBadRequest, "unknown_parameter", "the query of this path has no parameter "+quoted(name))
		}
		if len(value) > 1 {
			return nil, NewProblem(http.StatusBadRequest, "repeated_parameter", "the parameter "+quoted(name)+" is given twice")
		}
		known[name] = value[0]
	}
	return known, nil
}
