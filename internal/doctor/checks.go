// The limits that decide how many connections fit: files, memory, tracked connections, threads.

package doctor

import "fmt"

func processFiles(h Host, conns int64) Check {
	c := Check{Name: "open files of the process", Needed: text(conns + filesReserve), Verdict: OK,
		Note: "a connection is an open file; c100k raises the soft limit to the hard one by itself"}
	soft, hard := h.OpenFiles()
	c.Value = fmt.Sprintf("soft %s, hard %s", text(soft), text(hard))
	if hard < 0 {
		c.holds = noBound
		return c
	}
	c.holds = max(0, hard-filesReserve)
	if c.holds < conns {
		c.Verdict = Fail
		c.Lift = fmt.Sprintf("unit: LimitNOFILE=%[1]d; docker: --ulimit nofile=%[1]d; shell, as root: ulimit -n %[1]d", conns+filesReserve)
	}
	return c
}

func filesCeiling(h Host, conns int64) Check {
	c := Check{Name: "fs.nr_open", Needed: text(conns + filesReserve), Verdict: OK, holds: noBound,
		Note: "the most to which the limit of a process can be raised"}
	ceiling, known := h.number("proc/sys/fs/nr_open", 0)
	if !known {
		return unknown(c)
	}
	c.Value = text(ceiling)
	if ceiling < conns+filesReserve {
		c.Verdict, c.holds = Fail, max(0, ceiling-filesReserve)
		c.Lift = fmt.Sprintf("sysctl -w fs.nr_open=%d", conns+filesReserve)
	}
	return c
}

func systemFiles(h Host, conns int64) Check {
	c := Check{Name: "fs.file-max", Verdict: OK, holds: noBound, Note: "open files of all processes together"}
	limit, known := h.number("proc/sys/fs/file-max", 0)
	used, _ := h.number("proc/sys/fs/file-nr", 0)
	needed := used + conns + filesReserve
	c.Needed = text(needed)
	if !known {
		return unknown(c)
	}
	c.Value = fmt.Sprintf("%s, %d in use", text(limit), used)
	if limit < unlimited {
		c.holds = max(0, limit-used-filesReserve)
	}
	if limit < needed {
		c.Verdict, c.Lift = Fail, fmt.Sprintf("sysctl -w fs.file-max=%d", needed)
	}
	return c
}

// memory takes the least of what the machine has available and what each control group still allows. The kernel's
// share of a connection is charged to the group as well.
func memory(h Host, conns int64) Check {
	const perConn = kernelBytesPerConn + nodeBytesPerConn
	needed := nodeBytes + conns*perConn
	c := Check{Name: "memory", Needed: bytesText(needed), Verdict: OK, holds: noBound,
		Note: fmt.Sprintf("an idle connection: %d bytes of the kernel's and %d of ours", kernelBytesPerConn, nodeBytesPerConn)}
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
	c.holds = max(0, (room-nodeBytes)/perConn)
	if c.holds < conns {
		c.Verdict, c.Lift = Fail, "more memory, or fewer connections"
		if where != "" {
			c.Lift = fmt.Sprintf("unit: MemoryMax=%dM; docker: --memory %dm (group %s)", mib(needed), mib(needed), where)
		}
	}
	return c
}

func mib(bytes int64) int64 { return (bytes + 1<<20 - 1) >> 20 }

func connectionTracking(h Host, conns int64) Check {
	c := Check{Name: "nf_conntrack_max", Needed: text(conns), Verdict: OK, Value: "not loaded", holds: noBound,
		Note: "a firewall with state forgets connections beyond it, and drops new ones"}
	limit, loaded := h.number("proc/sys/net/netfilter/nf_conntrack_max", 0)
	if !loaded {
		return c
	}
	used, _ := h.number("proc/sys/net/netfilter/nf_conntrack_count", 0)
	c.Value, c.Needed = fmt.Sprintf("%s, %d in use", text(limit), used), text(used+conns)
	if limit == 0 { // netfilter: zero switches the bound off
		return c
	}
	c.holds = max(0, limit-used)
	if c.holds < conns {
		c.Verdict, c.Lift = Fail, fmt.Sprintf("sysctl -w net.netfilter.nf_conntrack_max=%d", used+conns)
	}
	return c
}

func tasks(h Host, _ int64) Check {
	c := Check{Name: "pids.max", Value: "no limit", Needed: text(tasksNeeded), Verdict: OK, holds: noBound,
		Note: "threads, not connections: a loop is one thread"}
	left := unlimited
	h.rooms(taskGroups, func(_ string, limit, usage int64) {
		if limit-usage < left {
			left = limit - usage
			c.Value = fmt.Sprintf("%s, %d in use", text(limit), usage)
		}
	})
	if left < tasksNeeded {
		c.Verdict, c.Lift = Warn, fmt.Sprintf("unit: TasksMax=%[1]d; docker: --pids-limit %[1]d", 4*tasksNeeded)
	}
	return c
}

func unknown(c Check) Check {
	c.Value, c.Verdict = "not shown here", Unknown
	return c
}
