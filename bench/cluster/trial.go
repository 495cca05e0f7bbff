// One step: traffic, a fault, and what has become of the messages.

package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// patience bounds each wait for something to begin or to settle.
	patience = 30 * time.Second
	// pollPause is the time between two looks.
	pollPause = 5 * time.Millisecond
	// noticeMax is how long a node may take to say that it is cut off: what /readyz promises.
	noticeMax = 3 * time.Second
	// backMax is how long a node may take to hear the others after a new master of Redis answers.
	backMax = 1500 * time.Millisecond
	// rejoinMax is the same after its cable is in again: an attempt to connect that began before may
	// wait for a second.
	rejoinMax = 3 * time.Second
	// silentMax is how long a dead node may be counted as there: three beats and one look.
	silentMax = 3500 * time.Millisecond
	// settleMax bounds the wait for what is under way.
	settleMax = 20 * time.Second
)

// trial is one step.
type trial struct {
	options
	*cluster
	*traffic
	title string
	rate  float64 // messages that were published, or tried, a second
	rows  []row

	noticed, back       map[int]time.Duration // by server; less than 0: never
	noticeGoal, backMax time.Duration
}

// snapshot is what has been counted so far.
type snapshot struct {
	published [3]int
	acked     int
	heard     [3][3]int // by subscriber, by node
	figures   [3]figures
	ticks     [2]int
}

// run lets messages flow, makes the fault, waits until all has settled, and judges.
func (t *trial) run(ctx context.Context, fault func(context.Context, *trial) error) error {
	t.noticed, t.back = map[int]time.Duration{}, map[int]time.Duration{}
	before, err := t.snapshot()
	if err != nil {
		return err
	}
	offered, begun := t.offered(), time.Now()
	t.flows.Store(true)
	err = t.flow(ctx)
	if err == nil {
		err = fault(ctx, t)
	}
	if err == nil {
		err = t.flow(ctx)
	}
	flowed := time.Since(begun)
	if paused := t.pause(ctx); err == nil {
		err = paused
	}
	if err != nil {
		return err
	}
	t.rate = float64(t.offered()-offered) / flowed.Seconds()
	for giveUp := time.Now().Add(settleMax); ; time.Sleep(100 * time.Millisecond) {
		after, err := t.snapshot()
		if err != nil {
			return err
		}
		t.judge(before, after)
		if (&table{rows: t.rows}).met() || time.Now().After(giveUp) {
			break
		}
	}
	reached, err := t.emit(t.title)
	if err != nil {
		return err
	}
	servers := 0
	for _, s := range t.sockets {
		if s.home >= len(t.nodes) || !t.nodes[s.home].dead() {
			servers++
		}
	}
	t.rows = append(t.rows, row{step: t.title, at: "one c100k emit", events: servers, eventsHeard: reached, eventsGoal: true})
	return nil
}

// flow lets messages flow for a while.
func (t *trial) flow(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(t.calm):
		return nil
	}
}

func (t *trial) snapshot() (s snapshot, err error) {
	t.mu.Lock()
	s.published, s.acked = t.published, len(t.acked)
	t.mu.Unlock()
	for i, n := range t.nodes {
		s.heard[i], _ = t.subscribers[i].counts()
		if n.dead() {
			continue
		}
		if s.figures[i], err = n.figures(); err != nil {
			return s, err
		}
	}
	for i := range s.ticks {
		s.ticks[i] = t.sockets[len(t.nodes)+i].highest()
	}
	return s, nil
}

// judge makes the rows.
func (t *trial) judge(before, after snapshot) {
	t.rows = nil
	for i, n := range t.nodes {
		if n.dead() {
			continue
		}
		r := row{step: t.title, rate: t.rate, at: n.Name, node: true}
		for j := range t.nodes {
			if j == i {
				continue
			}
			r.published += after.published[j] - before.published[j]
			r.received += after.heard[i][j] - before.heard[i][j]
			r.unsent += max(after.figures[j].unsent-before.figures[j].unsent, 0) // a dead node tells nothing
		}
		r.missed = after.figures[i].missed - before.figures[i].missed
		r.acked, r.lost = after.acked-before.acked, t.lostAt(i)
		r.noticed, r.noticeMax = t.noticed[i], t.noticeGoal
		t.addSocket(&r, i, before, after)
		t.rows = append(t.rows, r)
	}
	for i, h := range t.socketio {
		r := row{step: t.title, at: h.Name}
		t.addSocket(&r, i+len(t.nodes), before, after)
		t.rows = append(t.rows, r)
	}
}

// addSocket adds what the client of Socket.IO at a server has heard, and when it was back.
func (t *trial) addSocket(r *row, server int, before, after snapshot) {
	for i := range t.socketio {
		emitted := i + len(t.nodes)
		if emitted == server {
			continue
		}
		r.events += after.ticks[i] - before.ticks[i]
		r.eventsHeard += t.sockets[server].between(emitted, before.ticks[i], after.ticks[i])
	}
	if back, ok := t.back[server]; ok {
		r.back = back
		if r.node {
			r.backMax = t.backMax
		}
	}
}

// lostAt counts the kept messages that were acknowledged and have not come to a subscriber, or came
// twice, or that it was told of by a reset.
func (t *trial) lostAt(i int) (lost int) {
	s := t.subscribers[i]
	s.mu.Lock()
	defer s.mu.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	for text := range t.acked {
		if !s.kept[text] {
			lost++
		}
	}
	return lost + s.twice + s.resets
}

// nothing is a step without a fault.
func nothing(context.Context, *trial) error { return nil }

// partition cuts the third node off.
func partition(ctx context.Context, t *trial) error {
	n := t.nodes[2]
	t.noticeGoal, t.backMax = noticeMax, rejoinMax
	cut := time.Now()
	if err := n.Plug(false); err != nil {
		return err
	}
	if err := await(ctx, n.Name+" says that it is cut off", func() error {
		if n.ready() == nil {
			return errNotYet
		}
		return nil
	}); err != nil {
		return err
	}
	t.noticed[n.number] = time.Since(cut)
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(t.outage - time.Since(cut)):
	}
	if err := n.Plug(true); err != nil {
		return err
	}
	t.watch(time.Now())
	return t.awaitBack(ctx, n.number)
}

// failover kills the master of Redis.
func failover(ctx context.Context, t *trial) error {
	t.backMax = backMax
	t.master.Kill()
	if err := await(ctx, "the replica is the master", func() error {
		return says(t.redis[1], redisPort, "INFO replication", "role:master")
	}); err != nil {
		return err
	}
	t.watch(time.Now())
	return t.awaitBack(ctx, 0, 1, 2, 3, 4)
}

// killNode kills the second node.
func killNode(ctx context.Context, t *trial) error {
	t.noticeGoal = silentMax
	t.nodes[1].run.Kill()
	killed := time.Now()
	for _, i := range []int{0, 2} {
		if err := await(ctx, "the others notice", func() error {
			f, err := t.nodes[i].figures()
			if err == nil && f.peers != 1 {
				err = fmt.Errorf("%d peers", f.peers)
			}
			return err
		}); err != nil {
			return err
		}
		t.noticed[i] = time.Since(killed)
	}
	return nil
}

// awaitBack waits until servers hear the others again.
func (t *trial) awaitBack(ctx context.Context, servers ...int) error {
	return await(ctx, "all hear the others", func() error {
		for _, i := range servers {
			after := t.sockets[i].backAfter()
			if i < len(t.nodes) {
				after = t.subscribers[i].backAfter()
			}
			if after < 0 {
				return fmt.Errorf("server %d does not", i+1)
			}
			t.back[i] = after
		}
		return nil
	})
}

// await waits until ok returns nil.
func await(ctx context.Context, what string, ok func() error) error {
	for giveUp := time.Now().Add(patience); ; {
		err := ok()
		if err == nil {
			return nil
		}
		if time.Now().After(giveUp) {
			return fmt.Errorf("%s: not after %v: %w", what, patience, err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pollPause):
		}
	}
}

var errNotYet = errors.New("not yet")
