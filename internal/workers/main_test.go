// The test program is both: the parent in the tests, and its workers.

package workers

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"go.uber.org/goleak"
)

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

// workForTests is what cmd/c100k does as a worker.
func workForTests(link *Link) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	err := Work(ctx, link, WorkOptions{NewLogger: func(_ string, level *slog.LevelVar) *slog.Logger {
		return slog.New(slog.NewJSONHandler(io.Discard, &slog.HandlerOptions{Level: level}))
	}})
	if err != nil {
		return 1
	}
	return 0
}
