// Where a child process runs, and on which address.

package rig

import (
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// Pin keeps the calling thread, and the children it starts, on one core.
func Pin(core int) error {
	var one unix.CPUSet
	one.Set(core)
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		return fmt.Errorf("pin to core %d: %w", core, err)
	}
	return nil
}

// FreeAddress is a port of the host that is free, as host:port.
func FreeAddress(host string) (string, error) {
	ln, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return "", err
	}
	defer ln.Close()
	return ln.Addr().String(), nil
}
