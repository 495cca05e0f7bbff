// floor-send.c: the floor with plain system calls: one thread, epoll, recv and send.
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "server.h"

static void send_now(int fd, const struct run *run) {
	int res = -EAGAIN;
	if (!conns[fd].out) { // what waits goes first
		ssize_t k = send(fd, run->bytes, run->len, MSG_DONTWAIT | MSG_NOSIGNAL);
		res = k < 0 ? -errno : (int)k;
	}
	server_sent(fd, run->bytes, run->len, res);
}

static void readable(int fd) {
	static uint8_t buf[FRAME_MAX];
	size_t have = server_resume(fd, buf);
	ssize_t k = recv(fd, buf + have, sizeof buf - have, MSG_DONTWAIT);
	if (k < 0 && errno == EAGAIN)
		k = 0;
	else if (k <= 0) {
		server_close(fd);
		return;
	}
	struct run run = server_input(fd, buf, have + (size_t)k);
	if (run.len == 0)
		return;
	if (!run.everyone) {
		send_now(fd, &run);
		return;
	}
	for (uint32_t i = 0; i < members_len; i++)
		send_now(members[i], &run);
}

int main(int argc, char **argv) {
	server_start(argc, argv);
	for (;;) {
		struct epoll_event events[EVENTS_MAX];
		int n = epoll_wait(epoll, events, EVENTS_MAX, -1);
		for (int i = 0; i < n; i++) {
			int fd = events[i].data.fd;
			if (fd == listener) {
				server_accept();
				continue;
			}
			if (events[i].events & EPOLLOUT)
				server_writable(fd);
			if (events[i].events & ~(uint32_t)EPOLLOUT)
				readable(fd);
		}
	}
}
