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
	addresses, err := freeAddresses(host)
	if err != nil {
		return "", err
	}
	return addresses[0], nil
}

// freeAddresses gives each host a free port. All are held until the last is found: else two could
// be the same.
func freeAddresses(hosts ...string) (addresses []string, err error) {
	for _, host := range hosts {
		ln, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
		if err != nil {
			return nil, err
		}
		defer ln.Close()
		addresses = append(addresses, ln.Addr().String())
	}
	return addresses, nil
}
