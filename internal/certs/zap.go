// The log of certmagic, which writes to zap, as lines of ours.

package certs

import (
	"context"
	"log/slog"

	"go.uber.org/zap/zapcore"
)

// zapCore is a zapcore.Core that writes to a slog.Logger. What certmagic calls information is for
// who follows each step of an order: it is logged at debug level.
type zapCore struct{ log *slog.Logger }

func levelOf(l zapcore.Level) slog.Level {
	switch {
	case l >= zapcore.ErrorLevel:
		return slog.LevelError
	case l >= zapcore.WarnLevel:
		return slog.LevelWarn
	}
	return slog.LevelDebug
}

// Enabled implements zapcore.LevelEnabler.
func (c zapCore) Enabled(l zapcore.Level) bool {
	return c.log.Enabled(context.Background(), levelOf(l))
}

// With implements zapcore.Core.
func (c zapCore) With(fields []zapcore.Field) zapcore.Core {
	return zapCore{c.log.With(args(fields)...)}
}

// Check implements zapcore.Core.
func (c zapCore) Check(e zapcore.Entry, to *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return to.AddCore(e, c)
	}
	return to
}

// Write implements zapcore.Core.
func (c zapCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	c.log.Log(context.Background(), levelOf(e.Level), "ACME: "+e.Message, args(fields)...)
	return nil
}

// Sync implements zapcore.Core.
func (c zapCore) Sync() error { return nil }

// args are fields of zap as arguments of slog.
func args(fields []zapcore.Field) []any {
	into := zapcore.NewMapObjectEncoder()
	names := make([]string, len(fields))
	for i, f := range fields {
		f.AddTo(into)
		names[i] = f.Key
	}
	var list []any
	for _, name := range names {
		if v, ok := into.Fields[name]; ok {
			list = append(list, name, v)
		}
	}
	return list
}
