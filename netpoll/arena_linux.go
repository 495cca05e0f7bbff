// The read arena: address space whose untouched pages cost nothing.

package netpoll

import "golang.org/x/sys/unix"

// newArena maps n bytes. Where mapping is refused the heap serves as well, only
// that an idle loop cannot give it back.
func newArena(n int) []byte {
	p, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return make([]byte, n)
	}
	// A huge page for each first touch would make the arena resident as a whole.
	_ = unix.Madvise(p, unix.MADV_NOHUGEPAGE)
	return p
}

// trimArena gives the pages back; they read as zero afterwards.
func trimArena(p []byte) { _ = unix.Madvise(p, unix.MADV_DONTNEED) }

// freeArena unmaps p. A p from the heap is refused by Munmap and left to the
// collector.
func freeArena(p []byte) { _ = unix.Munmap(p) }
