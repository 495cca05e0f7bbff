// Where figures were made, so that a reader can tell what they depend on.

package rig

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"c100k/loadgen"
)

// Machine is a machine and what was run on it.
type Machine struct {
	loadgen.Machine
	Date       string `json:"date"`
	Commit     string `json:"commit"`      // of the work tree, with "+dirty" where it differs
	Version    string `json:"version"`     // what the program says of itself
	Go         string `json:"go"`          // of the program that measures
	LoadBefore string `json:"load_before"` // other work on the box
}

// Describe describes this machine, the work tree of the current directory, and the program that is
// measured.
func Describe(binary string) Machine {
	m := Machine{Machine: loadgen.ThisMachine(), Date: time.Now().UTC().Format(time.RFC3339), Go: runtime.Version(),
		Commit: output("git", "rev-parse", "--short=12", "HEAD"), Version: output(binary, "version")}
	if output("git", "status", "--porcelain", "--untracked-files=no") != "" {
		m.Commit += "+dirty"
	}
	load, _ := os.ReadFile("/proc/loadavg") // always there on Linux
	m.LoadBefore = strings.TrimSpace(string(load))
	return m
}

// output is what a command prints, "" where it cannot be run.
func output(name string, args ...string) string {
	text, err := exec.Command(name, args...).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}
