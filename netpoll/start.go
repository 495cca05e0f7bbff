// How a loop begins and ends.

package netpoll

// NewLoop makes a loop that Start sets going. A loop that was made must be
// stopped, also when it never started: it owns memory that is not the
// collector's.
func NewLoop(opt Options) (*Loop, error) {
	if err := opt.complete(); err != nil {
		return nil, err
	}
	l := &Loop{opt: opt, stopped: make(chan struct{}), trimmed: true, turnAt: -1}
	l.conns.loop, l.conns.unused = uint8(opt.Index), opt.Generation
	l.wheel.conns = &l.conns
	l.now = opt.Clock()
	l.lastBusy, l.ended, l.woke = l.now-napCalm, l.now, l.now
	l.tick = tickOf(l.now)
	l.wheel.now = l.tick
	l.readArena = newArena(readArenaBytes)
	if opt.Kernel != nil {
		l.setKernel(opt.Kernel)
	}
	return l, nil
}

func (l *Loop) ensureKernel() error {
	if l.kernel != nil {
		return nil // a test's
	}
	k, err := openKernel(l.opt.IO, l.opt.Hold)
	if err == nil {
		l.setKernel(k)
	}
	return err
}

func (l *Loop) setKernel(k Kernel) {
	l.kernel = k
	l.remote.wake = k.Wake
}

// Start runs the loop in a goroutine of its own and returns when it is ready to be posted to, or with the reason why not. It is
// called once.
func (l *Loop) Start() error {
	l.started.Store(true)
	ready := make(chan error, 1)
	go func() {
		defer close(l.stopped)
		if err := l.ensureKernel(); err != nil {
			l.shutdown()
			ready <- err
			return
		}
		ready <- nil
		for !l.remote.stopping.Load() {
			l.Turn()
		}
		l.shutdown()
	}()
	return <-ready
}

// Stop ends the loop: what was posted still runs, then every connection is
// closed with ReasonDrain, without a word to its peer. It returns when the loop
// has ended; a second call does nothing. Any goroutine but the loop's own. A
// loop that was never started, as in tests on a faked kernel, ends at once.
func (l *Loop) Stop() {
	if l.remote.stopping.Swap(true) {
		<-l.stopped
		return
	}
	if !l.started.Load() {
		l.shutdown()
		close(l.stopped)
		return
	}
	if l.remote.wake != nil {
		l.remote.wake()
	}
	<-l.stopped
}

// shutdown runs the tasks that Post has promised to run, for they may carry
// sockets, closes everybody, and gives back what the loop holds.
func (l *Loop) shutdown() {
	l.remote.stopping.Store(true)
	last := l.remote.close()
	if l.kernel == nil { // nobody could join, so no task can have a meaning
		freeArena(l.readArena)
		l.readArena = nil
		return
	}
	l.tasks = concat(l.tasks, last)
	for l.tasks != nil {
		l.serveTasks(tasksPerTurnMax)
	}
	// OnClose may let somebody join; not for ever, one should think.
	for l.conns.live > 0 || len(l.closing) > 0 {
		l.Each(func(c *Conn) bool {
			l.Close(c, ReasonDrain)
			return true
		})
		l.release()
	}
	l.woke = l.opt.Clock()
	l.publish()
	l.kernel.Release()
	freeArena(l.readArena)
	l.readArena = nil
}
