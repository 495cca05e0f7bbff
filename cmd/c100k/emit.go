// `c100k emit`: emits to the clients of Socket.IO servers, through Redis.

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"c100k/internal/redisurl"
	"c100k/internal/settings"
	"c100k/socketio/emitter"

	"github.com/redis/rueidis"
	"github.com/spf13/cobra"
)

// emitTimeout bounds one emit, with connecting to Redis.
const emitTimeout = 10 * time.Second

func (a *app) emit() *cobra.Command {
	return a.command(verb{
		path: "emit", use: "emit EVENT [ARG...]", short: "Emits to clients of Socket.IO servers, through Redis",
		long: "An ARG that is JSON is sent as that, any other as text. The servers must have the adapter for\nRedis: serve --socketio-adapter redis, or Node's @socket.io/redis-adapter. Prints how many servers\ngot it.",
		examples: []string{
			"c100k emit news hello --redis redis://127.0.0.1:6379",
			"c100k emit price '{\"eur\":1.08}' --room fx --room all --redis redis://127.0.0.1:6379",
			"c100k emit kick --nsp /admin --except staff --redis rediss://:PASSWORD@redis.example:6380",
		},
		args: arguments(1, 1<<8, "an EVENT and ARGs"),
		run: func(ctx context.Context, c call) error {
			ctx, cancel := context.WithTimeout(ctx, emitTimeout)
			defer cancel()
			return a.emitOnce(ctx, c)
		},
	})
}

func (a *app) emitOnce(ctx context.Context, c call) error {
	o := &c.Options.Emit
	if o.Redis == "" {
		return usage("--redis is missing: the URL of the Redis of the servers, such as redis://127.0.0.1:6379")
	}
	opt, err := redisurl.Parse(o.Redis)
	if err != nil {
		return misconfigured(&settings.Problem{Source: c.Source("redis"), Err: err})
	}
	opt.Dialer.Timeout = emitTimeout
	client, err := rueidis.NewClient(opt)
	if err != nil {
		return fmt.Errorf("cannot reach Redis: %w", err)
	}
	defer client.Close()
	e := emitter.New(client, emitter.Options{Key: o.Key}).Of(o.Namespace).To(o.Rooms...).Except(o.Except...)
	if o.Volatile {
		e = e.Volatile()
	}
	var args []any
	for _, arg := range c.args[1:] {
		if json.Valid([]byte(arg)) {
			args = append(args, json.RawMessage(arg))
		} else {
			args = append(args, arg)
		}
	}
	servers, err := e.Emit(ctx, c.args[0], args...)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.stdout, "sent to %d servers\n", servers)
	return err
}
