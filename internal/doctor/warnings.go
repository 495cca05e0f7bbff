// What those say who are about to use the box: serve and load.

package doctor

import (
	"net/netip"
	"strings"
)

// Warnings are the limits that warn or fail; none where everything is well. A limit that the box
// does not show is no warning.
func (r Report) Warnings() (found []Check) {
	for _, c := range r.Checks {
		if c.Verdict == Warn || c.Verdict == Fail {
			found = append(found, c)
		}
	}
	return found
}

// ForLoad says in one line for each limit what stands in the way of a load of conns connections
// from this box to target, a host's name or address without a port. A target on the loopback is a
// server on this same box, which then has both ends of each connection. A name is not looked up.
func ForLoad(h Host, target string, conns int64) (lines []string) {
	want := Want{Conns: conns, Load: true, Node: onLoopback(target)}
	for _, c := range Examine(h, want).Warnings() {
		lines = append(lines, c.String())
	}
	return lines
}

func onLoopback(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}
