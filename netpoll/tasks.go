// Phase 4: OnWritable of connections whose backlog has drained, and the mailbox.

package netpoll

// runTasks is phase 4. Connections whose backlog has drained come first.
func (l *Loop) runTasks() {
	for i := 0; i < len(l.drainedIDs); {
		i = l.serveDrained(i)
	}
	l.drainedIDs = l.drainedIDs[:0] // only phase 7 adds to it
	left := tasksPerTurnMax
	for left > 0 {
		if l.tasks == nil {
			if l.tasks = l.remote.take(); l.tasks == nil {
				return
			}
		}
		left = l.serveTasks(left)
	}
}

func (l *Loop) serveDrained(i int) (next int) {
	defer l.contain()
	for ; i < len(l.drainedIDs); i++ {
		next = i + 1
		if c := l.Lookup(l.drainedIDs[i]); c != nil && !c.Closing() && c.flags&flagBacklog == 0 {
			l.current = c
			l.opt.Handlers[c.role].OnWritable(l, c)
			l.current = nil
		}
	}
	return next
}

// serveTasks runs at most left tasks and returns how many it might still have
// run: after a panic, without the one that panicked.
func (l *Loop) serveTasks(left int) (rest int) {
	defer l.contain()
	l.busy()
	for ; left > 0 && l.tasks != nil; left-- {
		t := l.tasks
		l.tasks = t.next
		rest = left - 1
		l.remote.depth.Add(-1)
		l.stats.Tasks++
		if t.id == 0 {
			t.run(l)
		} else if c := l.Lookup(t.id); c != nil {
			l.current = c
			t.with(l, c)
			l.current = nil
		}
	}
	return left
}
