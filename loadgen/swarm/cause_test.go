// The names of socket errors.

package swarm

import (
	"os"
	"syscall"
	"testing"
)

// TestCauses: limits of the generator have their own names, which the verdict on a run uses.
func TestCauses(t *testing.T) {
	for errno, want := range map[syscall.Errno]string{
		syscall.EADDRNOTAVAIL: NoPort, syscall.EMFILE: NoDescriptor, syscall.ENFILE: NoDescriptor,
		syscall.ECONNREFUSED: "refused", syscall.EPIPE: "reset", syscall.ENETUNREACH: "unreachable", syscall.EPERM: "operation not permitted",
	} {
		if got := causeOf(os.NewSyscallError("connect", errno)); got != want {
			t.Errorf("%v is %q, want %q", errno, got, want)
		}
	}
	if got := causeOf(os.ErrClosed); got != "no connection" {
		t.Errorf("an error that is no errno is %q", got)
	}
}
