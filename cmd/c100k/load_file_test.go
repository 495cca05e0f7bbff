// Files of results, with and without a result.

package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestResultFile(t *testing.T) {
	dir := t.TempDir()
	old, fresh := filepath.Join(dir, "old"), filepath.Join(dir, "fresh")
	if err := os.WriteFile(old, []byte("the result of yesterday"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{old, fresh} {
		file, err := openResult(path)
		if err != nil {
			t.Fatal(err)
		}
		file.close()
	}
	if text, err := os.ReadFile(old); err != nil || string(text) != "the result of yesterday" {
		t.Errorf("a run without a result made %q of an old one, %v", text, err)
	}
	if _, err := os.Stat(fresh); err == nil {
		t.Error("a file that nothing was written to is left behind")
	}
	file, err := openResult(old)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"to", "day"} {
		if _, err := file.Write([]byte(part)); err != nil {
			t.Fatal(err)
		}
	}
	file.close()
	if text, err := os.ReadFile(old); err != nil || string(text) != "today" {
		t.Errorf("%q, %v", text, err)
	}
	if _, err := openResult(filepath.Join(dir, "none", "file")); err == nil {
		t.Error("a directory that is not there is no error")
	}
}
