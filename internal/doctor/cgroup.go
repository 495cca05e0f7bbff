// The control groups a process is in: version 2, version 1, or both at once.

package doctor

import (
	"io/fs"
	"path"
	"slices"
	"strings"
)

// group is one controller of one version: where it is mounted, and what its files are called.
type group struct {
	controller string // as /proc/self/cgroup names it; empty: version 2
	mount      string
	limit      string
	usage      string
}

var memoryGroups = []group{
	{"", "sys/fs/cgroup", "memory.max", "memory.current"},
	{"", "sys/fs/cgroup/unified", "memory.max", "memory.current"},
	{"memory", "sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"},
}

var taskGroups = []group{
	{"", "sys/fs/cgroup", "pids.max", "pids.current"},
	{"", "sys/fs/cgroup/unified", "pids.max", "pids.current"},
	{"pids", "sys/fs/cgroup/pids", "pids.max", "pids.current"},
}

// rooms calls visit with the directory, limit and usage of every group this process is in that sets
// a limit, from its own up to the root: each of them binds.
func (h Host) rooms(groups []group, visit func(dir string, limit, usage int64)) {
	for _, g := range groups {
		inside, member := h.groupPath(g.controller)
		if !member {
			continue
		}
		for _, dir := range upwards(g.mount, inside) {
			limit, known := h.number(path.Join(dir, g.limit), 0)
			// Version 1 writes "no limit" as the largest multiple of the page size.
			if !known || limit >= unlimited {
				continue
			}
			usage, _ := h.number(path.Join(dir, g.usage), 0)
			visit(dir, limit, usage)
		}
	}
}

// groupPath finds the line of a controller in /proc/self/cgroup: "4:memory:/a/b", or "0::/a/b" for
// version 2.
func (h Host) groupPath(controller string) (string, bool) {
	content, err := fs.ReadFile(h.Root, "proc/self/cgroup")
	if err != nil {
		return "", false
	}
	for line := range strings.Lines(string(content)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) == 3 && slices.Contains(strings.Split(fields[1], ","), controller) {
			return fields[2], true
		}
	}
	return "", false
}

// upwards lists the group's directory and its parents up to the mount. Inside a container the path
// may name a group outside of what is mounted; then only the mount itself exists, which is the
// container's own.
func upwards(mount, inside string) []string {
	var dirs []string
	for p := path.Clean("/" + inside); p != "/"; p = path.Dir(p) {
		dirs = append(dirs, mount+p)
	}
	return append(dirs, mount)
}
