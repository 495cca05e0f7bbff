// The memory budget: how much the node may hold for its clients, and what is done and said when
// that is reached.

package server

import (
	"fmt"
	"sync"

	"github.com/KimMachineGun/automemlimit/memlimit"

	"c100k/broadcast"
)

const (
	// memoryShare is the part of the memory of the cgroup or the machine that is the default of
	// Config.Memory. The rest is for what does not count: the kernel's buffers of the sockets, and
	// other programs.
	memoryShare = 0.8

	// memoryUnknown is that default where neither can be found out.
	memoryUnknown = 1 << 30

	// memoryMin bounds Config.Memory from below: less is what a node takes without clients.
	// memoryMax is more than a machine has, and keeps sums within 63 bits.
	memoryMin = 32 << 20
	memoryMax = 1 << 50

	// requestBytes is about what a request to net/http takes: a goroutine, two buffers, the head.
	requestBytes = 24 << 10
)

// heldMax is how much of the memory may be held for clients: half. The other half is for the
// program itself, the records of connections, and what the collector has not collected yet.
func heldMax(memory int) int64 { return int64(memory) / 2 }

// memoryDefault is the default of Config.Memory for a node of one process, in bytes. It is read
// once: see connsDefault.
var memoryDefault = sync.OnceValue(func() int {
	for _, provider := range []memlimit.Provider{memlimit.FromCgroup, memlimit.FromSystem} {
		if limit, err := provider(); err == nil && limit > 0 && limit < memoryMax {
			return max(int(float64(limit)*memoryShare), memoryMin)
		}
	}
	return memoryUnknown
})

// shortOfMemory tells whether new clients are to be refused. Any goroutine.
func (s *Server) shortOfMemory() bool { return s.budget.Short() }

// memoryChanged is called when a shortage begins and when it ends. Any goroutine; loops call it.
func (s *Server) memoryChanged() {
	s.node.WakeAll()
	if !s.budget.Short() {
		return
	}
	s.notices.add("memory_short", func() (string, []any) {
		return "too much is held for clients: those that hold most are closed, new ones are refused",
			[]any{"held_bytes", s.budget.Held(), "limit_bytes", s.budget.Max(), "setting", "--memory"}
	})
}

// watchMemory adds to the budget what no loop counts: messages on their way, topics, and requests
// that net/http serves.
func (s *Server) watchMemory() {
	hub := s.node.Hub()
	s.budget.Watch(func() int64 { return hub.Counters().PendingBytes })
	s.budget.Watch(func() int64 { return int64(hub.TopicCount()) * broadcast.TopicBytes })
	s.budget.Watch(func() int64 { return s.requests.Load() * requestBytes })
}

// memoryReady is nil, or why new clients are refused.
func (s *Server) memoryReady() error {
	if !s.budget.Short() {
		return nil
	}
	return fmt.Errorf("short of memory: %d bytes are held for clients, %d may be (half of --memory)", s.budget.Held(), s.budget.Max())
}
