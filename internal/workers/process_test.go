// Requests of a worker, and requests of clients that come over its link.

package workers

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestOrdersAreForWorkersAlone: no path that a client can send (all begin with /v1/) reaches the
// requests of workers.
func TestOrdersAreForWorkersAlone(t *testing.T) {
	orders := func() *Orders {
		t.Error("somebody has got the orders")
		return new(Orders)
	}
	challenge := func(http.ResponseWriter, *http.Request) { t.Error("somebody has got a challenge") }
	for _, path := range []string{
		"/v1/../worker/challenge", "/v1/../worker/orders", "/v1//../worker/orders", "/v1/./../worker/orders", "/v1/%2e%2e/worker/orders", "/v1/%2E./worker/orders",
		"/v1/../worker/serving", "/v1/topics/..", "/v1/topics/../../worker/orders",
	} {
		passed := false
		p := &process{serving: make(chan struct{})}
		h := p.handler(orders, challenge, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { passed = true }))
		answer := httptest.NewRecorder()
		h.ServeHTTP(answer, httptest.NewRequest("GET", path, nil))
		if !passed {
			t.Errorf("%s: %d to %q, and not the API's", path, answer.Code, answer.Header().Get("Location"))
		}
	}
}
