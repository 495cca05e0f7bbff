// GET /v1/openapi.json: the API as OpenAPI 3.1.

package admin

import (
	_ "embed" // the document is a file
	"net/http"
)

// openAPIDocument describes every route below /v1/. A test compares it with the table of routes,
// and one of package server calls each of its operations.
//
//go:embed openapi.json
var openAPIDocument []byte

func (a *api) openAPI(w http.ResponseWriter, r *http.Request, _ string) {
	if _, problem := query(r); problem != nil {
		problem.Write(w)
		return
	}
	writeBody(w, "application/json", http.StatusOK, openAPIDocument)
}
