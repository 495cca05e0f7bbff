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

// logSettings say how and where a node logs.
type logSettings struct {
	format string // "text" or "json"
	file   string // empty: standard error
}

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
// a reader that does not read cannot block the node, and one that is gone cannot end it; a log file
// has a queue too. The error is that of opening the file.
func (a *app) openLog(where logSettings, level *slog.LevelVar) (*slog.Logger, error) {
	signal.Ignore(syscall.SIGPIPE)
	line := func(message string, args ...any) []byte {
		var line bytes.Buffer
		newLogger(&line, where.format, new(slog.LevelVar)).Warn(message, args...)
		return line.Bytes()
	}
	dropped := func(n uint64) []byte {
		return line("lines of the log were dropped: its reader did not take them", "lines", n)
	}
	a.stderr = a.enqueue(a.stderr, dropped)
	if where.file == "" {
		return newLogger(a.stderr, where.format, level), nil
	}
	file, err := logqueue.OpenFile(where.file, func(err error) []byte {
		return line("the log file cannot be opened again; this one goes on", "err", err)
	})
	if err != nil {
		return nil, err
	}
	a.files = append(a.files, file)
	return newLogger(a.enqueue(file, dropped), where.format, level), nil
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
	for _, file := range a.files {
		_ = file.Close() // the queue in front of it has said what it did not take
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
