// Tests of the checks on machines made of a map of files.

package doctor

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/sys/unix"
)

// able is a machine on which 100,000 connections fit with room to spare.
func able() map[string]string {
	return map[string]string{
		"proc/sys/fs/nr_open":                        "1048576\n",
		"proc/sys/fs/file-max":                       "9223372036854775807\n",
		"proc/sys/fs/file-nr":                        "1880\t0\t9223372036854775807\n",
		"proc/sys/net/core/somaxconn":                "4096\n",
		"proc/sys/net/ipv4/tcp_max_syn_backlog":      "8192\n",
		"proc/sys/net/ipv4/tcp_syncookies":           "0\n",
		"proc/sys/fs/epoll/max_user_watches":         "5491511\n",
		"proc/sys/net/ipv4/tcp_mem":                  "287901\t383868\t575802\n",
		"proc/sys/net/ipv4/ip_local_port_range":      "1024\t65535\n",
		"proc/sys/kernel/io_uring_disabled":          "0\n",
		"proc/meminfo":                               "MemTotal:       33554432 kB\nMemFree:        1 kB\nMemAvailable:   16777216 kB\n",
		"proc/self/cgroup":                           "0::/system.slice/c100k.service\n",
		"sys/fs/cgroup/system.slice/memory.max":      "max\n",
		"sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never\n",
		"proc/sys/net/netfilter/nf_conntrack_max":    "262144\n",
		"proc/sys/net/netfilter/nf_conntrack_count":  "100\n",
	}
}

func machine(files map[string]string, soft, hard int64, uring error) Host {
	tree := fstest.MapFS{}
	for name, content := range files {
		tree[name] = &fstest.MapFile{Data: []byte(content)}
	}
	return Host{Root: tree, OpenFiles: func() (int64, int64) { return soft, hard }, Uring: func() error { return uring }, PageSize: 4096}
}

// node is a hundred thousand connections in one process.
var node = Want{Conns: 100_000, Workers: 1, Node: true}

func find(t *testing.T, r Report, name string) Check {
	t.Helper()
	for _, c := range r.Checks {
		if c.Name == name {
			return c
		}
	}
	t.Errorf("no check %q", name)
	return Check{}
}

func TestAbleMachine(t *testing.T) {
	report := Examine(machine(able(), 1024, 1048576, nil), node)
	for _, c := range report.Checks {
		if c.Verdict != OK || c.Lift != "" {
			t.Errorf("%+v", c)
		}
		if c.Name == "" || c.Value == "" || c.Needed == "" || c.Note == "" {
			t.Errorf("not whole: %+v", c)
		}
	}
	if !report.Able || report.Holds != 262044 || report.LimitedBy != "nf_conntrack_max" {
		t.Errorf("%+v", report)
	}
}

func TestLimits(t *testing.T) {
	const v1 = "9:name=systemd:/\n8:pids:/a\n4:memory,hugetlb:/a/b\n0::/\n"
	tests := []struct {
		name      string
		files     map[string]string // over those of the able machine; "-" takes a file away
		hard      int64
		uring     error
		check     string
		verdict   Verdict
		value     string // part of it
		lift      string // part of it
		holds     int64  // 0: not looked at
		limitedBy string
	}{
		{name: "few files", hard: 20000, check: "open files of the process", verdict: Fail, value: "soft 1024, hard 20000",
			lift: "ulimit -n 100128; or 6 workers: c100k serve --workers auto --max-conns 100000", holds: 19872, limitedBy: "open files of the process"},
		{name: "no limit on files", hard: -1, check: "open files of the process", verdict: OK, value: "hard no limit"},
		{name: "ceiling", files: map[string]string{"proc/sys/fs/nr_open": "65536"}, check: "fs.nr_open", verdict: Fail, lift: "sysctl -w fs.nr_open=100128", holds: 65408},
		{name: "system's files", files: map[string]string{"proc/sys/fs/file-max": "50000"}, check: "fs.file-max", verdict: Fail,
			value: "50000, 1880 in use", lift: "sysctl -w fs.file-max=102008", holds: 47992, limitedBy: "fs.file-max"},
		{name: "epoll", files: map[string]string{"proc/sys/fs/epoll/max_user_watches": "90000"}, check: "fs.epoll.max_user_watches", verdict: Fail,
			lift: "sysctl -w fs.epoll.max_user_watches=100000", holds: 90000, limitedBy: "fs.epoll.max_user_watches"},
		{name: "no epoll limit", files: map[string]string{"proc/sys/fs/epoll/max_user_watches": "-"}, check: "fs.epoll.max_user_watches", verdict: Unknown},
		{name: "memory", files: map[string]string{"proc/meminfo": "MemAvailable:     262144 kB\n"}, check: "memory", verdict: Fail,
			value: "256 MiB available", lift: "more memory", holds: 48535, limitedBy: "memory"},
		{name: "group v2", files: map[string]string{
			"sys/fs/cgroup/system.slice/c100k.service/memory.max": "268435456", "sys/fs/cgroup/system.slice/c100k.service/memory.current": "100000000",
			"sys/fs/cgroup/system.slice/c100k.service/memory.stat": "anon 5\ninactive_file 50000000\n"},
			check: "memory", verdict: Fail, value: "208 MiB available in the control group", lift: "MemoryMax=460M", limitedBy: "memory"},
		{name: "group v2, parent", files: map[string]string{"sys/fs/cgroup/system.slice/memory.max": "134217728"}, check: "memory", verdict: Fail,
			value: "128 MiB", lift: "group /sys/fs/cgroup/system.slice)"},
		{name: "group v1", files: map[string]string{"proc/self/cgroup": v1, "sys/fs/cgroup/memory/a/b/memory.limit_in_bytes": "9223372036854771712",
			"sys/fs/cgroup/memory/a/memory.limit_in_bytes": "134217728", "sys/fs/cgroup/memory/a/memory.usage_in_bytes": "67108864",
			"sys/fs/cgroup/memory/a/memory.stat": "inactive_file 1\ntotal_inactive_file 33554432\n"},
			check: "memory", verdict: Fail, value: "96 MiB available in the control group", lift: "docker: --memory 460m"},
		{name: "container v1, only the mount", files: map[string]string{"proc/self/cgroup": v1, "sys/fs/cgroup/memory/memory.limit_in_bytes": "536870912"},
			check: "memory", verdict: OK, value: "512 MiB available in the control group"},
		{name: "no meminfo", files: map[string]string{"proc/meminfo": "-"}, check: "memory", verdict: Unknown, value: "not shown here"},
		{name: "tracked", files: map[string]string{"proc/sys/net/netfilter/nf_conntrack_max": "65536"}, check: "nf_conntrack_max", verdict: Fail,
			value: "65536, 100 in use", lift: "sysctl -w net.netfilter.nf_conntrack_max=100100", holds: 65436},
		{name: "not tracked", files: map[string]string{"proc/sys/net/netfilter/nf_conntrack_max": "-"}, check: "nf_conntrack_max", verdict: OK, value: "not loaded"},
		{name: "tracked without bound", files: map[string]string{"proc/sys/net/netfilter/nf_conntrack_max": "0"}, check: "nf_conntrack_max", verdict: OK},
		{name: "few tasks", files: map[string]string{"sys/fs/cgroup/system.slice/c100k.service/pids.max": "100", "sys/fs/cgroup/system.slice/c100k.service/pids.current": "30"},
			check: "pids.max", verdict: Warn, value: "100, 30 in use", lift: "TasksMax=256"},
		{name: "no limit on tasks", files: map[string]string{"sys/fs/cgroup/system.slice/pids.max": "max"}, check: "pids.max", verdict: OK, value: "no limit"},
		{name: "short queue", files: map[string]string{"proc/sys/net/core/somaxconn": "128"}, check: "net.core.somaxconn", verdict: Warn, lift: "sysctl -w net.core.somaxconn=4096"},
		{name: "short half-open queue", files: map[string]string{"proc/sys/net/ipv4/tcp_max_syn_backlog": "1024"}, check: "net.ipv4.tcp_max_syn_backlog", verdict: Warn,
			lift: "sysctl -w net.ipv4.tcp_max_syn_backlog=4096"},
		{name: "short half-open queue with cookies", files: map[string]string{"proc/sys/net/ipv4/tcp_max_syn_backlog": "128", "proc/sys/net/ipv4/tcp_syncookies": "1"},
			check: "net.ipv4.tcp_max_syn_backlog", verdict: OK, value: "128"},
		{name: "hidden half-open queue", files: map[string]string{"proc/sys/net/ipv4/tcp_max_syn_backlog": "-", "proc/sys/net/ipv4/tcp_syncookies": "1"},
			check: "net.ipv4.tcp_max_syn_backlog", verdict: Unknown},
		{name: "hidden queue", files: map[string]string{"proc/sys/net/core/somaxconn": "-"}, check: "net.core.somaxconn", verdict: Unknown},
		{name: "TCP's memory", files: map[string]string{"proc/sys/net/ipv4/tcp_mem": "30000 40000 60000"}, check: "net.ipv4.tcp_mem", verdict: Warn,
			value: "30000 40000 60000 pages", lift: "sysctl -w net.ipv4.tcp_mem='75000 100000 150000'"},
		{name: "half a line", files: map[string]string{"proc/sys/net/ipv4/tcp_mem": "30000 40000"}, check: "net.ipv4.tcp_mem", verdict: Unknown},
		{name: "few ports", files: map[string]string{"proc/sys/net/ipv4/ip_local_port_range": "32768 60999"}, check: "net.ipv4.ip_local_port_range", verdict: OK,
			value: "32768 to 60999, 28232 ports"},
		{name: "io_uring off", files: map[string]string{"proc/sys/kernel/io_uring_disabled": "2"}, uring: unix.EPERM, check: "io_uring", verdict: Warn,
			value: "kernel.io_uring_disabled is 2", lift: "sysctl -w kernel.io_uring_disabled=0"},
		{name: "io_uring forbidden", uring: os.NewSyscallError("io_uring_setup", unix.EPERM), check: "io_uring", verdict: Warn, value: "not permitted", lift: "seccomp"},
		{name: "io_uring unknown", uring: unix.ENOSYS, check: "io_uring", verdict: Warn, lift: "kernel of 6.1"},
		{name: "huge pages", files: map[string]string{"sys/kernel/mm/transparent_hugepage/enabled": "[always] madvise never"}, check: "transparent huge pages", verdict: Warn,
			value: "always", lift: "echo madvise"},
		{name: "garbage", files: map[string]string{"proc/sys/fs/nr_open": "many"}, check: "fs.nr_open", verdict: Unknown},
	}
	for _, test := range tests {
		files := able()
		maps.Copy(files, test.files)
		maps.DeleteFunc(files, func(_, content string) bool { return content == "-" })
		if test.hard == 0 {
			test.hard = 1048576
		}
		report := Examine(machine(files, 1024, test.hard, test.uring), node)
		c := find(t, report, test.check)
		if c.Verdict != test.verdict || !strings.Contains(c.Value, test.value) || !strings.Contains(c.Lift, test.lift) {
			t.Errorf("%s: %+v", test.name, c)
		}
		if report.Able != (test.verdict != Fail) {
			t.Errorf("%s: able is %v", test.name, report.Able)
		}
		if test.holds != 0 && report.Holds != test.holds || test.limitedBy != "" && report.LimitedBy != test.limitedBy {
			t.Errorf("%s: holds %d, by %s", test.name, report.Holds, report.LimitedBy)
		}
	}
}

func TestBareMachine(t *testing.T) {
	report := Examine(machine(nil, 0, -1, errors.New("no")), Want{Conns: 10, Node: true})
	if !report.Able || report.Holds != noBound {
		t.Errorf("%+v", report)
	}
	if !strings.Contains(report.conclusion(), "no bound") {
		t.Error(report.conclusion())
	}
}

func TestWorkersFor(t *testing.T) {
	for _, test := range []struct{ conns, room, workers int64 }{
		{0, 19872, 1}, {1, 19872, 1}, {19872, 19872, 1}, {19873, 19872, 2}, {100_000, 19872, 6},
		{115_000, 19872, 7}, // they would fit in six if they were dealt evenly
		{1 << 24, 10, WorkersMax}, {100_000, filesMax, 1}, {10, 1, 12},
	} {
		if got := WorkersFor(test.conns, test.room); got != test.workers {
			t.Errorf("%d connections, %d in a process: %d workers, want %d", test.conns, test.room, got, test.workers)
		}
	}
}

func TestWorkers(t *testing.T) {
	few := machine(able(), 1024, 20000, nil)
	for _, test := range []struct {
		name      string
		want      Want
		able      bool
		workers   int64
		holds     int64
		limitedBy string
		serve     string
		needed    string // part of it, of the process's open files
	}{
		{"as many as it takes", Want{Conns: 100_000, Node: true}, true, 6, 262044, "nf_conntrack_max", "c100k serve --workers auto --max-conns 100000", "18461 in each of 6 workers"},
		{"one is enough", Want{Conns: 15_000, Node: true}, true, 1, 262044, "nf_conntrack_max", "", "15128"},
		{"eight", Want{Conns: 100_000, Workers: 8, Node: true}, true, 8, 144523, "open files of the process", "c100k serve --workers 8 --max-conns 100000", "13878 in each of 8 workers"},
		{"too few", Want{Conns: 100_000, Workers: 3, Node: true}, false, 3, 54196, "open files of the process", "", "36795 in each of 3 workers"},
	} {
		r := Examine(few, test.want)
		c := find(t, r, "open files of the process")
		if r.Able != test.able || r.Workers != test.workers || r.Holds != test.holds || r.LimitedBy != test.limitedBy || r.Serve != test.serve || c.Needed != test.needed {
			t.Errorf("%s: %+v", test.name, r)
		}
		if !test.able && !strings.Contains(c.Lift, "LimitNOFILE=36795") {
			t.Errorf("%s: %s", test.name, c.Lift)
		}
	}
	files := able()
	files["proc/sys/fs/nr_open"] = "10000"
	if r := Examine(machine(files, 1024, 20000, nil), Want{Conns: 100_000, Node: true}); r.Workers != 12 || r.PerProcess != 9872 || !r.Able {
		t.Errorf("the lower of limit and ceiling counts: %+v", r)
	}
}

// What further processes, and a generator beside them, add.
func TestShares(t *testing.T) {
	few := machine(able(), 1024, 20000, nil)
	for _, test := range []struct {
		name, check, needed string
		want                Want
	}{
		{"one process", "memory", "459 MiB", Want{Conns: 100_000, Workers: 1, Node: true}},
		{"six and a parent", "memory", "603 MiB in 7 processes and the kernel", Want{Conns: 100_000, Node: true}},
		{"with a generator", "memory", "1216 MiB in 13 processes and the kernel", Want{Conns: 100_000, Node: true, Load: true}},
		{"files", "fs.file-max", "102776", Want{Conns: 100_000, Node: true}},
		{"files with a generator", "fs.file-max", "203544", Want{Conns: 100_000, Node: true, Load: true}},
		{"tracked once", "nf_conntrack_max", "100100", Want{Conns: 100_000, Node: true, Load: true}},
		{"watches", "fs.epoll.max_user_watches", "200000", Want{Conns: 100_000, Node: true, Load: true}},
		{"tasks", "pids.max", "896", Want{Conns: 100_000, Node: true}},
		{"addresses", "net.ipv4.ip_local_port_range", "100000, from 2 addresses of 127.0.0.0/8", Want{Conns: 100_000, Node: true, Load: true}},
		{"plain", "io_uring", "none: --io syscall", Want{Conns: 100_000, Node: true, Plain: true}},
	} {
		if got := find(t, Examine(few, test.want), test.check); got.Needed != test.needed || got.Verdict != OK {
			t.Errorf("%s: %+v, want %q", test.name, got, test.needed)
		}
	}
}

func TestWarnings(t *testing.T) {
	files := able()
	maps.Copy(files, map[string]string{"proc/sys/net/core/somaxconn": "128", "proc/sys/fs/nr_open": "-", "proc/sys/fs/file-max": "50000"})
	found := Examine(machine(files, 1024, 1048576, nil), node).Warnings()
	if len(found) != 2 || found[0].Name != "fs.file-max" || found[1].String() != "net.core.somaxconn is 128 (needed: 4096): sysctl -w net.core.somaxconn=4096" {
		t.Errorf("%+v", found)
	}
	if found := Examine(machine(able(), 1024, 1048576, nil), node).Warnings(); found != nil {
		t.Errorf("%+v", found)
	}
	if got := (Check{Name: "x", Value: "1", Needed: "2"}).String(); got != "x is 1 (needed: 2)" {
		t.Error(got)
	}
}

func TestForLoad(t *testing.T) {
	narrow := able()
	maps.Copy(narrow, map[string]string{"proc/sys/net/ipv4/ip_local_port_range": "32768 60999", "proc/sys/net/core/somaxconn": "128"})
	const queue = "net.core.somaxconn is 128 (needed: 4096): sysctl -w net.core.somaxconn=4096"
	const ports = "net.ipv4.ip_local_port_range is 32768 to 60999, 28232 ports (needed: 50000): sysctl -w net.ipv4.ip_local_port_range='1024 65535'"
	for _, test := range []struct {
		name, target string
		conns        int64
		want         []string
	}{
		{"this box: several addresses, and its accept queue", "127.0.0.1", 50_000, []string{queue}},
		{"the same by its other address", "::ffff:127.0.0.1", 50_000, []string{queue}},
		{"by name", "localhost", 50_000, []string{queue}},
		{"elsewhere by name", "example.com", 50_000, []string{ports}},
		{"elsewhere: one address", "192.0.2.1", 50_000, []string{ports}},
		{"elsewhere, few", "192.0.2.1", 20_000, nil},
		{"elsewhere, more than ports there are", "2001:db8::1", 100_000, []string{strings.Replace(ports, "50000", "100000", 1) + "; and 2 boxes to share the load"}},
	} {
		got := ForLoad(machine(narrow, 1024, 20000, nil), test.target, test.conns)
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %q", test.name, got)
		}
	}
}

func TestWrite(t *testing.T) {
	out := bytes.Buffer{}
	report := Examine(machine(able(), 1024, 20000, nil), node)
	if err := report.Write(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"LIMIT  ", "fail\n", "    unit: LimitNOFILE=100128", "This box holds 19872 connections; what limits it is: open files of the process.", "100000 do not fit."} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
	encoded, err := json.Marshal(report)
	if err != nil || !strings.Contains(string(encoded), `"holds":19872,"limited_by":"open files of the process","able":false`) {
		t.Errorf("%s, %v", encoded, err)
	}
}

func TestWriteWorkers(t *testing.T) {
	out := bytes.Buffer{}
	if err := Examine(machine(able(), 1024, 20000, nil), Want{Conns: 100_000, Node: true}).Write(&out); err != nil {
		t.Fatal(err)
	}
	const want = "100000 fit, in 6 workers, since one process may have 19872 open:\n    c100k serve --workers auto --max-conns 100000\n"
	if !strings.HasSuffix(out.String(), want) {
		t.Errorf("%s", &out)
	}
}

func TestThisHost(t *testing.T) {
	if report := Examine(ThisHost(), Want{Conns: 1, Node: true}); len(report.Checks) != len(checks) || report.Holds < 1 {
		t.Errorf("%+v", report)
	}
}
