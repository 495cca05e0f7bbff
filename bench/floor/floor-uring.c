// floor-uring.c: the floor with io_uring: epoll says who is ready, one enter receives from all of them, one sends to all.
#include <errno.h>
#include <sys/epoll.h>
#include <sys/mman.h>

#include "ring.h"
#include "server.h"

// Each ready connection has its own piece of the arena. The odd lines keep equal offsets of neighbours out of one cache set.
enum { PIECE = FRAME_MAX + 5 * 64 };

static struct ring ring;
static uint8_t *arena;
static struct op sends[BATCH_MAX];
static unsigned sends_len;

static void flush(void) {
	send_batch(&ring, sends, sends_len);
	for (unsigned i = 0; i < sends_len; i++)
		server_sent(sends[i].fd, sends[i].buf, sends[i].len, sends[i].res);
	sends_len = 0;
}

static void send_later(int fd, const struct run *run) {
	if (conns[fd].out) { // what waits goes first
		server_sent(fd, run->bytes, run->len, -EAGAIN);
		return;
	}
	if (sends_len == BATCH_MAX)
		flush();
	sends[sends_len++] = (struct op){.fd = fd, .buf = run->bytes, .len = (uint32_t)run->len};
}

static void received(struct op *op) {
	int fd = op->fd;
	if (op->res <= 0 && op->res != -EAGAIN) {
		server_close(fd);
		return;
	}
	size_t k = op->res < 0 ? 0 : (size_t)op->res;
	struct run run = server_input(fd, (uint8_t *)op->buf - op->tag, op->tag + k);
	if (run.len == 0)
		return;
	if (!run.everyone) {
		send_later(fd, &run);
		return;
	}
	// A batch must not hold a connection twice: were the first send short, the second would overtake its rest.
	flush();
	for (uint32_t i = 0; i < members_len; i++)
		send_later(members[i], &run);
	flush();
}

int main(int argc, char **argv) {
	server_start(argc, argv);
	int err = ring_open(&ring);
	if (err < 0) {
		fprintf(stderr, "io_uring is not allowed here: %s\n", strerror(-err));
		return 3;
	}
	size_t size = (size_t)EVENTS_MAX * PIECE;
	arena = mmap(0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (arena == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	for (;;) {
		struct epoll_event events[EVENTS_MAX];
		struct op recvs[EVENTS_MAX];
		unsigned recvs_len = 0;
		int n = epoll_wait(epoll, events, EVENTS_MAX, -1);
		for (int i = 0; i < n; i++) {
			int fd = events[i].data.fd;
			if (fd == listener) {
				server_accept();
				continue;
			}
			if (events[i].events & EPOLLOUT)
				server_writable(fd);
			if (!(events[i].events & ~(uint32_t)EPOLLOUT))
				continue;
			uint8_t *buf = arena + (size_t)recvs_len * PIECE;
			size_t have = server_resume(fd, buf);
			recvs[recvs_len++] = (struct op){.fd = fd, .buf = buf + have, .len = (uint32_t)(FRAME_MAX - have), .tag = (uint32_t)have};
		}
		recv_batch(&ring, recvs, recvs_len);
		for (unsigned i = 0; i < recvs_len; i++)
			received(&recvs[i]);
		flush();
	}
}
