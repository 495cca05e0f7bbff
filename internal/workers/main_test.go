// The test program is the parent in the tests, and also its workers.

package workers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"c100k/server"
)

// errorsOfLives are the errors of workers that cannot serve.
var errorsOfLives = map[string]error{
	"cannot listen": fmt.Errorf("%w on 127.0.0.1:1: denied", server.ErrListen),
	"cannot be":     &server.FieldError{Field: "IO", Given: "uring", Allowed: "not on this kernel"},
	"is broken":     errors.New("no loop starts"),
}

func TestMain(m *testing.M) {
	link, err := Inherited()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	if link != nil {
		os.Exit(workForTests(link))
	}
	goleak.VerifyTestMain(m)
}

// lifeVariable chooses a behaviour for workers other than that of cmd/c100k.
const lifeVariable = "WORKERS_TEST_LIFE"

// workForTests does what cmd/c100k does as a worker, unless a test chooses another behaviour.
func workForTests(link *Link) int {
	switch life := os.Getenv(lifeVariable); life {
	case "":
	case "dies":
		return 1
	case "hangs":
		_, _ = link.Accept()
		return 1
	default: // cannot do something
		w := &worker{link: link, parent: newClient(link)}
		_ = w.tell("/worker/failed", failureOf(errorsOfLives[life]), nil)
		return 1
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	err := Work(ctx, link, WorkOptions{NewLogger: func(_ LogOrders, level *slog.LevelVar) (*slog.Logger, error) {
		return slog.New(slog.NewJSONHandler(io.Discard, &slog.HandlerOptions{Level: level})), nil
	}})
	if err != nil {
		return 1
	}
	return 0
}
