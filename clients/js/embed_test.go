package js

import (
	"bytes"
	"compress/gzip"
	"os"
	"os/exec"
	"testing"
)

// compressedBytesMax bounds what a page loads, in bytes behind gzip -9.
const compressedBytesMax = 4096

func TestSize(t *testing.T) {
	for name, text := range map[string][]byte{"module": Module, "script": Script} {
		var buf bytes.Buffer
		z, err := gzip.NewWriterLevel(&buf, gzip.BestCompression)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = z.Write(text)
		_ = z.Close()
		sizes := map[string]int{"package gzip": buf.Len()}
		if _, err := exec.LookPath("gzip"); err == nil {
			run := exec.Command("gzip", "-9", "-n")
			run.Stdin = bytes.NewReader(text)
			out, err := run.Output()
			if err != nil {
				t.Fatal(err)
			}
			sizes["gzip -9"] = len(out)
		}
		for by, size := range sizes {
			if size > compressedBytesMax || size < 1000 {
				t.Errorf("the %s has %d bytes by %s; the most is %d", name, size, by, compressedBytesMax)
			}
			t.Logf("%s: %d bytes by %s", name, size, by)
		}
	}
}

// npm runs a command that the package's own tools give.
func npm(t *testing.T, args ...string) {
	t.Helper()
	if _, err := os.Stat("node_modules"); err != nil {
		t.Skip("the Node packages are not there: run internal/e2e/setup.sh")
	}
	if out, err := exec.Command("node", args...).CombinedOutput(); err != nil {
		t.Errorf("node %v: %v\n%s", args, err, out)
	}
}

// What is served was made of the source that is here.
func TestBuildIsCurrent(t *testing.T) { npm(t, "build.mjs", "--check") }

// The types say what the client does: a program that uses all of it compiles, and each of its wrong
// lines is refused.
func TestTypes(t *testing.T) { npm(t, "node_modules/typescript/bin/tsc", "--project", "test") }
