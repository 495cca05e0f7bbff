// Phase 3: one batch of reads into the arena, which handlers get slices of.

package netpoll

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// read is phase 3.
func (l *Loop) read(n int) {
	l.few = n < napBelow
	if n+len(l.unread) == 0 {
		return
	}
	l.busy()
	l.planReads(n)
	l.planUnread()
	l.shareArena()
	if len(l.reads) == 0 {
		return
	}
	l.kernel.Read(l.reads)
	l.stats.Reads += uint64(len(l.reads))
	for i := 0; i < len(l.reads); {
		i = l.serveReads(i)
	}
	clear(l.reads)
}

// HoldReads stops and resumes the reading from all connections. What arrives meanwhile is read
// later, in this process or by the kernel held back from the peers. Turns do not sleep meanwhile,
// so it is for a short time: until memory has been freed.
func (l *Loop) HoldReads(hold bool) { l.holdReads = hold }

// planReads sorts the events into reads and writes. Stale ones die on the
// generation here.
func (l *Loop) planReads(n int) {
	l.reads, l.readers = l.reads[:0], l.readers[:0]
	for _, ev := range l.events[:n] {
		c := l.conns.get(uint32(ev.Token))
		if c == nil || c.gen != uint32(ev.Token>>32) || c.flags&flagDead != 0 {
			l.stats.StaleEvents++
			continue
		}
		if ev.Ready&ReadyWrite != 0 && c.flags&flagBacklog != 0 {
			l.queueWrite(c)
		}
		if c.interest&interestRead == 0 {
			if ev.Ready&ReadyError != 0 { // no read would report it
				l.fail(c, l.kernel.Error(c.fd))
			}
			continue
		}
		switch {
		case ev.Ready&(ReadyRead|ReadyError) == 0:
		case l.holdReads:
			l.readAgain(c) // the event is spent
		default:
			l.planRead(c, ev.Ready&(ReadyEnd|ReadyError) != 0)
		}
	}
}

// reader is the connection of a read. empties says that only EAGAIN, the FIN or an
// error empties the socket, and a short read does not: something other than bytes
// was reported, perhaps by an event that is spent.
type reader struct {
	slot    uint32
	empties bool
}

func (l *Loop) planRead(c *Conn, empties bool) {
	c.interest |= interestPlanned
	l.reads = append(l.reads, IO{FD: c.fd})
	l.readers = append(l.readers, reader{c.Slot(), empties})
}

// planUnread adds connections that no event may name again, because theirs was
// spent on a read that did not take everything. No connection is read twice in a
// turn.
func (l *Loop) planUnread() {
	if l.holdReads {
		return
	}
	listed := l.unread
	l.unread = l.unread[:0]
	for _, id := range listed {
		c := l.Lookup(id)
		switch {
		case c == nil:
		case len(l.reads) >= eventsPerTurnMax, c.interest&interestPlanned != 0:
			l.unread = append(l.unread, id)
		default:
			c.interest &^= interestUnread
			if c.interest&interestRead != 0 { // else Modify will report it
				l.planRead(c, true)
			}
		}
	}
}

// readAgain lists c: its socket may hold more.
func (l *Loop) readAgain(c *Conn) {
	if c.interest&interestUnread == 0 {
		c.interest |= interestUnread
		l.unread = append(l.unread, c.ID())
	}
}

// shareArena cuts the read arena into equal parts, each on a cache line of its
// own. None begins at a multiple of the page size behind the one before: equal
// offsets would fall in the same few cache sets and evict each other.
func (l *Loop) shareArena() {
	if len(l.reads) == 0 {
		return
	}
	stride := min(len(l.readArena)/len(l.reads), readBytesMax+readSkew) &^ (cacheLine - 1)
	if stride%pageSize == 0 {
		stride -= readSkew
	}
	size := min(stride, readBytesMax)
	for i := range l.reads {
		at := i * stride
		l.reads[i].Buf = l.readArena[at : at+size : at+size]
	}
}

// serveReads hands results to handlers from the i-th on, and returns where to go
// on: after a panic, behind the connection that it is charged to.
func (l *Loop) serveReads(i int) (next int) {
	defer l.contain()
	for ; i < len(l.reads); i++ {
		next = i + 1
		c := l.conns.at(l.readers[i].slot)
		c.interest &^= interestPlanned
		if c.flags&flagDead != 0 {
			continue
		}
		op := &l.reads[i]
		switch {
		case op.N > 0:
			if int(op.N) == len(op.Buf) || l.readers[i].empties {
				l.readAgain(c)
			}
			l.received(c, op.Buf[:op.N])
		case op.N == 0:
			l.receivedFIN(c)
		case op.N == -int32(syscall.EAGAIN):
		case op.N == -int32(syscall.EINTR):
			l.readAgain(c)
		default:
			l.fail(c, syscall.Errno(-op.N))
		}
	}
	return next
}

func (l *Loop) received(c *Conn, p []byte) {
	c.seen = l.tick
	l.stats.BytesReceived += uint64(len(p))
	if c.flags&flagFinish != 0 {
		return // lingering: input is discarded
	}
	if c.interest&interestLayer != 0 {
		l.openInput(c, p)
		return
	}
	l.current = c
	l.opt.Handlers[c.role].OnData(l, c, p)
	l.current = nil
}

// receivedFIN handles the peer's FIN: it closes the connection, but not before the
// pending output of Finish is sent.
func (l *Loop) receivedFIN(c *Conn) {
	if c.flags&(flagFinish|flagLinger) == flagFinish {
		l.setInterest(c, c.interest&^interestRead) // finishAll closes when all is out
		return
	}
	if c.interest&interestLayer != 0 {
		l.Close(c, ReasonTruncated) // the closing record would have come before it
		return
	}
	l.Close(c, ReasonPeer)
}

// Redeliver gives bytes to c's present handler as if they had just arrived.
func (l *Loop) Redeliver(c *Conn, p []byte) {
	if len(p) == 0 || c.Closing() {
		return
	}
	was := l.current
	l.current = c // a panic is c's, and then current stays for contain
	l.opt.Handlers[c.role].OnData(l, c, p)
	l.current = was
}

// PauseRead stops reading from c until its backlog has drained: a client that
// asks faster than it takes the answers is held back by TCP itself. It does
// nothing when there is no backlog by the end of the turn.
func (l *Loop) PauseRead(c *Conn) {
	if !c.Closing() && c.flags&flagPaused == 0 {
		l.pausing = append(l.pausing, c.ID())
	}
}

// StopRead stops reading from c until StartRead, whatever output is pending: for a layer or a
// handler that waits, and for clients that simulate a stalled one. What has come in with this turn
// may still reach OnData; the peer's FIN does not, an error ends the connection as always.
func (l *Loop) StopRead(c *Conn) {
	if !c.Closing() {
		c.flags &^= flagPaused
		l.setInterest(c, c.interest&^interestRead)
	}
}

// StartRead ends what StopRead or PauseRead began.
func (l *Loop) StartRead(c *Conn) {
	if !c.Closing() {
		c.flags &^= flagPaused
		l.setInterest(c, c.interest|interestRead)
	}
}

func (l *Loop) setInterest(c *Conn, want interest) {
	want = want&interestKernel | c.interest&^interestKernel
	if c.interest == want {
		return
	}
	c.interest = want
	l.kernel.Modify(c.fd, c.token(), want&interestRead != 0, want&interestWrite != 0)
}

// newArena maps n bytes. Where mapping is refused the heap serves as well, only
// that an idle loop cannot give it back.
func newArena(n int) []byte {
	p, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return make([]byte, n)
	}
	// A huge page for each first touch would make the arena resident as a whole.
	_ = unix.Madvise(p, unix.MADV_NOHUGEPAGE)
	return p
}

// trimArena gives the pages back; they read as zero afterwards.
func trimArena(p []byte) { _ = unix.Madvise(p, unix.MADV_DONTNEED) }

// freeArena unmaps p. A p from the heap is refused by Munmap and left to the
// collector.
func freeArena(p []byte) { _ = unix.Munmap(p) }
