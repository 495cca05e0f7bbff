// What the readers of proc and sys hold for any text in those files.

package doctor

import (
	"path"
	"strings"
	"testing"
)

func FuzzCgroup(f *testing.F) {
	f.Add("0::/system.slice/c100k.service\n", "max\n", "12\n")
	f.Add("4:memory,cpu:/a/b\n0::/a\n", "4096\n", "99999999999999999999\n")
	f.Add("0::/../../../proc\n", "-1\n", "")
	f.Add("0::no slash\n1:memory:\n", "9223372036854771712\n", "x\n")
	f.Fuzz(func(t *testing.T, groups, limit, usage string) {
		h := machine(map[string]string{
			"proc/self/cgroup":                                  groups,
			"sys/fs/cgroup/memory.max":                          limit,
			"sys/fs/cgroup/memory.current":                      usage,
			"sys/fs/cgroup/a/memory.max":                        limit,
			"sys/fs/cgroup/memory/a/b/memory.limit_in_bytes":    limit,
			"sys/fs/cgroup/memory/a/b/memory.usage_in_bytes":    usage,
			"sys/fs/cgroup/memory/memory.limit_in_bytes":        limit,
			"proc/memory.max":                                   "1\n",
			"sys/fs/cgroup/system.slice/c100k.service/pids.max": limit,
		}, 1024, 1024, nil)
		for _, groups := range [][]group{memoryGroups, taskGroups} {
			h.rooms(groups, func(dir string, limit, used int64) {
				if limit >= unlimited {
					t.Errorf("%s: a limit of %d is none", dir, limit)
				}
				if used > unlimited {
					t.Errorf("%s: usage %d", dir, used)
				}
				if dir != path.Clean(dir) || !strings.HasPrefix(dir, "sys/fs/cgroup") {
					t.Errorf("%q is outside of the mounts", dir)
				}
			})
		}
	})
}

func FuzzNumbers(f *testing.F) {
	f.Add("MemTotal: 33554432 kB\nMemAvailable: 16777216 kB\n", "MemAvailable:", 1)
	f.Add("1880\t0\t9223372036854775807\n", "0", 2)
	f.Add("max 18446744073709551616 -5", "max", 0)
	f.Fuzz(func(t *testing.T, text, key string, i int) {
		h := machine(map[string]string{"proc/file": text}, 1024, 1024, nil)
		if n, ok := h.number("proc/file", max(i, 0)); n > unlimited || !ok && n != 0 {
			t.Errorf("field %d of %q: %d, %t", i, text, n, ok)
		}
		n, ok := h.keyed("proc/file", key)
		if n > unlimited || !ok && n != 0 {
			t.Errorf("%q of %q: %d, %t", key, text, n, ok)
		}
		if ok && !strings.Contains(text, key) {
			t.Errorf("%q of %q: %d", key, text, n)
		}
	})
}
