// What is read of this process, of one that has ended, and of texts.

package procfs

import (
	"os"
	"os/exec"
	"testing"
)

func TestParsePrivate(t *testing.T) {
	got, err := parsePrivate("Rss: 9 kB\nPrivate_Clean:        4 kB\nPrivate_Dirty:       12 kB\nPrivate_Hugetlb:      0 kB\n")
	if err != nil || got != 16<<10 {
		t.Errorf("%d, %v", got, err)
	}
	for _, text := range []string{"", "Rss: 9 kB\n", "Private_Dirty: many kB\n"} {
		if got, err := parsePrivate(text); err == nil {
			t.Errorf("%q: %d", text, got)
		}
	}
}

func TestThisProcess(t *testing.T) {
	if cpu, err := CPUTime(os.Getpid()); err != nil || cpu <= 0 {
		t.Errorf("processor time %v, %v", cpu, err)
	}
	if private, err := PrivateBytes(os.Getpid()); err != nil || private <= 0 {
		t.Errorf("private memory %d, %v", private, err)
	}
}

func TestProcessThatHasEnded(t *testing.T) {
	child := exec.Command("true")
	if err := child.Run(); err != nil {
		t.Fatal(err)
	}
	if _, err := CPUTime(child.Process.Pid); !Gone(err) {
		t.Errorf("processor time: %v", err)
	}
	if _, err := PrivateBytes(child.Process.Pid); !Gone(err) {
		t.Errorf("memory: %v", err)
	}
}
