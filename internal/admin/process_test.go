package admin

import (
	"os"
	"runtime"
	"testing"
	"time"
)

func TestProcess(t *testing.T) {
	p := newProcess()
	var s Stats
	s.Connections.Total = 2
	p.read(&s)
	if s.PID != os.Getpid() || s.Goroutines < 1 || s.Files.Open < 3 || s.Files.Limit < 3 || s.Memory.HeapBytes < 1<<10 {
		t.Errorf("%+v", s)
	}
	if _, err := os.Stat("/proc/self/smaps_rollup"); err == nil && s.Memory.PrivateBytes < 1<<20 {
		t.Errorf("private memory of %d bytes", s.Memory.PrivateBytes)
	}
}

func TestProcessMemoryPerConnection(t *testing.T) {
	p := newProcess()
	p.base = 1 << 20
	p.at = time.Now().Add(time.Hour) // what is cached stays fresh
	p.last.Memory = Memory{PrivateBytes: 3 << 20, BaseBytes: p.base}
	for conns, want := range map[int]int64{0: 0, 2: 1 << 20} {
		var s Stats
		s.Connections.Total = conns
		p.read(&s)
		if s.Memory.PerConnectionBytes != want {
			t.Errorf("%d connections: %d bytes each, want %d", conns, s.Memory.PerConnectionBytes, want)
		}
	}
}

func TestOpenFiles(t *testing.T) {
	before := openFiles()
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	if after := openFiles(); after != before+1 {
		t.Errorf("%d descriptors, and with one more %d", before, after)
	}
	runtime.KeepAlive(f)
	f.Close()
}
