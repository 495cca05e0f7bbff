// What tests outside the package may look at.

package netpoll

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// ArenaPages is how many pages of l's read arena are resident.
func ArenaPages(l *Loop) int {
	state := make([]byte, (len(l.readArena)+pageSize-1)/pageSize)
	_, _, errno := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(&l.readArena[0])), uintptr(len(l.readArena)), uintptr(unsafe.Pointer(&state[0])))
	if errno != 0 {
		return -1
	}
	n := 0
	for _, s := range state {
		n += int(s & 1)
	}
	return n
}
