// What a box is asked to hold, and what that comes to in processes and sockets.

package doctor

// Want is what is to be held, and which ends of it are on this box.
type Want struct {
	Conns   int64 // connections
	Workers int64 // processes of the node that share its port; 0: as many as the limit on open files asks for
	Node    bool  // the node is on this box
	Load    bool  // `c100k load` is on this box
	Plain   bool  // the node was told to do without io_uring
}

// plan is a Want with the number of workers decided.
type plan struct {
	Want
	workers   int64 // of the node; 0: the node is elsewhere
	share     int64 // connections that the worker with the most of them has
	processes int64 // all of ours on this box
	sockets   int64 // ends of connections on this box
}

func (h Host) plan(w Want) plan {
	p := plan{Want: w, sockets: w.Conns * w.ends()}
	room := h.filesRoom()
	if w.Node {
		p.workers = w.Workers
		if p.workers == 0 {
			p.workers = WorkersFor(w.Conns, room)
		}
		p.share = largestShare(w.Conns, p.workers)
		p.processes += p.workers
		if p.workers > 1 {
			p.processes++ // the parent
		}
	}
	if w.Load {
		// The generator decides by itself; it needs at least as many.
		p.processes += max(1, divideUp(w.Conns, room))
	}
	return p
}

// ends is how many ends of a connection are on this box.
func (w Want) ends() int64 {
	if w.Node && w.Load {
		return 2
	}
	return 1
}

// filesRoom is how many connections a process of this box may have open.
func (h Host) filesRoom() int64 {
	_, most := h.OpenFiles()
	if most < 0 {
		most = filesMax
	}
	// The kernel refuses a descriptor beyond fs.nr_open, whatever the process's own limit.
	if ceiling, known := h.number("proc/sys/fs/nr_open", 0); known {
		most = min(most, ceiling)
	}
	return max(1, min(most, filesMax)-filesReserve)
}

// WorkersFor says how many processes of a node hold conns connections where one may have room of
// them: 1 where one is enough. It is how `c100k serve --workers auto` counts, but for WorkersMax,
// where that refuses to start.
func WorkersFor(conns, room int64) int64 {
	if conns <= room {
		return 1
	}
	return min(WorkersMax, max(2, divideUp(conns*(100+unevenPercent), 100*room)))
}

// largestShare is how many of the connections the fullest of the workers may come to have: the
// kernel deals them by a hash of their addresses.
func largestShare(conns, workers int64) int64 {
	if workers <= 1 {
		return conns
	}
	even := divideUp(conns, workers)
	return even + even*slackPercent/100
}

func divideUp(n, by int64) int64 { return (n + by - 1) / by }
