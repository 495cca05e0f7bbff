// client-report.c: the measured window, and the one line of JSON at the end.
#include "client.h"

static uint64_t server_cpu(const struct client *c) {
	uint64_t sum = 0;
	for (int i = 0; i < c->o.pids_len; i++) {
		clockid_t id;
		if (clock_getcpuclockid(c->o.pids[i], &id))
			continue; // ended: the run fails at its connections
		struct timespec t;
		if (!clock_gettime(id, &t))
			sum += (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
	}
	return sum;
}

void window_start(struct client *c) {
	c->measuring = true;
	c->server_cpu = server_cpu(c);
	c->client_cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	c->window_begin = clock_ns(CLOCK_MONOTONIC);
}

void window_stop(struct client *c) {
	c->window_end = clock_ns(CLOCK_MONOTONIC);
	c->server_cpu = server_cpu(c) - c->server_cpu;
	c->client_cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - c->client_cpu;
	c->measuring = false;
}

static void print_histogram(const char *name, const struct histogram *h) {
	if (h->count == 0)
		return;
	printf(",\"%s\":{\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,\"p999\":%.1f,\"max\":%.1f}", name, (double)histogram_quantile(h, 0.5) / 1e3,
		(double)histogram_quantile(h, 0.9) / 1e3, (double)histogram_quantile(h, 0.99) / 1e3, (double)histogram_quantile(h, 0.999) / 1e3,
		(double)h->max / 1e3);
}

void report(struct client *c, const char *error) {
	const struct options *o = &c->o;
	bool whole = c->window_end > c->window_begin;
	double seconds = whole ? (double)(c->window_end - c->window_begin) / 1e9 : 0;
	double ops = (double)(c->echoes + c->deliveries + c->handshakes);
	printf("{\"mode\":\"%s\",\"io\":\"%s\",\"open\":%u,\"size\":%d,\"inflight\":%d,\"burst\":%d,\"seconds\":%.6f", o->mode, c->batches ? "uring" : "syscall",
		c->groups[ECHO].opened + c->groups[FAN].opened, o->size, o->inflight, o->burst, seconds);
	printf(",\"ops\":%.0f,\"echoes\":%lu,\"deliveries\":%lu,\"handshakes\":%lu,\"rounds\":%lu", ops, c->echoes, c->deliveries, c->handshakes, c->rounds);
	if (whole) {
		printf(",\"ops_per_second\":%.1f,\"client_busy\":%.4f", ops / seconds, (double)c->client_cpu / 1e9 / seconds);
		if (o->pids_len)
			printf(",\"server_cpu_ns\":%lu,\"server_busy\":%.4f", c->server_cpu, (double)c->server_cpu / 1e9 / seconds);
		if (o->pids_len && ops > 0)
			printf(",\"server_us_per_op\":%.4f", (double)c->server_cpu / 1e3 / ops);
	}
	print_histogram("echo_us", &c->echo_latency);
	print_histogram("deliver_us", &c->fan_latency);
	print_histogram("spread_us", &c->spread);
	printf(",\"lost\":%lu,\"duplicated\":%lu,\"corrupt\":%lu,\"closed\":%lu,\"refused\":%lu,\"overruns\":%lu,\"skipped\":%lu,\"pings\":%lu", c->lost,
		c->duplicated, c->corrupt, c->closed, c->refused, c->overruns, c->skipped, c->pings);
	if (error) // only our own words, which need no escapes
		printf(",\"error\":\"%s\"", error);
	puts("}");
	fflush(stdout);
}
