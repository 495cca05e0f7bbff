// Command c100k runs and talks to a push node.
package main

import (
	"context"
	"os"

	"golang.org/x/sys/unix"

	"c100k/internal/doctor"
	"c100k/internal/workers"
)

func main() {
	a := app{
		args:     os.Args[1:],
		environ:  os.Environ(),
		stdin:    os.Stdin,
		stdout:   os.Stdout,
		stderr:   os.Stderr,
		terminal: isTerminal,
		signals:  catch,
		newNode:  newNode,
		host:     doctor.ThisHost,
		pause:    pause,
	}
	link, err := workers.Inherited()
	switch {
	case err != nil:
		os.Exit(a.exitCode(&exit{exitUsage, err}))
	case link != nil:
		os.Exit(a.work(link))
	}
	os.Exit(a.run(context.Background()))
}

// isTerminal says whether a stream is a terminal: an *os.File that knows terminal attributes.
func isTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(file.Fd()), unix.TCGETS)
	return err == nil
}
