// client-conn.c: the load client's connections: handshakes, batches of reads and writes, frames.
#define _GNU_SOURCE
#include "client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static const uint32_t mask_key = 0xa53c971e; // any but zero, so that the server has to unmask

// Each read of a batch has its own piece. The odd lines keep equal offsets of neighbours out of one cache set.
enum { PIECE = RECEIVE_MAX + 5 * 64 };
static uint8_t *arena;

void put_seq(char out[SEQ_LEN], uint64_t seq) {
	for (int i = SEQ_LEN - 1; i >= 0; i--, seq >>= 4)
		out[i] = "0123456789abcdef"[seq & 15];
}

void prepare(struct client *c) {
	size_t size = (size_t)c->o.size;
	arena = mmap(0, (size_t)BATCH_MAX * PIECE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	c->filler = malloc(size);
	memset(c->filler, 'x', size);
	c->frame = malloc(size + HEADER_MAX);
	size_t header = put_header(c->frame, 1, 1, size);
	memcpy(c->frame + header, &mask_key, 4);
	c->frame_payload = header + 4;
	c->frame_len = c->frame_payload + size;
	memcpy(c->frame + c->frame_payload, c->filler, size);
	mask(c->frame + c->frame_payload, size, mask_key);
	c->stage_max = STAGE_BYTES > c->frame_len * INFLIGHT_MAX ? STAGE_BYTES : c->frame_len * INFLIGHT_MAX;
	c->stage = malloc(c->stage_max);
	c->batch = 1;
	c->now = c->progress = clock_ns(CLOCK_MONOTONIC);
}

static void watch(struct group *g, struct conn *k, int action, uint32_t events) {
	struct epoll_event e = {.events = events, .data.u32 = (uint32_t)(k - g->conns)};
	epoll_ctl(g->epoll, action, k->fd, &e);
}

void drop_conn(struct group *g, struct conn *k) {
	close(k->fd);
	g->opened -= k->open;
	free(k->in);
	free(k->out);
	*k = (struct conn){.fd = -1};
}

static void send_rest(struct group *g, struct conn *k, const uint8_t *p, size_t n) {
	if (!k->out)
		watch(g, k, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
	pending_add(&k->out, p, n);
}

// Sends a few bytes at once, outside any batch: request heads and pongs.
static void send_alone(struct group *g, struct conn *k, const uint8_t *p, size_t n) {
	ssize_t sent = k->out ? 0 : send(k->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent < 0)
		sent = 0; // a dead socket shows itself at the next read
	if ((size_t)sent < n)
		send_rest(g, k, p + sent, n - (size_t)sent);
}

void start_conn(struct client *c, struct group *g, struct conn *k) {
	// One source address has too few ports for all that wait out their TIME_WAIT in a run of handshakes, so those take addresses in turn.
	bool churn = !c->keep_open;
	uint32_t source = churn ? c->started % 200 : c->started / SOURCE_CONNS_MAX;
	k->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (k->fd < 0)
		fail(c, errno == EMFILE ? "the client may not open so many files" : strerror(errno));
	int one = 1;
	setsockopt(k->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	setsockopt(k->fd, SOL_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
	struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000002 + source)};
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)c->o.port)};
	if (inet_pton(AF_INET, c->o.host, &to.sin_addr) != 1)
		fail(c, "--host is not an IPv4 address");
	if (ntohl(to.sin_addr.s_addr) >> 24 == 127)
		bind(k->fd, (struct sockaddr *)&from, sizeof from);
	// Blocking: on the loopback the kernel answers at once, while OPENING_MAX is below the listener's queue.
	if (connect(k->fd, (struct sockaddr *)&to, sizeof to) < 0)
		fail(c, strerror(errno));
	uint8_t random[16] = {0};
	memcpy(random, &c->started, sizeof c->started);
	memcpy(random + 8, &c->now, sizeof c->now);
	c->started++;
	char key[KEY_LEN], head[512];
	base64(random, sizeof random, key);
	accept_key(key, k->accept);
	int n = snprintf(head, sizeof head,
		"GET %s HTTP/1.1\r\nHost: %s:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %.24s\r\n\r\n",
		g->path, c->o.host, c->o.port, key);
	if (n >= (int)sizeof head)
		fail(c, "--path is too long");
	watch(g, k, EPOLL_CTL_ADD, EPOLLIN);
	send_alone(g, k, (uint8_t *)head, (size_t)n);
}

void group_init(struct client *c, enum group_id id, const char *path, uint32_t n) {
	struct group *g = &c->groups[id];
	g->epoll = epoll_create1(EPOLL_CLOEXEC);
	g->path = path;
	g->len = n;
	g->conns = calloc(n, sizeof *g->conns);
	if (id == ECHO)
		g->due = calloc(n, sizeof *g->due);
	for (uint32_t i = 0; i < n; i++)
		g->conns[i].fd = -1;
}

void group_open(struct client *c, enum group_id id, const char *path, uint32_t n) {
	group_init(c, id, path, n);
	struct group *g = &c->groups[id];
	for (uint32_t started = 0; g->opened < n;) {
		for (; started < n && started - g->opened < OPENING_MAX; started++)
			start_conn(c, g, &g->conns[started]);
		nap(c, pass(c, id, BATCH_MAX));
	}
}

// Returns how much of p is the answer's head, 0 when it is not whole.
static size_t read_answer(struct client *c, struct group *g, struct conn *k, const uint8_t *p, size_t n) {
	const uint8_t *end = memmem(p, n, "\r\n\r\n", 4);
	if (!end)
		return 0;
	size_t head = (size_t)(end + 4 - p);
	if (memcmp(p, "HTTP/1.1 101", 12) || !memmem(p, head, k->accept, ACCEPT_LEN)) {
		fprintf(stderr, "client: the server refused %s: %.*s\n", g->path, (int)n, (const char *)p);
		c->refused++;
		fail(c, "a handshake was refused");
	}
	k->open = true;
	g->opened++;
	c->progress = c->now;
	if (!c->keep_open) {
		c->handshakes += c->measuring;
		drop_conn(g, k);
	}
	return head;
}

static void pong(struct group *g, struct conn *k, const uint8_t *p, size_t n) {
	uint8_t frame[6 + 125];
	if (n > 125)
		return;
	size_t header = put_header(frame, OP_PONG, 1, n);
	memcpy(frame + header, &mask_key, 4);
	memcpy(frame + header + 4, p, n);
	mask(frame + header + 4, n, mask_key);
	send_alone(g, k, frame, header + 4 + n);
}

static void read_frames(struct client *c, struct group *g, struct conn *k, const uint8_t *p, size_t n) {
	if (!k->open) {
		size_t head = read_answer(c, g, k, p, n);
		if (head == 0)
			pending_add(&k->in, p, n);
		if (head == 0 || k->fd < 0)
			return;
		p += head, n -= head;
	}
	struct frame f;
	while (frame_header(p, n, &f) && f.header + f.payload <= n) {
		const uint8_t *payload = p + f.header;
		if (f.opcode == OP_PING) {
			c->pings++;
			pong(g, k, payload, f.payload);
		} else if (f.opcode == OP_CLOSE)
			fprintf(stderr, "client: the server closes %s with code %d\n", g->path, f.payload < 2 ? 1005 : payload[0] << 8 | payload[1]);
		else if (f.opcode < OP_CLOSE)
			on_message(c, g, k, payload, f.payload);
		n -= f.header + f.payload;
		p = payload + f.payload;
	}
	if (n)
		pending_add(&k->in, p, n);
}

void stage_message(struct client *c, struct group *g, struct conn *k, uint64_t due) {
	bool last_sender = k->batch == c->batch && c->senders[c->sends_len - 1] == k;
	// A batch must not hold a connection twice: were the first send short, the second would overtake its rest.
	bool twice = k->batch == c->batch && !last_sender;
	if (twice || c->sends_len == BATCH_MAX || c->stage_len + c->frame_len > c->stage_max) {
		flush(c);
		last_sender = false;
	}
	uint8_t *p = c->stage + c->stage_len;
	memcpy(p, c->frame, c->frame_len);
	put_seq((char *)p + c->frame_payload, k->sent);
	mask(p + c->frame_payload, SEQ_LEN, mask_key);
	if (g->due)
		g->due[k - g->conns][k->sent % INFLIGHT_MAX] = due;
	k->sent++;
	if (k->out) { // what waits goes first
		pending_add(&k->out, p, c->frame_len);
		return;
	}
	c->stage_len += c->frame_len;
	if (last_sender) { // one write for all that a connection sends now
		c->sends[c->sends_len - 1].len += (uint32_t)c->frame_len;
		return;
	}
	k->batch = c->batch;
	c->senders[c->sends_len] = k;
	c->sends[c->sends_len++] = (struct op){.fd = k->fd, .buf = p, .len = (uint32_t)c->frame_len, .tag = (uint32_t)(g - c->groups)};
}

void flush(struct client *c) {
	send_batch(c->batches, c->sends, c->sends_len);
	for (unsigned i = 0; i < c->sends_len; i++) {
		struct op *op = &c->sends[i];
		struct conn *k = c->senders[i];
		if (op->res == (int)op->len)
			continue;
		uint32_t taken = op->res < 0 ? 0 : (uint32_t)op->res;
		send_rest(&c->groups[op->tag], k, (uint8_t *)op->buf + taken, op->len - taken);
	}
	c->sends_len = 0;
	c->stage_len = 0;
	c->batch++;
}

static void writable(struct group *g, struct conn *k) {
	ssize_t n = send(k->fd, k->out->bytes, k->out->len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n > 0)
		pending_drop(&k->out, (size_t)n);
	if (!k->out)
		watch(g, k, EPOLL_CTL_MOD, EPOLLIN);
}

static void received(struct client *c, struct group *g, struct conn *k, const struct op *op) {
	if (op->res == -EAGAIN)
		return;
	if (op->res <= 0) {
		c->closed++;
		fail(c, "the server closed a connection");
	}
	const uint8_t *p = op->buf;
	size_t n = (size_t)op->res;
	if (!k->in) {
		read_frames(c, g, k, p, n);
	} else {
		pending_add(&k->in, p, n);
		struct pending *whole = k->in;
		k->in = 0;
		read_frames(c, g, k, whole->bytes, whole->len);
		free(whole);
	}
	// Replies to all that came are one write, as a client with several requests on the way would send them.
	for (; k->owed; k->owed--)
		stage_message(c, g, k, c->now);
}

unsigned pass(struct client *c, enum group_id id, unsigned max) {
	struct group *g = &c->groups[id];
	struct epoll_event events[BATCH_MAX];
	struct op ops[BATCH_MAX];
	int n = epoll_wait(g->epoll, events, (int)max, 0);
	unsigned reads = 0;
	for (int i = 0; i < n; i++) {
		struct conn *k = &g->conns[events[i].data.u32];
		if (events[i].events & EPOLLOUT && k->out)
			writable(g, k);
		if (events[i].events & ~(uint32_t)EPOLLOUT) {
			ops[reads] = (struct op){.fd = k->fd, .buf = arena + (size_t)reads * PIECE, .len = RECEIVE_MAX, .tag = events[i].data.u32};
			reads++;
		}
	}
	recv_batch(c->batches, ops, reads);
	c->now = clock_ns(CLOCK_MONOTONIC);
	for (unsigned i = 0; i < reads; i++)
		received(c, g, &g->conns[ops[i].tag], &ops[i]);
	flush(c);
	return n > 0 ? (unsigned)n : 0;
}

void nap(struct client *c, unsigned ready) {
	if (c->now - c->progress > STALL_SECONDS * 1000000000ull)
		fail(c, "nothing has come from the server for too long: messages were lost, or it hangs");
	if (c->lost || c->duplicated || c->corrupt)
		fail(c, "messages were lost, doubled or changed");
	if (ready >= NAP_BELOW || c->o.nap_us == 0)
		return;
	c->naps++;
	struct timespec t = {.tv_sec = (time_t)(c->o.nap_us / 1e6), .tv_nsec = (long)(c->o.nap_us * 1e3) % 1000000000};
	nanosleep(&t, 0);
}
