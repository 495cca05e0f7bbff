// ring.h: batches of recv and send, through io_uring where a ring is given and by plain system calls otherwise.
#ifndef RING_H
#define RING_H

#include <stdint.h>

enum {
	BATCH_MAX = 512, // operations in one enter; beyond it the gain is small and the kernel holds the core for milliseconds
	BATCH_MIN = 4,   // fewer are cheaper as system calls of their own
};

// One recv or send. res is what the system call would have returned: bytes, 0 at the end of the stream, or -errno.
struct op {
	int fd;
	int res;
	void *buf;
	uint32_t len;
	uint32_t tag; // the caller's own
};

struct ring {
	int fd; // the registered index, not a descriptor
	unsigned *sq_tail, sq_mask, *cq_head, *cq_tail, cq_mask;
	void *sqes, *cqes;
};

// Opens a ring of BATCH_MAX entries for the calling thread, which alone may use it. Returns 0, or -errno.
int ring_open(struct ring *r);

// Run n operations (at most BATCH_MAX) and fill in their results. r may be null: then each is a system call.
void recv_batch(struct ring *r, struct op *ops, unsigned n);
void send_batch(struct ring *r, struct op *ops, unsigned n);

#endif
