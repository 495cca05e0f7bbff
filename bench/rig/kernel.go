// What the kernel spends on connections. It is charged to no process.

package rig

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Kernel is what the kernel has in use and has counted over the whole machine: only differences say
// something.
type Kernel struct {
	Slab      int64 // bytes of records: sockets, inodes, files, epoll items
	TCP       int64 // bytes in the queues of sockets
	Overflows int64 // times that a connection met a full accept queue
}

// ReadKernel reads /proc/meminfo, /proc/net/sockstat and /proc/net/netstat.
func ReadKernel() (Kernel, error) {
	var texts [3]string
	for i, file := range []string{"meminfo", "net/sockstat", "net/netstat"} {
		text, err := os.ReadFile("/proc/" + file)
		if err != nil {
			return Kernel{}, err
		}
		texts[i] = string(text)
	}
	return parseKernel(texts[0], texts[1], texts[2], int64(os.Getpagesize()))
}

func parseKernel(meminfo, sockstat, netstat string, pageSize int64) (k Kernel, err error) {
	slab, err := numberBehind(meminfo, "Slab:")
	if err != nil {
		return k, fmt.Errorf("meminfo: %w", err)
	}
	// "TCP: inuse 8 orphan 0 tw 3 alloc 9 mem 1"
	_, tcp, _ := strings.Cut(sockstat, "TCP:")
	pages, err := numberBehind(tcp, "mem")
	if err != nil {
		return k, fmt.Errorf("sockstat: %w", err)
	}
	overflows, err := numberBelow(netstat, "TcpExt:", "ListenOverflows")
	if err != nil {
		return k, fmt.Errorf("netstat: %w", err)
	}
	return Kernel{Slab: slab << 10, TCP: pages * pageSize, Overflows: overflows}, nil
}

// numberBehind is the number that follows a word.
func numberBehind(text, word string) (int64, error) {
	fields := strings.Fields(text)
	for i, field := range fields[:max(0, len(fields)-1)] {
		if field == word {
			return strconv.ParseInt(fields[i+1], 10, 64)
		}
	}
	return 0, fmt.Errorf("no number behind %q", word)
}

// numberBelow is the number of a name in the form of netstat: a line of names, and the numbers in
// the next line that begins alike.
func numberBelow(text, begin, name string) (int64, error) {
	var names []string
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] != begin {
			continue
		}
		if names == nil {
			names = fields
			continue
		}
		if i := slices.Index(names, name); i > 0 && i < len(fields) {
			return strconv.ParseInt(fields[i], 10, 64)
		}
	}
	return 0, fmt.Errorf("no number for %s %s", begin, name)
}
