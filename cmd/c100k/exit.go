// Exit codes, and how an error reaches the user.

package main

import (
	"errors"
	"fmt"
	"strings"

	"c100k/internal/settings"
)

// Exit codes of every command; `serve` uses all of them.
const (
	exitOK      = 0  // did what was asked
	exitFailure = 1  // ran, and failed; a second signal during a drain; doctor: the box cannot
	exitUsage   = 2  // a command line that cannot be understood
	exitListen  = 3  // cannot listen, or cannot reach the bus, at start
	exitConfig  = 78 // invalid configuration in a file or in the environment (EX_CONFIG of sysexits.h)
)

// exit is an error that decides the exit code. A nil err ends the program without a word.
type exit struct {
	code int
	err  error
}

func (e *exit) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exit) Unwrap() error { return e.err }

// failed is an error that happened while a command ran, unless it has an exit code already.
func failed(err error) error {
	var e *exit
	if err == nil || errors.As(err, &e) {
		return err
	}
	return &exit{exitFailure, err}
}

func usage(format string, args ...any) error { return &exit{exitUsage, fmt.Errorf(format, args...)} }

// misconfigured is a usage error where all that is wrong was said on the command line.
func misconfigured(err error) error {
	if settings.OnlyFlags(err) {
		return &exit{exitUsage, err}
	}
	return &exit{exitConfig, err}
}

// exitCode prints the error, each part on lines of its own, and says what the process ends with.
func (a *app) exitCode(err error) int {
	if err == nil {
		return exitOK
	}
	var e *exit
	if !errors.As(err, &e) {
		// Commands end with an exit: this is a command line that cobra did not accept.
		e = &exit{exitUsage, err}
	}
	if e.err != nil {
		for _, part := range settings.Parts(e.err) {
			fmt.Fprintf(a.stderr, "c100k: %s\n", strings.TrimRight(part.Error(), "\n"))
		}
	}
	return e.code
}
