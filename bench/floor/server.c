// server.c: the part of a floor server that does not depend on how bytes reach the kernel.
#define _GNU_SOURCE
#include "server.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

int epoll, listener;
struct conn *conns;
int *members;
uint32_t members_len;

static void check(int result, const char *what) {
	if (result < 0) {
		perror(what);
		exit(1);
	}
}

void server_start(int argc, char **argv) {
	int port = 0;
	for (int o; (o = getopt(argc, argv, "p:")) != -1;) {
		if (o != 'p')
			exit(2);
		port = atoi(optarg);
	}
	signal(SIGPIPE, SIG_IGN);
	struct rlimit files;
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	check(setrlimit(RLIMIT_NOFILE, &files), "setrlimit");
	conns = calloc(files.rlim_max, sizeof *conns);
	members = calloc(files.rlim_max, sizeof *members);
	epoll = epoll_create1(EPOLL_CLOEXEC);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int one = 1;
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); // accepted sockets inherit it
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	check(bind(listener, (struct sockaddr *)&addr, sizeof addr), "bind");
	check(listen(listener, 4096), "listen");
	struct epoll_event e = {.events = EPOLLIN, .data.fd = listener};
	check(epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &e), "epoll_ctl");
	socklen_t len = sizeof addr;
	getsockname(listener, (struct sockaddr *)&addr, &len);
	printf("listening on %d\n", ntohs(addr.sin_port));
	fflush(stdout);
}

void server_accept(void) {
	for (int i = 0; i < EVENTS_MAX; i++) {
		int fd = accept4(listener, 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0)
			return;
		conns[fd] = (struct conn){.member = NOT_A_MEMBER};
		struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
		check(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e), "epoll_ctl");
	}
}

void server_close(int fd) {
	struct conn *c = &conns[fd];
	if (c->member != NOT_A_MEMBER) {
		int last = members[--members_len];
		members[c->member] = last;
		conns[last].member = c->member;
	}
	free(c->in);
	free(c->out);
	*c = (struct conn){.member = NOT_A_MEMBER};
	close(fd);
}

size_t server_resume(int fd, uint8_t *buf) {
	struct pending *in = conns[fd].in;
	if (!in)
		return 0;
	size_t n = in->len;
	memcpy(buf, in->bytes, n);
	pending_drop(&conns[fd].in, n);
	return n;
}

// Reads the request head and writes the 101 answer in its place: the head is the longer of the two, or the answer grows into what is free behind it.
static struct run handshake(int fd, uint8_t *buf, size_t n) {
	struct conn *c = &conns[fd];
	uint8_t *end = memmem(buf, n, "\r\n\r\n", 4);
	if (!end) {
		if (n < FRAME_MAX / 2)
			pending_add(&c->in, buf, n);
		else
			shutdown(fd, SHUT_RDWR);
		return (struct run){0};
	}
	static const char name[] = "\r\nSec-WebSocket-Key:";
	char *key = 0;
	for (uint8_t *p = buf; (p = memchr(p, '\r', (size_t)(end - p))); p++)
		if (!strncasecmp((char *)p, name, sizeof name - 1)) {
			key = (char *)p + sizeof name - 1;
			break;
		}
	if (!key) {
		shutdown(fd, SHUT_RDWR);
		return (struct run){0};
	}
	key += *key == ' ';
	c->open = true;
	if (!memcmp(buf, "GET /broadcast", 14) || !memcmp(buf, "GET /ws", 7)) {
		c->member = members_len;
		members[members_len++] = fd;
	}
	char answer[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
	                "____________________________\r\n\r\n";
	size_t len = sizeof answer - 1;
	accept_key(key, answer + len - 4 - ACCEPT_LEN);
	size_t head = (size_t)(end + 4 - buf);
	if (head == n) {
		memcpy(buf, answer, len);
		return (struct run){buf, len, false};
	}
	// Frames came right behind the head. The answer goes out in front of their reply.
	ssize_t sent = send(fd, answer, len, MSG_NOSIGNAL);
	server_sent(fd, (uint8_t *)answer, len, sent < 0 ? -errno : (int)sent);
	return server_input(fd, buf + head, n - head);
}

struct run server_input(int fd, uint8_t *buf, size_t n) {
	struct conn *c = &conns[fd];
	if (!c->open)
		return handshake(fd, buf, n);
	// A server's header is the client's without the mask, so the first reply begins four bytes into its frame and its payload stays where it is. The
	// frames behind it move up, and all leave in one send.
	struct run run = {.bytes = buf + 4, .everyone = c->member != NOT_A_MEMBER};
	uint8_t *in = buf, *end = buf + n, *out = run.bytes;
	struct frame f;
	while (in < end && frame_header(in, (size_t)(end - in), &f)) {
		if (!f.masked || f.payload > FRAME_MAX - HEADER_MAX) {
			shutdown(fd, SHUT_RDWR);
			return (struct run){0};
		}
		if (f.opcode == OP_CLOSE) { // and whatever stood before it in this read: nobody who closes waits for an answer
			shutdown(fd, SHUT_RDWR);
			return (struct run){0};
		}
		if (f.header + f.payload > (size_t)(end - in))
			break;
		uint32_t key;
		memcpy(&key, in + f.header - 4, 4);
		uint8_t *payload = in + f.header;
		mask(payload, f.payload, key);
		in[1] &= 0x7f;
		memmove(out, in, f.header - 4);
		out += f.header - 4;
		if (out != payload)
			memmove(out, payload, f.payload);
		out += f.payload;
		in = payload + f.payload;
	}
	if (in < end)
		pending_add(&c->in, in, (size_t)(end - in));
	run.len = (size_t)(out - run.bytes);
	return run;
}

static void wait_for(int fd, uint32_t events) {
	struct epoll_event e = {.events = events, .data.fd = fd};
	check(epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &e), "epoll_ctl");
}

void server_sent(int fd, const uint8_t *p, size_t n, int res) {
	if (res == (int)n)
		return;
	if (res < 0 && res != -EAGAIN) {
		shutdown(fd, SHUT_RDWR); // epoll reports it, and it is closed there: members must not change under a fan-out
		return;
	}
	size_t taken = res < 0 ? 0 : (size_t)res;
	if (!conns[fd].out)
		wait_for(fd, EPOLLIN | EPOLLOUT);
	pending_add(&conns[fd].out, p + taken, n - taken);
}

void server_writable(int fd) {
	struct conn *c = &conns[fd];
	if (!c->out)
		return;
	ssize_t k = send(fd, c->out->bytes, c->out->len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (k > 0)
		pending_drop(&c->out, (size_t)k);
	if (!c->out)
		wait_for(fd, EPOLLIN);
}
