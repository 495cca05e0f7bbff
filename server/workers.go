// Several processes behind one port: how many, what each gets of what the configuration allows all,
// and how a connection moves between them. The session of a Socket.IO client is on one loop of one
// worker, and the kernel gives the client's connections to any worker.

package server

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"c100k/internal/certs"
	"c100k/internal/edge"
	"c100k/internal/node"
	"c100k/internal/quota"
	"c100k/internal/tlsconn"
	"c100k/netpoll"

	"golang.org/x/sys/unix"
)

const (
	// WorkersMax bounds Config.Workers. A connection's ID has 8 bits for its loop, over all
	// workers: at 64 each can still have four loops.
	WorkersMax = 64

	// The kernel deals connections to workers by a hash of their addresses, so that some get more
	// than their even share. unevenPercent is what "auto" leaves room for when it counts processes,
	// and slackPercent what each worker takes beyond its even share of MaxConns before it refuses:
	// with 10,000 connections a worker the hash strays by a few per cent.
	unevenPercent = 15
	slackPercent  = 10
)

// Worker says which part of a node of several processes a Server is.
type Worker struct {
	// Number is the Server's among Count workers, from 0. The ids of Socket.IO clients have it in
	// them.
	Number, Count int
	// LoopBase is the number of the Server's first loop. Loops of all workers are numbered through,
	// so that a connection's ID names its worker too. LoopBase and Config.Loops together are at
	// most 256.
	LoopBase int
	// Durable is where the parent's broker, which is the bus, keeps history: history.DurableMemory or
	// DurableFile. Empty: the bus is a server that stands for itself.
	Durable string
	// API answers /v1/ on the public port where there is an API key, and asks for the key itself:
	// it speaks for all workers. It is required. The Server opens no admin port; Config.Admin is
	// then only where the demo page says that the API is.
	API http.Handler
	// HandOver takes a connection whose request is for a Socket.IO client of another worker there,
	// where TakeIn gets it. It is called on a loop and must not block. True: m.FD is its own to
	// close, and it calls gone once, on any goroutine: with true when the descriptor is closed here
	// and on its way, and with false when it could not be sent and is the Server's again. False,
	// having done nothing, where there is no room. Nil: no request leaves this worker.
	HandOver func(to int, m *Handover, gone func(sent bool)) bool
	// Quota is the table in which limits of addresses and users count over all workers. Nil: this one
	// counts its own.
	Quota *quota.Table
	// Alive is called every AliveEvery while all loops run: a loop that is stuck in a call keeps it
	// from being called. It may take its time, but must return. Nil: nobody is told.
	Alive func()
	// AliveEvery is the time between two looks at the loops; 0 means one second.
	AliveEvery time.Duration
	// TLS is what handshakes need, read by the parent, in place of the files of the configuration.
	// Nil: the port is plain.
	TLS *certs.Material
	// Challenge asks the parent for the certificate that answers a challenge of ACME.
	Challenge certs.Challenger
}

// workersFor is how many processes hold conns connections where each may hold allowed: one where
// one is enough, WorkersMax where none are; then FitsMachine says so.
func workersFor(conns, allowed int) int {
	if conns <= allowed {
		return 1
	}
	return min(max(2, (conns*(100+unevenPercent)+100*allowed-1)/(100*allowed)), WorkersMax)
}

// Share is the configuration of one of the workers, made from that of all. c must have its
// defaults. Its MaxConns is an even share and a tenth, as far as the limit on open files allows;
// its Memory and HistoryBytes are even shares, where the parent counts as one worker more.
func (c Config) Share() Config {
	even := (c.MaxConns + c.Workers - 1) / c.Workers
	c.MaxConns = min(even+even*slackPercent/100, connsDefault())
	c.Memory = max(c.Memory/(c.Workers+1), memoryMin)
	c.HistoryBytes = max(c.HistoryBytes/(c.Workers+1), historyBytesMin)
	c.HistoryDir = "" // it belongs to the parent
	c.Cluster, c.ClusterPeers, c.ClusterSecretFile = "", nil, ""
	c.Workers = 1
	return c
}

// NeedsQuota tells whether the configuration has limits of addresses or users.
func (c *Config) NeedsQuota() bool {
	return c.MaxConnsPerIP > 0 || c.ConnRatePerIP > 0 || c.MaxConnsPerUser > 0
}

// makeQuota is the table in which those limits count, nil without any.
func (s *Server) makeQuota() (err error) {
	if w := s.cfg.Worker; w != nil && w.Quota != nil {
		s.quota = w.Quota
	} else if s.cfg.NeedsQuota() {
		if s.quota, err = quota.New(edge.QuotaKeys(s.cfg.MaxConns)); err != nil {
			return fmt.Errorf("make the table of limits: %w", err)
		}
	}
	return nil
}

func (c *Config) validateWorkers(v *validator) {
	if c.Workers != WorkersAuto {
		v.between("Workers", c.Workers, 1, WorkersMax, ", or auto")
	}
	if c.Workers > 1 && c.Workers <= WorkersMax && c.Memory != 0 && c.Memory < (c.Workers+1)*memoryMin {
		v.refuse("Memory", strconv.Itoa(c.Memory), fmt.Sprintf("%d workers and their parent need %d bytes at least", c.Workers, (c.Workers+1)*memoryMin))
	}
	if c.Workers > 1 && c.Workers <= WorkersMax && c.Workers*c.Loops > loopsMax {
		v.refuse("Loops", strconv.Itoa(c.Loops), fmt.Sprintf("allowed are %d over all %d workers", loopsMax, c.Workers))
	}
}

// oneProcess refuses what a Server cannot be: several processes, or one without a number among
// several.
func (c *Config) oneProcess() error {
	if c.Workers != 1 {
		return &FieldError{Field: "Workers", Given: strconv.Itoa(c.Workers),
			Allowed: "a Server is one process, so allowed is 1: c100k serve starts several"}
	}
	w := c.Worker
	switch {
	case w == nil:
		return nil
	case w.Number < 0 || w.Number >= w.Count || w.Count > WorkersMax:
		return &FieldError{Field: "Worker", Given: fmt.Sprintf("number %d of %d", w.Number, w.Count),
			Allowed: fmt.Sprintf("at most %d workers, numbered from 0", WorkersMax)}
	case w.API == nil || w.LoopBase < 0 || w.LoopBase+c.Loops > loopsMax:
		return &FieldError{Field: "Worker", Given: fmt.Sprintf("loops %d to %d", w.LoopBase, w.LoopBase+c.Loops-1),
			Allowed: fmt.Sprintf("it needs an API, and loops within 0 to %d", loopsMax-1)}
	}
	return nil
}

// logLife logs a step in the node's life. Of one worker of several it is a detail: the parent says
// it for all.
func (s *Server) logLife(msg string, args ...any) {
	level := slog.LevelInfo
	if s.cfg.Worker != nil {
		level = slog.LevelDebug
	}
	s.log.Log(context.Background(), level, msg, args...)
}

// workerNumber is this process's among the workers of the node, 0 where it is the only one.
func (s *Server) workerNumber() uint8 {
	if s.cfg.Worker == nil {
		return 0
	}
	return uint8(s.cfg.Worker.Number)
}

// loopBase is the number of the first loop.
func (s *Server) loopBase() int {
	if s.cfg.Worker == nil {
		return 0
	}
	return s.cfg.Worker.LoopBase
}

// HandoverBytesMax bounds Handover.First and Handover.TLS together, in bytes: a request head, what
// one read brought behind it, and what a client may send ahead. A request with more behind it is
// not handed over.
const HandoverBytesMax = maxHeadMax + 128<<10

// Handover is a connection on its way from one worker to another, with a request that has been read
// in part.
type Handover struct {
	FD    int    // a connected, non-blocking socket; the owner of the Handover closes it
	Loop  int    // the loop of the session, by its index in that worker; it comes from the client
	First []byte // what was read from the socket, from the request's first byte on; immutable
	TLS   []byte // of a connection with TLS what its record layer needs to go on, keys included; immutable

	Client    netip.Addr // the address that the connection counts against; invalid: none
	Forwarded bool       // a trusted proxy has made it: it counts against no address until it names its client
}

// Refuse answers 503 and closes the connection. It is for an owner of the Handover that can neither
// serve the request nor pass it on. The client may miss the answer if it is still sending a body.
// Any goroutine.
func (m *Handover) Refuse() {
	answer := edge.AppendRefusal(nil, edge.RefuseOverCapacity, true)
	if len(m.TLS) > 0 {
		answer = tlsconn.SealLast(m.TLS, answer)
	}
	_, _ = unix.Write(m.FD, answer) // as much as the socket takes, without waiting
	unix.Close(m.FD)
}

// handOver takes a request to another worker. False, having done nothing, if that is not possible.
func (s *Server) handOver(l *netpoll.Loop, c *netpoll.Conn, to, loop int, first []byte) bool {
	w := s.cfg.Worker
	if w == nil || w.HandOver == nil || to >= w.Count || len(first) > HandoverBytesMax {
		return false
	}
	standing, remote := s.admission.Standing(c.Tag()), l.Remote()
	a, ok := node.Leave(l, c, first)
	if !ok {
		return true // its socket has left already
	}
	gone := func(sent bool) {
		if sent {
			s.admission.Release(a.Tag)
		} else {
			s.node.AdoptOn(remote, node.RoleReturned, a)
		}
	}
	m := &Handover{FD: a.FD, Loop: loop, First: first, Client: standing.Client, Forwarded: standing.Forwarded}
	if a.Moved != nil {
		var err error
		if m.TLS, err = tlsconn.AppendMoved(nil, a.Moved); err != nil || len(first)+len(m.TLS) > HandoverBytesMax {
			gone(false)
			return true
		}
	}
	if !w.HandOver(to, m, gone) {
		gone(false)
	}
	return true
}

// TakeIn takes a connection that another worker has handed over. The Server owns it from here on.
// If the node has no room for it, it is refused like a new connection.
func (s *Server) TakeIn(m *Handover) {
	if s.takeIn(m, node.RoleHead) {
		s.movedIn.Add(1)
	}
}

// TakeBack takes back a connection that this worker has handed over and that did not reach the
// other worker. Its request is answered as one for an unknown session, so that the client begins
// anew.
func (s *Server) TakeBack(m *Handover) { s.takeIn(m, node.RoleReturned) }

// takeIn admits the connection and gives it to its loop, or closes it.
func (s *Server) takeIn(m *Handover, role netpoll.Role) (taken bool) {
	a := node.Arrival{FD: m.FD, First: m.First}
	if len(m.TLS) > 0 {
		var err error
		if a.Moved, err = tlsconn.ParseMoved(m.TLS); err != nil || s.secured == nil {
			unix.Close(m.FD) // its worker was of another build, or is configured otherwise
			return false
		}
	}
	tag, ok := s.admission.Readmit(edge.Standing{Client: m.Client, Forwarded: m.Forwarded})
	if !ok {
		m.Refuse() // too many refusals are being sent already
		return false
	}
	i := m.Loop
	if i < 0 || i >= s.node.Loops() {
		i = 0 // its endpoint answers that there is no such session
	}
	a.Tag = tag
	s.node.AdoptOn(s.node.Loop(i).Remote(), role, a)
	return true
}
