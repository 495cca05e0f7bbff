// What a connection and a node need of a machine, each with its unit and its reason.

package doctor

const (
	// filesReserve is how many open files a node needs beside its connections: listeners, epoll and
	// io_uring descriptors, the admin port, requests on their way to an upstream, and the runtime's
	// own. server keeps the same number back.
	filesReserve = 128
	// kernelBytesPerConn is what an idle established TCP connection costs the kernel: the sock, its
	// file, inode and dentry, and the epoll item. Measured at about 3.8 KiB on Linux 6.
	kernelBytesPerConn = 3892
	// nodeBytesPerConn is what an idle subscribed connection costs the node: 84 bytes of records, and
	// room for the slack of the last chunks and the runtime's size classes.
	nodeBytesPerConn = 256
	// loadBytesPerConn is what an idle connection costs the load generator, at the most.
	loadBytesPerConn = 1024
	// firstProcessBytes is what one process of ours needs with no connection at all, while it works:
	// text, heap, stacks, read arenas, rings, and room for what the heap grows by between two
	// collections.
	firstProcessBytes = 64 << 20
	// processBytes is what each further one adds: they share the text, and the connections of one are
	// not those of another.
	processBytes = 24 << 20
	// tcpBytesPerConn is one page in a socket's queue: what a broadcast puts into every connection at
	// once.
	tcpBytesPerConn = 4096
	// tasksPerProcess is how many threads a process may come to: one a loop, the runtime's, and
	// blocking file I/O.
	tasksPerProcess = 128
	// backlogNeeded is how many connections may wait to be accepted. Thousands of clients that
	// reconnect at once fill a shorter queue, and those that do not fit wait for a retransmitted SYN:
	// one second, then three.
	backlogNeeded = 4096
	// localPortsMax is the widest range that leaves the ports below 1024 alone.
	localPortsMax = 65535 - 1024 + 1
	// filesMax is as far as limits on open files are followed: what the kernel lets fs.nr_open be at
	// the most.
	filesMax = 1 << 31

	// unevenPercent is what is left free when processes are counted, and slackPercent what the fullest
	// may have beyond its even share: the kernel deals connections by a hash. server reckons with the
	// same.
	unevenPercent = 15
	slackPercent  = 10

	// WorkersMax is how many processes a node may have; server's bound.
	WorkersMax = 64
)
