// The limits that decide how many connections fit: files, memory, tracked connections, threads.

package doctor

import "fmt"

func processFiles(h Host, p plan) Check {
	c := Check{Name: "open files of the process", Needed: p.each(), Verdict: OK,
		Note: "a connection is an open file; c100k raises the soft limit to the hard one by itself"}
	soft, hard := h.OpenFiles()
	c.Value = fmt.Sprintf("soft %s, hard %s", text(soft), text(hard))
	if hard < 0 {
		c.holds = noBound
		return c
	}
	return p.judgeFiles(c, hard, "unit: LimitNOFILE=%[1]d; docker: --ulimit nofile=%[1]d; shell, as root: ulimit -n %[1]d")
}

func filesCeiling(h Host, p plan) Check {
	c := Check{Name: "fs.nr_open", Needed: p.each(), Verdict: OK, holds: noBound,
		Note: "the most that a process may have open, whatever its own limit"}
	ceiling, known := h.number("proc/sys/fs/nr_open", 0)
	if !known {
		return unknown(c)
	}
	c.Value = text(ceiling)
	return p.judgeFiles(c, ceiling, "sysctl -w fs.nr_open=%d")
}

// each is how many files the fullest process of the node has open.
func (p plan) each() string {
	if p.workers == 1 {
		return text(p.share + filesReserve)
	}
	return fmt.Sprintf("%d in each of %d workers", p.share+filesReserve, p.workers)
}

// judgeFiles compares a limit on the files of one process with what the workers need. Where their
// number is free, more of them is the way around it, up to WorkersMax.
func (p plan) judgeFiles(c Check, limit int64, lift string) Check {
	room := max(0, min(limit, filesMax)-filesReserve)
	workers := p.workers
	if p.Workers == 0 {
		workers = WorkersMax
	}
	c.holds = workers * room
	if workers > 1 {
		c.holds = c.holds * 100 / (100 + slackPercent)
	}
	if p.share <= room {
		return c
	}
	c.Verdict, c.Lift = Fail, fmt.Sprintf(lift, p.share+filesReserve)
	if enough := WorkersFor(p.Conns, room); largestShare(p.Conns, enough) <= room {
		c.Lift += fmt.Sprintf("; or %d workers: c100k serve --workers auto --max-conns %d", enough, p.Conns)
	}
	return c
}

func systemFiles(h Host, p plan) Check {
	c := Check{Name: "fs.file-max", Verdict: OK, holds: noBound, Note: "open files of all processes together"}
	limit, known := h.number("proc/sys/fs/file-max", 0)
	used, _ := h.number("proc/sys/fs/file-nr", 0)
	reserve := p.processes * filesReserve
	needed := used + p.sockets + reserve
	c.Needed = text(needed)
	if !known {
		return unknown(c)
	}
	c.Value = fmt.Sprintf("%s, %d in use", text(limit), used)
	if limit < unlimited {
		c.holds = max(0, limit-used-reserve) / p.ends()
	}
	if limit < needed {
		c.Verdict, c.Lift = Fail, fmt.Sprintf("sysctl -w fs.file-max=%d", needed)
	}
	return c
}

// memory takes the least of what the machine has available and what each control group still
// allows. The kernel's share of a connection is charged to the group as well.
func memory(h Host, p plan) Check {
	perConn := p.ends() * kernelBytesPerConn
	c := Check{Name: "memory", Verdict: OK, holds: noBound, Note: fmt.Sprintf("an idle connection: %d bytes of the kernel's", perConn)}
	if p.Node {
		perConn += nodeBytesPerConn
		c.Note += fmt.Sprintf(", %d of the node's", nodeBytesPerConn)
	}
	if p.Load {
		perConn += loadBytesPerConn
		c.Note += fmt.Sprintf(", %d of the generator's", loadBytesPerConn)
	}
	base := firstProcessBytes + (p.processes-1)*processBytes
	needed := base + p.Conns*perConn
	c.Needed = bytesText(needed)
	if p.processes > 1 {
		c.Needed += fmt.Sprintf(" in %d processes and the kernel", p.processes)
	}
	kib, known := h.keyed("proc/meminfo", "MemAvailable:")
	if !known {
		return unknown(c)
	}
	room, where := kib<<10, ""
	h.rooms(memoryGroups, func(dir string, limit, usage int64) {
		// Page cache that nobody uses goes before anybody is killed, and is no usage.
		idle, _ := h.keyed(dir+"/memory.stat", "inactive_file")
		if total, v1 := h.keyed(dir+"/memory.stat", "total_inactive_file"); v1 {
			idle = total
		}
		if left := max(0, limit-usage+min(idle, usage)); left < room {
			room, where = left, "/"+dir
		}
	})
	c.Value = bytesText(room) + " available"
	if where != "" {
		c.Value += " in the control group"
	}
	c.holds = max(0, (room-base)/perConn)
	if c.holds < p.Conns {
		c.Verdict, c.Lift = Fail, "more memory, or fewer connections"
		if where != "" {
			c.Lift = fmt.Sprintf("unit: MemoryMax=%dM; docker: --memory %dm (group %s)", mib(needed), mib(needed), where)
		}
	}
	return c
}

// epollWatches is a limit that few know: beyond it, adding a socket to an epoll fails with ENOSPC.
func epollWatches(h Host, p plan) Check {
	c := Check{Name: "fs.epoll.max_user_watches", Needed: text(p.sockets), Verdict: OK, holds: noBound,
		Note: "sockets that all processes of a user may have in epoll; the kernel takes a twenty-fifth of the memory for them at the most"}
	limit, known := h.number("proc/sys/fs/epoll/max_user_watches", 0)
	if !known {
		return unknown(c)
	}
	c.Value, c.holds = text(limit), limit/p.ends()
	if limit < p.sockets {
		c.Verdict, c.Lift = Fail, fmt.Sprintf("sysctl -w fs.epoll.max_user_watches=%d", p.sockets)
	}
	return c
}

func mib(bytes int64) int64 { return (bytes + 1<<20 - 1) >> 20 }

// connectionTracking counts a connection once, even where both its ends are on this box.
func connectionTracking(h Host, p plan) Check {
	c := Check{Name: "nf_conntrack_max", Needed: text(p.Conns), Verdict: OK, Value: "not loaded", holds: noBound,
		Note: "a firewall with state forgets connections beyond it, and drops new ones"}
	limit, loaded := h.number("proc/sys/net/netfilter/nf_conntrack_max", 0)
	if !loaded {
		return c
	}
	used, _ := h.number("proc/sys/net/netfilter/nf_conntrack_count", 0)
	c.Value, c.Needed = fmt.Sprintf("%s, %d in use", text(limit), used), text(used+p.Conns)
	if limit == 0 { // netfilter: zero switches the bound off
		return c
	}
	c.holds = max(0, limit-used)
	if c.holds < p.Conns {
		c.Verdict, c.Lift = Fail, fmt.Sprintf("sysctl -w net.netfilter.nf_conntrack_max=%d", used+p.Conns)
	}
	return c
}

func tasks(h Host, p plan) Check {
	needed := p.processes * tasksPerProcess
	c := Check{Name: "pids.max", Value: "no limit", Needed: text(needed), Verdict: OK, holds: noBound,
		Note: "threads, not connections: a loop is one thread"}
	left := unlimited
	h.rooms(taskGroups, func(_ string, limit, usage int64) {
		if limit-usage < left {
			left = limit - usage
			c.Value = fmt.Sprintf("%s, %d in use", text(limit), usage)
		}
	})
	if left < needed {
		c.Verdict, c.Lift = Warn, fmt.Sprintf("unit: TasksMax=%[1]d; docker: --pids-limit %[1]d", 2*needed)
	}
	return c
}

func unknown(c Check) Check {
	c.Value, c.Verdict = "not shown here", Unknown
	return c
}
