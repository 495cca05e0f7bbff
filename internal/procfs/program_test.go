package procfs

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func TestProgram(t *testing.T) {
	program, err := Program()
	if err != nil || program != selfExe {
		t.Errorf("%q, %v; want %s", program, err, selfExe)
	}
	nothing := filepath.Join(t.TempDir(), "exe")
	program, err = programOf(nothing, startedAs, startedAsErr)
	if err != nil || !filepath.IsAbs(program) {
		t.Errorf("without /proc: %q, %v; want the path of this test", program, err)
	}
	if info, err := os.Stat(program); err != nil || info.IsDir() {
		t.Errorf("without /proc: %q is no program: %v", program, err)
	}
	if _, err := programOf(nothing, "", exec.ErrNotFound); !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("with nothing to go by: %v", err)
	}
}
