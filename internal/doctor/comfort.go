// The limits that decide how well it goes: queues, TCP's memory, ports, io_uring, huge pages.

package doctor

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

func acceptBacklog(h Host, _ plan) Check {
	return h.queue("net.core.somaxconn", "proc/sys/net/core/somaxconn", "connections that wait to be accepted")
}

// synBacklog looks at the SYN cookies first: with them the queue is as long as the accept queue,
// and who does not fit gets a cookie. The kernel asks for tcp_max_syn_backlog only without
// (tcp_conn_request in net/ipv4/tcp_input.c).
func synBacklog(h Host, _ plan) Check {
	c := h.queue("net.ipv4.tcp_max_syn_backlog", "proc/sys/net/ipv4/tcp_max_syn_backlog", "handshakes that are half done, where there are no SYN cookies")
	if cookies, _ := h.number("proc/sys/net/ipv4/tcp_syncookies", 0); cookies != 0 && c.Verdict != Unknown {
		c.Verdict, c.Lift, c.Needed = OK, "", "not looked at: tcp_syncookies is on"
	}
	return c
}

func (h Host) queue(name, path, note string) Check {
	c := Check{Name: name, Needed: text(backlogNeeded), Verdict: OK, Note: note, holds: noBound}
	length, known := h.number(path, 0)
	if !known {
		return unknown(c)
	}
	c.Value = text(length)
	if length < backlogNeeded {
		c.Verdict, c.Lift = Warn, fmt.Sprintf("sysctl -w %s=%d", name, backlogNeeded)
	}
	return c
}

// tcpMemory compares where the kernel begins to shrink buffers with one full page for every
// connection: what a broadcast to all of them takes for a moment.
func tcpMemory(h Host, p plan) Check {
	needed := p.Conns * tcpBytesPerConn / h.PageSize
	c := Check{Name: "net.ipv4.tcp_mem", Needed: fmt.Sprintf("pressure from %d pages", needed), Verdict: OK, holds: noBound,
		Note: "data in the queues of all sockets; idle connections take none"}
	least, _ := h.number("proc/sys/net/ipv4/tcp_mem", 0)
	pressure, _ := h.number("proc/sys/net/ipv4/tcp_mem", 1)
	most, known := h.number("proc/sys/net/ipv4/tcp_mem", 2)
	if !known {
		return unknown(c)
	}
	c.Value = fmt.Sprintf("%d %d %d pages", least, pressure, most)
	if pressure < needed {
		c.Verdict = Warn
		c.Lift = fmt.Sprintf("sysctl -w net.ipv4.tcp_mem='%d %d %d'", needed*3/4, needed, needed*3/2)
	}
	return c
}

// localPorts bound the outgoing connections from one address of ours to one address and port of
// theirs. `c100k load` takes as many addresses of 127.0.0.0/8 as it needs, and one address to
// anywhere else.
func localPorts(h Host, p plan) Check {
	c := Check{Name: "net.ipv4.ip_local_port_range", Needed: "none: a node's connections come in", Verdict: OK, holds: noBound,
		Note: "outgoing connections from one address to one address and port: a load generator, a proxy on this box, an upstream"}
	low, _ := h.number("proc/sys/net/ipv4/ip_local_port_range", 0)
	high, known := h.number("proc/sys/net/ipv4/ip_local_port_range", 1)
	if !known {
		return unknown(c)
	}
	ports := max(1, high-low+1)
	c.Value = fmt.Sprintf("%d to %d, %d ports", low, high, ports)
	switch {
	case p.Load && p.Node:
		c.Needed = fmt.Sprintf("%d, from %d addresses of 127.0.0.0/8", p.Conns, max(1, divideUp(p.Conns, ports)))
	case p.Load:
		c.Needed, c.holds = text(p.Conns), ports
		if ports < p.Conns {
			c.Verdict, c.Lift = Fail, "sysctl -w net.ipv4.ip_local_port_range='1024 65535'"
			if p.Conns > localPortsMax {
				c.Lift += fmt.Sprintf("; and %d boxes to share the load", divideUp(p.Conns, localPortsMax))
			}
		}
	}
	return c
}

func ioUring(h Host, p plan) Check {
	c := Check{Name: "io_uring", Value: "works", Needed: "works", Verdict: OK, holds: noBound,
		Note: "one system call for many reads or writes; without it --io syscall, at about twice the cost a delivery"}
	if p.Plain {
		c.Value, c.Needed = "not tried", "none: --io syscall"
		return c
	}
	disabled, _ := h.number("proc/sys/kernel/io_uring_disabled", 0)
	err := h.Uring()
	if err == nil {
		return c
	}
	c.Verdict, c.Value = Warn, err.Error()
	switch {
	case disabled > 0:
		c.Value = fmt.Sprintf("kernel.io_uring_disabled is %d", disabled)
		c.Lift = "sysctl -w kernel.io_uring_disabled=0"
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		c.Lift = "allow io_uring_setup, io_uring_enter and io_uring_register in the container's seccomp profile: docker: --security-opt seccomp=FILE"
	default:
		c.Lift = "a kernel of 6.1 or newer with CONFIG_IO_URING"
	}
	return c
}

func hugePages(h Host, _ plan) Check {
	c := Check{Name: "transparent huge pages", Needed: "madvise or never", Verdict: OK, holds: noBound,
		Note: "always: memory that was given back is taken again in pieces of 2 MiB"}
	for _, word := range h.words("sys/kernel/mm/transparent_hugepage/enabled") {
		if strings.HasPrefix(word, "[") {
			c.Value = strings.Trim(word, "[]")
		}
	}
	switch c.Value {
	case "":
		return unknown(c)
	case "always":
		c.Verdict, c.Lift = Warn, "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled"
	}
	return c
}
