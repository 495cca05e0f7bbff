// Socket.IO servers of other nodes and of Node: what a program asks of a namespace reaches them.

package server

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"c100k/internal/bus"
	"c100k/internal/redisurl"
	"c100k/internal/sio"
	"c100k/socketio/cluster"
)

// The values of Config.SocketIOAdapter.
const (
	AdapterBus     = "bus"
	AdapterRedis   = "redis"
	AdapterSharded = "redis-sharded"
	AdapterStreams = "redis-streams"
)

// errAdapter is returned by New for a Config.SocketIO with an adapter of its own.
var errAdapter = errors.New("field SocketIOAdapter: SocketIO has an adapter of its own: leave one of them out")

// sioRedis returns the Redis of the adapter: that of the bus if there is no other.
func (c *Config) sioRedis() string {
	if c.SocketIORedis == "" && redisurl.Is(c.Bus) {
		return c.Bus
	}
	return c.SocketIORedis
}

// validateAdapter checks the fields of the adapter.
func (c *Config) validateAdapter(v *validator) {
	switch c.SocketIOAdapter {
	case "", AdapterBus:
		if c.SocketIORedis != "" {
			v.refuse("SocketIORedis", strconv.Quote(redisurl.Redacted(c.SocketIORedis)), "SocketIOAdapter is bus: allowed with redis, redis-sharded, redis-streams")
		}
		return
	case AdapterRedis, AdapterSharded, AdapterStreams:
	default:
		v.refuse("SocketIOAdapter", strconv.Quote(c.SocketIOAdapter), "allowed are bus, redis, redis-sharded, redis-streams")
		return
	}
	if c.NoSocketIO {
		v.refuse("SocketIOAdapter", strconv.Quote(c.SocketIOAdapter), "NoSocketIO is set: leave one of them out")
	}
	if c.sioRedis() == "" {
		v.refuse("SocketIORedis", "empty", "with SocketIOAdapter "+c.SocketIOAdapter+" it must say where Redis is: "+redisurl.Forms)
	} else if _, err := redisurl.Parse(c.sioRedis()); err != nil {
		v.refuse("SocketIORedis", strconv.Quote(redisurl.Redacted(c.sioRedis())), err.Error())
	}
}

// joinSIO connects the node's Socket.IO server with others.
func (s *Server) joinSIO() error {
	switch {
	case s.sio == nil:
		return nil
	case s.cfg.SocketIOAdapter == AdapterBus:
		return s.joinSIOBus()
	}
	o := cluster.RedisOptions{URL: s.cfg.sioRedis(), Key: s.cfg.SocketIORedisKey, Logger: s.log}
	var c *cluster.Cluster
	var err error
	switch s.cfg.SocketIOAdapter {
	case AdapterRedis:
		c, err = cluster.Redis(context.Background(), o)
	case AdapterSharded:
		c, err = cluster.Sharded(context.Background(), cluster.ShardedOptions{RedisOptions: o})
	case AdapterStreams:
		c, err = cluster.Streams(context.Background(), cluster.StreamsOptions{RedisOptions: o, Stream: o.Key}) // no stream of another cluster
	}
	if err != nil {
		return fmt.Errorf("%w of Socket.IO: %w", ErrBus, err)
	}
	if !sio.SetAdapter(s.sio, c.Adapter) {
		return errors.Join(errAdapter, c.Close())
	}
	s.sioCluster = c
	s.log.Info("Socket.IO servers are connected", "adapter", s.cfg.SocketIOAdapter, "redis", redisurl.Redacted(o.URL))
	return nil
}

// joinSIOBus connects the node's Socket.IO server with others over the bus of the topics, if there
// is one. A server of the program's own with an adapter keeps that.
func (s *Server) joinSIOBus() error {
	if s.others == nil {
		return nil
	}
	var receive func(from uint64, p []byte)
	ready := make(chan struct{})
	link := sioLink{s.others.channels.Open(bus.KindSocketIO, func(from uint64, p []byte, _ func([]byte)) {
		<-ready // the adapter is being made
		receive(from, p)
	})}
	s.sioCluster, receive = cluster.Over(link, cluster.OverOptions{Logger: s.log})
	sio.SetAdapter(s.sio, s.sioCluster.Adapter)
	close(ready)
	return nil
}

// sioLink is the bus as the link of Socket.IO servers.
type sioLink struct{ *bus.Channel }

// Peers implements cluster.Link.
func (l sioLink) Peers() []uint64 {
	var ids []uint64
	for _, p := range l.Channel.Peers() {
		ids = append(ids, p.ID)
	}
	return ids
}

// leaveSIO leaves the other Socket.IO servers.
func (s *Server) leaveSIO() {
	if s.sioCluster != nil {
		_ = s.sioCluster.Close() // always nil
	}
}
