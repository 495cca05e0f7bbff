package admin

import (
	"errors"
	"io"
	"net/http/httptest"
	"os"
	"testing"

	"c100k/internal/edge"
)

// A body that comes too slowly is not a malformed one.
func TestSlowBodies(t *testing.T) {
	for _, tt := range []struct {
		err    error
		status int
	}{
		{edge.RefuseBodyTimeout, 408}, {os.ErrDeadlineExceeded, 408},
		{io.ErrUnexpectedEOF, 400}, {errors.New("connection reset"), 400}, {edge.RefuseHost, 400},
	} {
		r := httptest.NewRequest("POST", "/v1/topics/a", broken{tt.err})
		if _, problem := readBody(httptest.NewRecorder(), r, 100); problem == nil || problem.Status != tt.status {
			t.Errorf("%v: %+v, want %d", tt.err, problem, tt.status)
		}
	}
}

// broken is a body that ends with an error.
type broken struct{ err error }

func (b broken) Read([]byte) (int, error) { return 0, b.err }
