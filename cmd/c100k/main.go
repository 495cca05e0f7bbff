// Command c100k runs and talks to a push node.
package main

import (
	"context"
	"os"

	"github.com/coreos/go-systemd/v22/activation"
	"golang.org/x/sys/unix"

	"c100k/internal/doctor"
	"c100k/internal/workers"
	"c100k/server"
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
		ports:    func() (*server.Ports, error) { return portsOf(activation.Files(true)) },
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
