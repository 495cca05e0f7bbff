// The API as OpenAPI describes it: each operation is called on a node, and its requests and answers
// are held against the document.

package server

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
)

// described is a node with its description.
type described struct {
	s      *Server
	router routers.Router
	called map[string]bool // by operationId
}

func describe(t *testing.T, s *Server) *described {
	t.Helper()
	status, text := api(t, s, "GET", "/v1/openapi.json", "")
	if status != 200 {
		t.Fatal(status)
	}
	document, err := openapi3.NewLoader().LoadFromData([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(document.OpenAPI, "3.1") {
		t.Errorf("OpenAPI %s", document.OpenAPI)
	}
	if err := document.Validate(t.Context()); err != nil {
		t.Error(err)
	}
	document.Servers = openapi3.Servers{{URL: "http://" + s.AdminAddr().String()}}
	router, err := gorillamux.NewRouter(document)
	if err != nil {
		t.Fatal(err)
	}
	d := &described{s: s, router: router, called: map[string]bool{}}
	t.Cleanup(func() {
		for path, item := range document.Paths.Map() {
			for method, operation := range item.Operations() {
				if !d.called[operation.OperationID] {
					t.Errorf("%s %s is not called", method, path)
				}
			}
		}
	})
	return d
}

// call makes a request; the document must allow it unless the answer is to be 400, and describe the
// answer.
func (d *described) call(t *testing.T, method, path, body, contentType string, want int) {
	t.Helper()
	ctx := t.Context()
	if strings.Contains(path, "/v1/trace") || strings.Contains(path, "/v1/figures") {
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		defer cancel()
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://"+d.s.AdminAddr().String()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", contentType)
	}
	route, params, err := d.router.FindRoute(r)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	d.called[route.Operation.OperationID] = true
	options := &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true}
	in := &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route, Options: options}
	if err := openapi3filter.ValidateRequest(ctx, in); err != nil && want != 400 {
		t.Errorf("%s %s: the request: %v", method, path, err)
	}
	r.Body = io.NopCloser(strings.NewReader(body))
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != want {
		t.Errorf("%s %s: %d, want %d", method, path, res.StatusCode, want)
	}
	var text []byte
	if res.Header.Get("Content-Type") != "text/event-stream" { // which does not end
		if text, err = io.ReadAll(res.Body); err != nil {
			t.Fatal(err)
		}
	}
	out := &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: res.StatusCode, Header: res.Header,
		Body: io.NopCloser(bytes.NewReader(text)), Options: options}
	if err := openapi3filter.ValidateResponse(ctx, out); err != nil {
		t.Errorf("%s %s: the answer %s: %v", method, path, text, err)
	}
}

func TestOpenAPI(t *testing.T) {
	openapi3filter.RegisterBodyDecoder("text/event-stream", openapi3filter.FileBodyDecoder)
	s := start(t, Config{Listen: "127.0.0.1:0", Admin: "127.0.0.1:0", Loops: 1, TokenKeys: []string{keyFile(t, tokenSecret)},
		PublicTopics: []string{"a"}, History: []string{"log.>=100,5m"}, Presence: []string{"room.>"}})
	d := describe(t, s)
	token := mint(t, "u1", time.Hour, lists{"subscribe": []string{"a"}, "publish": []string{"a"}}, "jti", "j1")
	dialWS(t, s.Addr().String(), "/ws?topic=a&access_token="+token)
	dialWS(t, s.Addr().String(), "/ws?topic=a")
	first := listed(t, s, "sub=u1").Connections[0].ID

	const text, document = "text/plain", "application/json"
	for _, c := range []struct {
		method, path, body, contentType string
		want                            int
	}{
		{"POST", "/v1/topics/log.a", "hello", text, 200},
		{"POST", "/v1/topics/log.a", `{"n":1}`, document, 200},
		{"POST", "/v1/topics/a", "{", document, 400},
		{"POST", "/v1/publish", `{"topics":["a","log.b"],"data":{"x":1}}`, document, 200},
		{"POST", "/v1/publish", `[{"topic":"a","data":"x"},{"data":1}]`, document, 200},
		{"POST", "/v1/publish", `5`, document, 400},
		{"GET", "/v1/topics?prefix=a&limit=10", "", "", 200},
		{"GET", "/v1/topics?limit=0", "", "", 400},
		{"GET", "/v1/topics/a", "", "", 200},
		{"GET", "/v1/topics/none", "", "", 404},
		{"GET", "/v1/topics/log.a/history?limit=1&reverse=true", "", "", 200},
		{"GET", "/v1/topics/a/history", "", "", 404},
		{"DELETE", "/v1/topics/log.a/history", "", "", 204},
		{"GET", "/v1/connections?sub=u1", "", "", 200},
		{"GET", "/v1/connections?limit=1&behind=0&address=127.0.0.1&topic=a", "", "", 200},
		{"GET", "/v1/connections?address=x", "", "", 400},
		{"GET", "/v1/connections/" + first, "", "", 200},
		{"GET", "/v1/connections/ffffffffffffffff", "", "", 404},
		{"GET", "/v1/trace?sub=u1&payload=1", "", "", 200},
		{"GET", "/v1/trace", "", "", 400},
		{"DELETE", "/v1/connections/" + first, "", "", 204},
		{"POST", "/v1/revocations", `{"jti":"j1"}`, document, 200},
		{"POST", "/v1/revocations", `[{"sub":"u9","issued_before":5}]`, document, 200},
		{"POST", "/v1/revocations", `{}`, document, 400},
		{"GET", "/v1/revocations", "", "", 200},
		{"DELETE", "/v1/revocations/none", "", "", 404},
		{"DELETE", "/v1/users/u1/connections", "", "", 204},
		{"GET", "/v1/topics/room.a/presence", "", "", 200},
		{"GET", "/v1/topics/a/presence", "", "", 404},
		{"GET", "/v1/stats", "", "", 200},
		{"GET", "/v1/figures", "", "", 200},
		{"GET", "/v1/topics?order=subscribers&limit=5", "", "", 200},
		{"GET", "/v1/topics?order=size", "", "", 400},
		{"GET", "/v1/openapi.json", "", "", 200},
	} {
		d.call(t, c.method, c.path, c.body, c.contentType, c.want)
	}
	eventually(t, "the end is kept", func() bool { return len(closesOf(t, s, "sub=u1")) == 1 })
	d.call(t, "GET", "/v1/connections/"+first, "", "", 200)
	d.call(t, "GET", "/v1/closes?reason=admin&since=1h", "", "", 200)
	d.call(t, "GET", "/v1/closes?reason=x", "", "", 400)
	d.call(t, "POST", "/v1/drain", "", "", 202)
}
