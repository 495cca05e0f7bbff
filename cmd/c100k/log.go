// The log of a node: text for people, JSON for machines.

package main

import (
	"io"
	"log/slog"
)

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
