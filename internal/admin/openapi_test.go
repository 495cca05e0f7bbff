package admin

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var parameter = regexp.MustCompile(`\{[a-z]+\}`)

// Each route below /v1/ has its operations in the document, and the document has no others.
func TestOpenAPIHasTheRoutes(t *testing.T) {
	var document struct {
		Paths map[string]map[string]json.RawMessage
	}
	if err := json.Unmarshal(openAPIDocument, &document); err != nil {
		t.Fatal(err)
	}
	described := map[string]bool{}
	for path, item := range document.Paths {
		for method := range item {
			if method != "parameters" {
				described[method+" "+parameter.ReplaceAllString(strings.TrimPrefix(path, "/"), "*")] = true
			}
		}
	}
	routes := map[string]bool{}
	for _, r := range newAPI(Config{Node: &fakeNode{}}, true).routes {
		path := strings.Join(r.pattern, "/")
		for method, serve := range map[string]answer{"get": r.get, "post": r.post, "delete": r.delete} {
			if serve != nil {
				routes[method+" "+path] = true
			}
		}
	}
	if !maps.Equal(described, routes) {
		t.Errorf("the document has\n%v\nthe routes are\n%v", slices.Sorted(maps.Keys(described)), slices.Sorted(maps.Keys(routes)))
	}
}
