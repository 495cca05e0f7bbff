// The log of a node: text for people, JSON for machines.

package main

import (
	"bytes"
	"io"
	"log/slog"
	"os/signal"
	"syscall"
	"time"

	"c100k/internal/logqueue"
)

// logCloseMax bounds how long the end of the program waits for a reader of its log.
const logCloseMax = 500 * time.Millisecond

// logFormat decides what "auto" is: text on a terminal, JSON otherwise.
func logFormat(format string, terminal bool) string {
	switch {
	case format != "auto":
		return format
	case terminal:
		return "text"
	}
	return "json"
}

// openLog makes the log of a node. From here on all of standard error goes through a queue, so that
// a reader that does not read cannot block the node, and one that is gone cannot end it.
func (a *app) openLog(format string, level *slog.LevelVar) *slog.Logger {
	signal.Ignore(syscall.SIGPIPE)
	a.stderr = a.enqueue(a.stderr, func(dropped uint64) []byte {
		var line bytes.Buffer
		newLogger(&line, format, new(slog.LevelVar)).Warn("lines of the log were dropped: its reader did not take them", "lines", dropped)
		return line.Bytes()
	})
	return newLogger(a.stderr, format, level)
}

// enqueue puts a queue in front of a stream.
func (a *app) enqueue(stream io.Writer, note func(dropped uint64) []byte) io.Writer {
	queue := logqueue.New(stream, note)
	a.queues = append(a.queues, queue)
	return queue
}

// closeLog writes what is left in the queues, as far as their readers take it.
func (a *app) closeLog() {
	for _, queue := range a.queues {
		queue.Close(logCloseMax)
	}
}

// newLogger logs to w; format is "text" or "json". level may be changed while it runs.
func newLogger(w io.Writer, format string, level *slog.LevelVar) *slog.Logger {
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: durationsAsText}
	if format == "text" {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}

// durationsAsText writes 30s, where JSON would have a bare number of nanoseconds.
func durationsAsText(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}

// levelOf translates the word of --log-level; the table of settings admits no other words.
func levelOf(word string) slog.Level {
	var level slog.Level
	if err := level.UnmarshalText([]byte(word)); err != nil {
		return slog.LevelInfo
	}
	return level
}
