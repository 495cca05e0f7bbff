// The steps: what each does, what it notes, and its goals.

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"c100k/bench/rig"
	"c100k/loadgen"
)

// step is one part of the show.
type step struct {
	name  string
	title func(options) string
	do    func(context.Context, *trial) error
}

func steps() []step {
	return []step{
		{"open", func(o options) string { return fmt.Sprintf("%d subscribed connections, heartbeats on", o.conns) }, open},
		{"publish", func(o options) string {
			return fmt.Sprintf("one publish of %d bytes to all %d, and to %d", messageBytes, o.conns, o.small())
		}, publish},
		{"topics", func(o options) string {
			return fmt.Sprintf("%d publishes a second of %d bytes to %d topics of %d members, for %s", topicCount, messageBytes, topicCount, o.conns/topicCount, o.topicsFor())
		}, topics},
		{"storm", func(o options) string { return fmt.Sprintf("all %d dropped at once, and back", o.conns) }, storm},
		{"hook-storm", func(o options) string {
			return fmt.Sprintf("all %d dropped at once, and a backend asked about each that comes, for %s", o.conns, hookTime)
		}, hookStorm},
		{"resume", func(o options) string {
			return fmt.Sprintf("all %d cut off at once, %d messages missed by each, and back", o.conns, o.missed())
		}, resume},
		{"look", func(o options) string {
			return fmt.Sprintf("%d connections, and somebody looks at the node: dashboard, pages, metrics", o.conns)
		}, look},
		{"kill", func(o options) string { return fmt.Sprintf("one worker killed under load, %d connections", o.conns) }, kill},
		{"soak", func(o options) string {
			return fmt.Sprintf("%d connections for %s, heartbeats on, a publish every five seconds", o.conns, o.soakFor())
		}, soak},
	}
}

func stepName(s step) string { return s.name }

func names() []string { return rig.Names(steps(), stepName) }

func choose(only string) ([]step, error) { return rig.Choose("step", steps(), stepName, only) }

// open has everybody subscribe and then says nothing: how long it takes, and what it costs to hold
// them.
func open(ctx context.Context, t *trial) error {
	node, err := t.node()
	if err != nil {
		return err
	}
	defer node.Stop()
	before, err := rig.ReadKernel()
	if err != nil {
		return err
	}
	watch := node.Watch()
	load, err := t.load(ctx, node, "open", t.conns, "--for", t.hold())
	readings := watch.Stop()
	if err != nil {
		return err
	}
	t.opened(load.Result)
	t.note("time until all are open", seconds(load.Result.Ramp), "s").atMost(t.openWithin())
	t.note("connections that were lost", float64(load.Result.Connections.LostCount), "").none()
	full := whole(readings, t.conns)
	if len(full) == 0 {
		return fmt.Errorf("the node was never seen with all %d connections", t.conns)
	}
	idle := full[len(full)-1]
	t.note("private memory of all processes of the node, idle", megabytes(idle.Private), "MB").atMost(t.memoryMax())
	t.note("… a connection", float64(idle.Private)/float64(t.conns), "bytes")
	t.note("kernel memory beside it, for both ends of each connection", megabytes(idle.Kernel.Slab+idle.Kernel.TCP-before.Slab-before.TCP), "MB")
	t.note("processor time of the node with nothing but heartbeats", 100*cores(full), "% of a core")
	return t.sound(node)
}

// publish sends to everybody at once, and to a tenth of them on the same number of workers, with as
// many deliveries a second: what a delivery costs must not grow with the crowd. There are no
// heartbeats, whose cost would be counted as that of deliveries.
func publish(ctx context.Context, t *trial) error {
	large, err := t.publishTo(ctx, t.conns)
	if err != nil {
		return err
	}
	small, err := t.publishTo(ctx, t.small())
	if err != nil {
		return err
	}
	if small > 0 {
		t.note(fmt.Sprintf("processor time a delivery, %d connections ÷ %d", t.conns, t.small()), large/small, "").atMost(1.2)
	}
	return nil
}

// publishTo sends to everybody of a crowd of one topic. It returns the processor time of the node a
// delivery, in µs; 0 where it is not known.
func (t *trial) publishTo(ctx context.Context, conns int) (cost float64, err error) {
	t.about = fmt.Sprintf("%d: ", conns)
	defer func() { t.about = "" }()
	node, err := t.node("--ping-interval", "10m")
	if err != nil {
		return 0, err
	}
	defer node.Stop()
	load, err := t.load(ctx, node, fmt.Sprintf("publish-%d", conns), conns, "--for", t.publishFor(), "--topic", "crowd",
		"--publish", "http://"+node.Admin+"/v1/topics/crowd", "--publish-rate", t.publishRate(conns))
	if err != nil {
		return 0, err
	}
	t.opened(load.Result)
	t.delivered(load.Result)
	if last := load.Result.Last; last != nil {
		t.note("time to the last receiver of a publish, median", millis(last.P50), "ms")
		t.note("… longest", millis(last.Max), "ms")
	}
	if server := load.Result.Server; server != nil {
		cost = millis(server.PerMessage) * 1e3
		t.note("processor time of the node a delivery", cost, "µs")
	}
	return cost, t.sound(node)
}

// topics is steady work: many topics, each with its own members.
func topics(ctx context.Context, t *trial) error {
	node, err := t.node()
	if err != nil {
		return err
	}
	defer node.Stop()
	load, err := t.load(ctx, node, "topics", t.conns, append(t.manyTopics(node), "--for", t.topicsFor())...)
	if err != nil {
		return err
	}
	t.opened(load.Result)
	t.delivered(load.Result)
	t.note("connections that were lost", float64(load.Result.Connections.LostCount), "").none()
	t.note("deliveries a second", load.Result.Rate.Received, "")
	if l := load.Result.Deliver; l != nil {
		t.note("from due at the publisher to received, median", millis(l.P50), "ms")
		t.note("… p99", millis(l.P99), "ms")
		t.note("… longest", millis(l.Max), "ms")
	}
	return t.sound(node)
}

// manyTopics are the arguments for a publisher that serves all topics in turns.
func (t *trial) manyTopics(node *rig.Node) []string {
	return []string{"--topic", "crowd", "--topics", fmt.Sprint(topicCount),
		"--publish", "http://" + node.Admin + "/v1/topics/{topic}", "--publish-rate", fmt.Sprintf("%d/s", topicCount)}
}

// storm drops everybody at once, and waits until all are back. With TLS, a few others listen all
// the while: handshakes must not keep them waiting.
func storm(ctx context.Context, t *trial) error {
	node, err := t.node()
	if err != nil {
		return err
	}
	defer node.Stop()
	var others *beside
	if t.tls {
		if others, err = t.startOthers(ctx, node); err != nil {
			return err
		}
	}
	load, err := t.load(ctx, node, "storm", t.conns, "--mode", "storm", "--storms", "1", "--for", t.stormFor())
	waited, othersErr := others.end()
	if err := errors.Join(err, othersErr); err != nil {
		return err
	}
	t.opened(load.Result)
	if err := t.cameBack(load.Result); err != nil {
		return err
	}
	if r := load.Result; t.tls && r.Full != nil && r.Resumed != nil {
		again := float64(r.Full.Count-int64(t.conns)) + float64(r.Resumed.Count)
		t.note("TLS handshakes of those that came back and resumed a session", 100*float64(r.Resumed.Count)/again, "%").atLeast(99)
	}
	if waited != nil && waited.Deliver != nil {
		t.about = "others: "
		t.delivered(waited)
		t.about = ""
		t.note("longest wait of one of the others, from due to received", millis(waited.Deliver.Max), "ms").atMost(othersWaitMax)
		t.note("… p99", millis(waited.Deliver.P99), "ms")
	}
	after, err := node.Read()
	if err != nil {
		return err
	}
	t.note("private memory of all processes of the node, when all have left", megabytes(after.Private), "MB")
	return t.sound(node)
}

// resume cuts everybody off while messages are published, and has them all come back at one moment
// behind the last message that they had.
func resume(ctx context.Context, t *trial) error {
	node, err := t.node("--history", "crowd=10000,10m")
	if err != nil {
		return err
	}
	defer node.Stop()
	watch := node.Watch()
	load, err := t.loadAt(ctx, node, "/ws", "resume", t.conns, "--mode", "recover", "--topic", "crowd", "--cut", "100%", "--cut-every", "1h",
		"--cut-away", t.away().String(), "--for", (t.away() + resumeRest).String(), "--settle", "15s",
		"--publish", "http://"+node.Admin+"/v1/topics/crowd", "--publish-rate", fmt.Sprintf("%d/s", resumeRate))
	readings := watch.Stop()
	if err != nil {
		return err
	}
	t.opened(load.Result)
	x := load.Result.Recovery
	if x == nil || len(x.Cuts) != 1 {
		return fmt.Errorf("the generator cut nobody off")
	}
	t.note("connections that did not come back", float64(t.conns-x.Cuts[0].Back), "").none()
	t.note("connections that could not go on where they were", float64(x.Cut-x.Recovered), "").none()
	t.delivered(load.Result)
	if l := load.Result.CatchUp; l != nil {
		t.note("from the moment they come back until half of them have caught up", seconds(l.P50), "s")
		t.note("… until all have", seconds(l.Max), "s").atMost(5)
	}
	if before, most, ok := growth(readings, t.conns); ok {
		t.note("private memory of all processes of the node before", megabytes(before), "MB")
		t.note("… growth meanwhile, at most", megabytes(most-before)*1e6/(1<<20), "MiB").atMost(64)
	}
	return t.sound(node)
}

// growth is what the node held with everybody there, before they were cut off, and the most that it
// held later.
func growth(readings []rig.Reading, conns int) (before, most int64, ok bool) {
	cut := false
	for _, r := range readings {
		switch {
		case r.Connections >= conns && !cut:
			before, ok = r.Private, true
		case ok:
			cut = true
			most = max(most, r.Private)
		}
	}
	return before, max(most, before), ok && cut
}

// kill takes one worker away under load. Its clients come back by the generator's retries; nobody
// else may notice.
func kill(ctx context.Context, t *trial) error {
	node, err := t.node()
	if err != nil {
		return err
	}
	defer node.Stop()
	if len(node.Workers()) < 2 {
		return fmt.Errorf("the node has one process only: --workers 2")
	}
	watch := node.Watch()
	deed := make(chan killing, 1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { deed <- t.killOne(ctx, node, watch) }()
	load, err := t.load(ctx, node, "kill", t.conns, append(t.manyTopics(node), "--for", t.killFor())...)
	cancel()
	done := <-deed
	watch.Stop()
	if err != nil {
		return err
	}
	if done.err != nil {
		return done.err
	}
	t.opened(load.Result)
	t.note("connections of the worker that was killed", float64(load.Result.Connections.LostCount), "")
	t.note("connections that did not come back", float64(t.conns-load.Result.Connections.OpenAtEnd), "").none()
	t.note("time until all are back", done.back.Seconds(), "s").atMost(5)
	t.note("messages that were sent while their receiver was away", float64(load.Result.Messages.MissedAway), "")
	t.delivered(load.Result)
	if t.replaced(node) != 1 {
		return fmt.Errorf("%d workers were started anew, not 1", t.replaced(node))
	}
	return nil
}

// killing is how it went.
type killing struct {
	back time.Duration // until as many connections were open as before
	err  error
}

// killOne waits until everybody is there, kills a worker a while later, and waits until everybody
// is there again.
func (t *trial) killOne(ctx context.Context, node *rig.Node, watch *rig.Watch) killing {
	since := time.Now()
	if _, err := watch.Await(ctx, since, t.conns); err != nil {
		return killing{err: err}
	}
	select {
	case <-ctx.Done():
		return killing{err: fmt.Errorf("the load ended before a worker was killed")}
	case <-time.After(t.killAfter()):
	}
	since = time.Now()
	if err := node.KillWorker(0); err != nil {
		return killing{err: err}
	}
	// A reading that begins now has none of the worker's connections but those that are back already.
	back, err := watch.Await(ctx, time.Now(), t.conns)
	return killing{back: back.Sub(since), err: err}
}

// soak holds everybody for long, with a little to do.
func soak(ctx context.Context, t *trial) error {
	node, err := t.node()
	if err != nil {
		return err
	}
	defer node.Stop()
	watch := node.Watch()
	load, err := t.load(ctx, node, "soak", t.conns, "--for", t.soakFor(), "--topic", "crowd",
		"--publish", "http://"+node.Admin+"/v1/topics/crowd", "--publish-rate", "0.2/s")
	readings := whole(watch.Stop(), t.conns)
	if err != nil {
		return err
	}
	t.opened(load.Result)
	t.delivered(load.Result)
	t.note("not open at the end", float64(t.conns-load.Result.Connections.OpenAtEnd), "").none()
	t.note("connections that were lost", float64(load.Result.Connections.LostCount), "").none()
	if len(readings) > 0 {
		t.note("private memory of all processes of the node, at the beginning", megabytes(readings[0].Private), "MB")
		t.note("… at the end", megabytes(readings[len(readings)-1].Private), "MB")
		t.note("processor time of the node", 100*cores(readings), "% of a core")
	}
	return t.sound(node)
}

// cameBack notes how all came back after they were dropped.
func (t *trial) cameBack(r *loadgen.Result) error {
	if len(r.Storms) == 0 {
		return errors.New("the generator dropped nobody")
	}
	for _, s := range r.Storms {
		t.note("connections that did not come back", float64(t.conns-s.Back), "").none()
		t.note("time until all are back", seconds(s.After), "s").atMost(t.backWithin())
	}
	return nil
}

// opened notes whether everybody got a connection.
func (t *trial) opened(r *loadgen.Result) {
	t.note("connections that did not open", float64(r.Connections.Wanted-r.Connections.Open), "").none()
}

// delivered notes what became of the messages.
func (t *trial) delivered(r *loadgen.Result) {
	m := &r.Messages
	var refused uint64
	for _, n := range m.Refused {
		refused += n
	}
	t.note("messages published", float64(m.Published), "")
	t.note("publishes that failed", float64(refused), "").none()
	t.note("messages that should have been received", float64(m.Expected), "").atLeast(1)
	t.note("… lost", float64(m.Lost), "").none()
	t.note("… twice", float64(m.Duplicated), "").none()
	t.note("… out of order", float64(m.Reordered), "").none()
	t.note("… changed on the way", float64(m.Corrupted), "").none()
}

// whole are the readings with at least so many connections.
func whole(readings []rig.Reading, conns int) (full []rig.Reading) {
	for _, r := range readings {
		if r.Connections >= conns {
			full = append(full, r)
		}
	}
	return full
}

// cores is how many processors the node had in use on average, from the first reading to the last.
func cores(readings []rig.Reading) float64 {
	first, last := readings[0], readings[len(readings)-1]
	if !last.At.After(first.At) {
		return 0
	}
	return float64(last.CPU-first.CPU) / float64(last.At.Sub(first.At))
}

func seconds(m loadgen.Millis) float64 { return time.Duration(m).Seconds() }

func millis(m loadgen.Millis) float64 { return float64(m) / 1e6 }

func megabytes(bytes int64) float64 { return float64(bytes) / 1e6 }
