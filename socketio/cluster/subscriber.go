// The receiving side of Redis: connections that subscribe, and which server has which channel.

package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"
)

// subscriber keeps the subscriptions that are wanted. A Redis Cluster has the channels of sharded
// Pub/Sub on the masters of their slots, so there is a connection for each of those; otherwise
// there is one connection. The goroutine of run only.
type subscriber struct {
	r      *redisCarrier
	conns  map[string]*subConn // by address
	there  map[subscription]*subConn
	slots  []slotRange // of a Redis Cluster with sharded channels; nil: not known
	events chan subEvent
}

// subEvent is what a connection tells: that it has ended, or that slots have moved.
type subEvent struct {
	conn  *subConn
	ended error
	gone  string // a channel that the server no longer has
	moved int    // a slot that another server has; -1: none
}

// slotRange are slots that have the same master.
type slotRange struct {
	first, last int
	addr        string
}

// errNoServer says that nobody has the slot of a channel now.
var errNoServer = errors.New("cluster: no server has the slot of the channel")

func newSubscriber(r *redisCarrier) *subscriber {
	return &subscriber{r: r, conns: map[string]*subConn{}, there: map[subscription]*subConn{}, events: make(chan subEvent, subEventsMax)}
}

// run keeps the subscriptions until the carrier ends.
func (s *subscriber) run() {
	defer s.r.running.Done()
	defer func() {
		for _, c := range s.conns {
			c.close()
		}
		for len(s.conns) > 0 { // until their goroutines have ended
			if e := <-s.events; e.ended != nil {
				delete(s.conns, e.conn.addr)
			}
		}
	}()
	delay, begun := redialMin, time.Now()
	for {
		err := s.apply()
		if err == nil {
			select {
			case <-s.r.ctx.Done():
				return
			case <-s.r.changed:
				continue
			case e := <-s.events:
				if err = s.take(e); err == nil {
					continue
				}
			}
		}
		if s.r.ctx.Err() != nil {
			return
		}
		s.r.cluster.counters.disconnects.Add(1)
		s.r.cluster.log.Warn("Socket.IO servers: the connection to Redis has ended; messages of other servers are lost meanwhile", "err", err)
		if time.Since(begun) > redialMax {
			delay = redialMin
		}
		select {
		case <-time.After(delay):
		case <-s.r.ctx.Done():
			return
		}
		delay, begun = min(2*delay, redialMax), time.Now()
	}
}

// take notes what a connection tells. The error is that of a connection that has ended.
func (s *subscriber) take(e subEvent) error {
	switch {
	case e.ended != nil:
		delete(s.conns, e.conn.addr)
		s.forget(func(_ subscription, c *subConn) bool { return c == e.conn })
		s.slots = nil
		return e.ended
	case e.gone != "":
		s.forget(func(of subscription, c *subConn) bool { return c == e.conn && of.name == e.gone })
	case e.moved >= 0:
		s.forget(func(of subscription, c *subConn) bool { return c == e.conn && slotOf(of.name) == e.moved })
	}
	s.slots = nil
	return nil
}

// forget makes subscriptions that are no longer there be made again.
func (s *subscriber) forget(which func(of subscription, c *subConn) bool) {
	s.r.subMu.Lock()
	defer s.r.subMu.Unlock()
	for of, c := range s.there {
		if which(of, c) {
			delete(s.there, of)
			s.r.dirty = append(s.r.dirty, of)
		}
	}
}

// apply tells the servers what has changed.
func (s *subscriber) apply() error {
	s.r.subMu.Lock()
	dirty := slices.Clone(s.r.dirty)
	clear(s.r.dirty)
	s.r.dirty = s.r.dirty[:0]
	wanted := map[subscription]bool{}
	for _, of := range dirty {
		wanted[of] = s.r.wanted[of]
	}
	s.r.subMu.Unlock()
	err := s.change(wanted)
	if err != nil {
		s.r.subMu.Lock()
		s.r.dirty = append(s.r.dirty, slices.Collect(maps.Keys(wanted))...)
		s.r.subMu.Unlock()
	}
	return err
}

// change makes and ends subscriptions.
func (s *subscriber) change(wanted map[subscription]bool) error {
	add, drop := map[*subConn][]subscription{}, map[*subConn][]subscription{}
	for of, yes := range wanted {
		c := s.there[of]
		switch {
		case yes && c == nil:
			c, err := s.connOf(of)
			if err != nil {
				return err
			}
			add[c] = append(add[c], of)
		case !yes && c != nil:
			drop[c] = append(drop[c], of)
		}
	}
	for c, list := range add {
		c.send(s.r.sharded, true, list)
		for _, of := range list {
			s.there[of] = c
		}
	}
	for c, list := range drop {
		c.send(s.r.sharded, false, list)
		for _, of := range list {
			delete(s.there, of)
		}
	}
	return nil
}

// connOf returns a connection to the server of a channel.
func (s *subscriber) connOf(of subscription) (*subConn, error) {
	ctx, cancel := context.WithTimeout(s.r.ctx, dialTimeout)
	defer cancel()
	if !s.r.sharded || !s.r.spread {
		for _, c := range s.conns {
			return c, nil
		}
		var failed error
		for addr := range s.r.client.Nodes() {
			c, err := s.dial(ctx, addr)
			if err == nil {
				return c, nil
			}
			failed = errors.Join(failed, err)
		}
		return nil, failed
	}
	if s.slots == nil {
		var err error
		if s.slots, err = slotsOf(ctx, s.r.client); err != nil {
			return nil, err
		}
	}
	slot := slotOf(of.name)
	for _, r := range s.slots {
		if r.first <= slot && slot <= r.last {
			return s.dial(ctx, r.addr)
		}
	}
	s.slots = nil
	return nil, errNoServer
}

// dial returns the connection to a server.
func (s *subscriber) dial(ctx context.Context, addr string) (*subConn, error) {
	if c := s.conns[addr]; c != nil {
		return c, nil
	}
	c, err := dialSub(ctx, s.r, addr, s.events)
	if err == nil {
		s.conns[addr] = c
	}
	return c, err
}

// slotsOf asks which server has which slots.
func slotsOf(ctx context.Context, client rueidis.Client) ([]slotRange, error) {
	list, err := client.Do(ctx, client.B().ClusterSlots().Build()).ToArray()
	if err != nil {
		return nil, err
	}
	var all []slotRange
	for _, entry := range list {
		r, err := slotRangeOf(entry)
		if err != nil {
			return nil, fmt.Errorf("cluster: the slots of Redis: %w", err)
		}
		all = append(all, r)
	}
	return all, nil
}

func slotRangeOf(entry rueidis.RedisMessage) (r slotRange, err error) {
	parts, err := entry.ToArray()
	if err != nil || len(parts) < 3 {
		return r, errors.Join(err, errNoServer)
	}
	first, err := parts[0].AsInt64()
	last, err2 := parts[1].AsInt64()
	master, err3 := parts[2].ToArray()
	if err = errors.Join(err, err2, err3); err != nil || len(master) < 2 {
		return r, errors.Join(err, errNoServer)
	}
	host, err := master[0].ToString()
	port, err2 := master[1].AsInt64()
	return slotRange{int(first), int(last), net.JoinHostPort(host, strconv.FormatInt(port, 10))}, errors.Join(err, err2)
}

// slotOf returns the slot of a channel: CRC16 of the name, or of what is between its first braces.
func slotOf(name string) int {
	if _, after, found := strings.Cut(name, "{"); found {
		if tag, _, found := strings.Cut(after, "}"); found && tag != "" {
			name = tag
		}
	}
	const polynomial = 0x1021 // of CRC16-XMODEM, as the specification of Redis Cluster says
	var crc uint16
	for i := range len(name) {
		crc ^= uint16(name[i]) << 8
		for range 8 {
			high := crc & 0x8000
			crc <<= 1
			if high != 0 {
				crc ^= polynomial
			}
		}
	}
	return int(crc) % redisSlots
}
