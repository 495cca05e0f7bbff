// ring.c: io_uring by raw system calls, as a batcher of non-blocking recv and send.
#include "ring.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

int ring_open(struct ring *r) {
	struct io_uring_params p = {0};
	// One thread submits and reaps, so completions need no interrupt of it. SUBMIT_ALL: one bad operation does not hold back the rest.
	p.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL;
	int fd = (int)syscall(SYS_io_uring_setup, BATCH_MAX, &p);
	if (fd < 0)
		return -errno;
	size_t sq_size = p.sq_off.array + p.sq_entries * sizeof(unsigned);
	size_t cq_size = p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe);
	size_t size = sq_size > cq_size ? sq_size : cq_size; // one mapping holds both (IORING_FEAT_SINGLE_MMAP, Linux 5.4)
	char *rings = mmap(0, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, IORING_OFF_SQ_RING);
	void *sqes = mmap(0, p.sq_entries * sizeof(struct io_uring_sqe), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, IORING_OFF_SQES);
	if (rings == MAP_FAILED || sqes == MAP_FAILED)
		return -errno;
	r->sq_tail = (unsigned *)(rings + p.sq_off.tail);
	r->sq_mask = *(unsigned *)(rings + p.sq_off.ring_mask);
	r->cq_head = (unsigned *)(rings + p.cq_off.head);
	r->cq_tail = (unsigned *)(rings + p.cq_off.tail);
	r->cq_mask = *(unsigned *)(rings + p.cq_off.ring_mask);
	r->sqes = sqes;
	r->cqes = rings + p.cq_off.cqes;
	unsigned *array = (unsigned *)(rings + p.sq_off.array);
	for (unsigned i = 0; i < p.sq_entries; i++)
		array[i] = i;
	// A registered ring saves the look-up of the descriptor in every enter.
	struct io_uring_rsrc_update update = {.offset = -1U, .data = (uint64_t)fd};
	if (syscall(SYS_io_uring_register, fd, IORING_REGISTER_RING_FDS, &update, 1) != 1)
		return -errno;
	r->fd = (int)update.offset;
	return 0;
}

static void run_batch(struct ring *r, struct op *ops, unsigned n, int opcode, unsigned flags) {
	unsigned tail = *r->sq_tail;
	for (unsigned i = 0; i < n; i++) {
		struct io_uring_sqe *sqe = (struct io_uring_sqe *)r->sqes + ((tail + i) & r->sq_mask);
		memset(sqe, 0, sizeof *sqe);
		sqe->opcode = (uint8_t)opcode;
		sqe->fd = ops[i].fd;
		sqe->addr = (uint64_t)(uintptr_t)ops[i].buf;
		sqe->len = ops[i].len;
		sqe->msg_flags = flags;
		sqe->user_data = i;
	}
	__atomic_store_n(r->sq_tail, tail + n, __ATOMIC_RELEASE);
	// MSG_DONTWAIT completes each operation inside this enter, so no buffer outlives the call.
	unsigned submit = n, done = 0;
	while (done < n) {
		long k = syscall(SYS_io_uring_enter, r->fd, submit, n - done, IORING_ENTER_GETEVENTS | IORING_ENTER_REGISTERED_RING, 0, 0);
		if (k < 0 && errno != EINTR) {
			perror("io_uring_enter");
			exit(1);
		}
		if (k > 0)
			submit -= (unsigned)k;
		unsigned head = *r->cq_head, end = __atomic_load_n(r->cq_tail, __ATOMIC_ACQUIRE);
		for (; head != end; head++, done++) {
			struct io_uring_cqe *cqe = (struct io_uring_cqe *)r->cqes + (head & r->cq_mask);
			ops[cqe->user_data].res = cqe->res;
		}
		__atomic_store_n(r->cq_head, head, __ATOMIC_RELEASE);
	}
}

void recv_batch(struct ring *r, struct op *ops, unsigned n) {
	if (r && n >= BATCH_MIN) {
		run_batch(r, ops, n, IORING_OP_RECV, MSG_DONTWAIT);
		return;
	}
	for (unsigned i = 0; i < n; i++) {
		ssize_t k = recv(ops[i].fd, ops[i].buf, ops[i].len, MSG_DONTWAIT);
		ops[i].res = k < 0 ? -errno : (int)k;
	}
}

void send_batch(struct ring *r, struct op *ops, unsigned n) {
	if (r && n >= BATCH_MIN) {
		run_batch(r, ops, n, IORING_OP_SEND, MSG_DONTWAIT | MSG_NOSIGNAL);
		return;
	}
	for (unsigned i = 0; i < n; i++) {
		ssize_t k = send(ops[i].fd, ops[i].buf, ops[i].len, MSG_DONTWAIT | MSG_NOSIGNAL);
		ops[i].res = k < 0 ? -errno : (int)k;
	}
}
