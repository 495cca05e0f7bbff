// A worker: this program, started by a parent that runs `c100k serve --workers`.

package main

import (
	"context"
	"log/slog"
	"os/signal"
	"syscall"

	"c100k/internal/workers"
)

// work runs a worker until it has drained, and returns the exit code. It takes its settings from
// the parent, so that all workers have the same however often one is started again, and tells the
// parent what goes wrong.
func (a *app) work(link *workers.Link) int {
	signal.Ignore(syscall.SIGHUP) // a reload comes over the link
	ctx, stop := a.interruptible(context.Background())
	defer stop()
	defer a.closeLog()
	err := workers.Work(ctx, link, workers.WorkOptions{NewLogger: func(o workers.LogOrders, level *slog.LevelVar) (*slog.Logger, error) {
		return a.openLog(logSettings{o.Format, o.File}, level)
	}})
	if err != nil {
		return exitFailure
	}
	return exitOK
}
