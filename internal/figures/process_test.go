package figures

import (
	"os"
	"runtime"
	"testing"
	"time"
)

func TestProcess(t *testing.T) {
	p := NewProcessReader().Read()
	if p.PID != os.Getpid() || p.Goroutines < 1 || p.OpenFiles < 3 || p.FilesLimit < 3 || p.HeapBytes < 1<<10 {
		t.Errorf("%+v", p)
	}
	if _, err := os.Stat("/proc/self/smaps_rollup"); err == nil && p.PrivateBytes < 1<<20 {
		t.Errorf("private memory of %d bytes", p.PrivateBytes)
	}
}

func TestProcessMemoryPerConnection(t *testing.T) {
	p := NewProcessReader()
	p.at = time.Now().Add(time.Hour) // what is cached stays fresh
	p.last = Process{PrivateBytes: 3 << 20, BaseBytes: 1 << 20}
	for conns, want := range map[int]float64{0: 0, 2: 1 << 20} {
		s := Source{Process: p.Read(), Loops: make([]Loop, 1)}
		s.Loops[0].Connections = conns
		if got := Read(&s).Number("memory.per_connection_bytes"); got != want {
			t.Errorf("%d connections: %v bytes each, want %v", conns, got, want)
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
