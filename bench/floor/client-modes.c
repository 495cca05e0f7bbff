// client-modes.c: what the load client does with its connections, one function for each mode, and the check of every message that comes back.
#include "client.h"

#include <poll.h>
#include <unistd.h>

static uint64_t ns(double seconds) { return (uint64_t)(seconds * 1e9); }

static uint64_t since(const struct client *c, uint64_t due) { return c->now > due ? c->now - due : 0; }

static void echo_message(struct client *c, struct group *g, struct conn *k, const uint8_t *p, size_t n) {
	char seq[SEQ_LEN];
	put_seq(seq, k->heard);
	if (n != (size_t)c->o.size || memcmp(p, seq, SEQ_LEN) || memcmp(p + SEQ_LEN, c->filler, n - SEQ_LEN))
		c->corrupt++;
	uint64_t due = g->due[k - g->conns][k->heard % INFLIGHT_MAX];
	k->heard++;
	k->owed += c->reply;
	if (c->measuring) {
		c->echoes++;
		histogram_add(&c->echo_latency, since(c, due));
	}
}

// Invariant: every connection of the group hears every message once and in order, so the next one it hears has the number k->heard.
static uint64_t fan_seq(struct client *c, struct conn *k, const uint8_t *p, size_t n) {
	if (k->heard < c->fan_next && n == (size_t)c->o.size && !memcmp(p, c->fan_hex[k->heard % FAN_OUTSTANDING_MAX], SEQ_LEN))
		return k->heard;
	char text[SEQ_LEN + 1] = {0}, *end;
	memcpy(text, p, n < SEQ_LEN ? n : SEQ_LEN);
	uint64_t seq = strtoull(text, &end, 16);
	if (n != (size_t)c->o.size || end != text + SEQ_LEN || seq >= c->fan_next)
		c->corrupt++;
	else if (seq < k->heard)
		c->duplicated++;
	else
		c->lost += seq - k->heard;
	return UINT64_MAX;
}

static void fan_message(struct client *c, struct group *g, struct conn *k, const uint8_t *p, size_t n) {
	uint64_t seq = fan_seq(c, k, p, n);
	if (seq == UINT64_MAX)
		return; // counted; the run fails at the end of the turn
	k->heard++;
	uint64_t latency = since(c, c->fan[seq % FAN_OUTSTANDING_MAX].due);
	if (c->measuring) {
		c->deliveries++;
		histogram_add(&c->fan_latency, latency);
	}
	if (++c->fan[seq % FAN_OUTSTANDING_MAX].received < g->len)
		return;
	if (c->measuring) {
		c->rounds++;
		histogram_add(&c->spread, latency);
	}
	while (c->fan_done < c->fan_next && c->fan[c->fan_done % FAN_OUTSTANDING_MAX].received == g->len)
		c->fan_done++;
}

void on_message(struct client *c, struct group *g, struct conn *k, const uint8_t *p, size_t n) {
	c->progress = c->now;
	if (g == &c->groups[ECHO])
		echo_message(c, g, k, p, n);
	else
		fan_message(c, g, k, p, n);
}

static void publish(struct client *c, int messages, uint64_t due) {
	struct group *g = &c->groups[FAN];
	for (int i = 0; i < messages; i++, c->fan_next++) {
		uint64_t slot = c->fan_next % FAN_OUTSTANDING_MAX;
		put_seq(c->fan_hex[slot], c->fan_next);
		c->fan[slot].due = due;
		c->fan[slot].received = 0;
		stage_message(c, g, &g->conns[0], due);
	}
	flush(c); // all of them in one write
}

// Looks for a while whether anything more comes than should.
static void settle(struct client *c, enum group_id id) {
	for (uint64_t end = c->now + ns(0.1); c->now < end;)
		nap(c, pass(c, id, BATCH_MAX));
}

static void run_fan(struct client *c) {
	group_open(c, FAN, c->o.path, c->o.conns);
	uint64_t edge = c->now + ns(c->o.warm);
	for (;;) {
		// The window begins and ends between two rounds, so no delivery is half inside.
		if (c->now >= edge) {
			if (c->measuring)
				break;
			window_start(c);
			edge = c->now + ns(c->o.seconds);
		}
		c->now = clock_ns(CLOCK_MONOTONIC);
		publish(c, c->o.burst, c->now);
		while (c->fan_done < c->fan_next)
			nap(c, pass(c, FAN, BATCH_MAX));
	}
	window_stop(c);
	settle(c, FAN);
}

// An open schedule: what is due is sent, whatever has come back so far.
static uint64_t pace(struct client *c, struct group *g, uint64_t due) {
	static uint32_t turn;
	while (due <= c->now) {
		struct conn *k = &g->conns[turn++ % g->len];
		if (k->sent - k->heard >= INFLIGHT_MAX - 1)
			c->overruns++;
		else
			stage_message(c, g, k, due);
		due += ns(1 / c->o.rate);
	}
	flush(c);
	return due;
}

static void run_echo(struct client *c, bool fan) {
	struct group *g = &c->groups[ECHO];
	group_open(c, ECHO, c->o.path, c->o.conns);
	if (fan)
		group_open(c, FAN, c->o.fan_path, c->o.fan_conns);
	uint64_t due = c->now, fan_due = c->now, edge = c->now + ns(c->o.warm);
	c->reply = c->o.rate == 0;
	if (c->reply) {
		for (uint32_t i = 0; i < g->len; i++)
			for (int j = 0; j < c->o.inflight; j++)
				stage_message(c, g, &g->conns[i], c->now);
		flush(c);
	}
	for (;;) {
		unsigned ready = pass(c, ECHO, BATCH_MAX);
		if (!c->reply)
			due = pace(c, g, due);
		if (fan)
			ready += pass(c, FAN, FAN_SLICE) * (BATCH_MAX / FAN_SLICE); // a full slice is a full pass
		if (fan && c->now >= fan_due) {
			if (c->fan_next + (uint64_t)c->o.burst - c->fan_done > FAN_OUTSTANDING_MAX)
				c->skipped++;
			else
				publish(c, c->o.burst, fan_due);
			fan_due += ns(1 / c->o.fan_rate);
		}
		if (c->now >= edge) {
			if (c->measuring)
				break;
			window_start(c);
			edge = c->now + ns(c->o.seconds);
		}
		nap(c, ready);
	}
	window_stop(c);
	c->reply = false;
	for (bool owed = true; owed;) {
		unsigned ready = pass(c, ECHO, BATCH_MAX);
		owed = false;
		for (uint32_t i = 0; i < g->len && !owed; i++)
			owed = g->conns[i].heard < g->conns[i].sent;
		if (fan) {
			ready += pass(c, FAN, BATCH_MAX);
			owed |= c->fan_done < c->fan_next;
		}
		nap(c, ready);
	}
	settle(c, fan ? FAN : ECHO);
}

static void run_handshakes(struct client *c) {
	struct group *g = &c->groups[ECHO];
	c->keep_open = false;
	group_init(c, ECHO, c->o.path, (uint32_t)c->o.concurrency);
	uint64_t edge = c->now + ns(c->o.warm);
	for (;;) {
		for (uint32_t i = 0; i < g->len; i++)
			if (g->conns[i].fd < 0)
				start_conn(c, g, &g->conns[i]);
		nap(c, pass(c, ECHO, BATCH_MAX));
		if (c->now < edge)
			continue;
		if (c->measuring)
			break;
		window_start(c);
		edge = c->now + ns(c->o.seconds);
	}
	window_stop(c);
}

static void run_idle(struct client *c) {
	group_open(c, FAN, c->o.path, c->o.conns);
	printf("{\"ready\":true,\"open\":%u}\n", c->groups[FAN].opened);
	fflush(stdout);
	window_start(c);
	uint64_t end = c->o.seconds > 0 ? c->now + ns(c->o.seconds) : UINT64_MAX;
	while (c->now < end) {
		c->progress = c->now; // silence is what is expected
		pass(c, FAN, BATCH_MAX);
		struct pollfd in = {.fd = 0, .events = POLLIN};
		char byte;
		if (poll(&in, 1, 10) > 0 && read(0, &byte, 1) <= 0)
			break;
	}
	window_stop(c);
}

void run_mode(struct client *c) {
	const char *mode = c->o.mode;
	c->keep_open = true;
	if (!strcmp(mode, "idle"))
		run_idle(c);
	else if (!strcmp(mode, "echo"))
		run_echo(c, false);
	else if (!strcmp(mode, "echo+fan"))
		run_echo(c, true);
	else if (!strcmp(mode, "fan"))
		run_fan(c);
	else if (!strcmp(mode, "handshakes"))
		run_handshakes(c);
	else
		fail(c, "unknown --mode");
}
