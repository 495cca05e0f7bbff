// What a connection and a node need of a machine, each with its unit and its reason.

package doctor

const (
	// filesReserve is how many open files a node needs beside its connections: listeners, epoll and io_uring
	// descriptors, the admin port, requests on their way to an upstream, and the runtime's own. server keeps the same
	// number back.
	filesReserve = 128
	// kernelBytesPerConn is what an idle established TCP connection costs the kernel: the sock, its file, inode and
	// dentry, and the epoll item. Measured at about 3.8 KiB on Linux 6.
	kernelBytesPerConn = 3892
	// nodeBytesPerConn is what an idle subscribed connection costs the process.
	nodeBytesPerConn = 256
	// nodeBytes is what a node needs with no connection at all: text, heap, stacks, read arenas, rings.
	nodeBytes = 64 << 20
	// tcpBytesPerConn is one page in a socket's queue: what a broadcast puts into every connection at once.
	tcpBytesPerConn = 4096
	// tasksNeeded is how many threads a node may come to: one a loop, the runtime's, and blocking file I/O.
	tasksNeeded = 128
	// backlogNeeded is how many connections may wait to be accepted. Thousands of clients that reconnect at once fill
	// a shorter queue, and those that do not fit wait for a retransmitted SYN: one second, then three.
	backlogNeeded = 4096
	// localPortsMax is the widest range that leaves the ports below 1024 alone.
	localPortsMax = 65535 - 1024 + 1
)
