// client.h: the load client's state. One thread, one process, two groups of connections.
#ifndef CLIENT_H
#define CLIENT_H

#include <stdbool.h>
#include <time.h>

#include "histogram.h"
#include "pending.h"
#include "ring.h"
#include "wire.h"

enum {
	PIDS_MAX = 16,
	OPENING_MAX = 256,         // handshakes under way at a time while a group is opened: the listener's queue must not overflow
	INFLIGHT_MAX = 256,        // echoes on the way for one connection; a power of two, as it sizes a ring of due times
	RECEIVE_MAX = 64 * 1024,   // bytes of one receive
	STAGE_BYTES = 1024 * 1024, // frames written but not yet sent; the next batch begins when they are full
	SEQ_LEN = 16,              // every payload begins with its sequence number in hexadecimal
	FAN_OUTSTANDING_MAX = 64,  // messages on the way to a fan-out group; a power of two
	SOURCE_CONNS_MAX = 10000,  // connections for one source address; an address has about 28,000 ports, and some wait out their TIME_WAIT
	FAN_SLICE = 32,            // deliveries read between two looks at the echo group, so that the client's own work does not count as latency
	NAP_BELOW = 64,            // the client sleeps after a pass that found fewer ready connections
	STALL_SECONDS = 15,        // without progress for so long, the run has failed
};

enum group_id { ECHO, FAN, GROUPS };

struct conn {
	int fd;
	bool open;
	uint8_t owed;          // echoes to send when this input has been read
	uint64_t batch;        // the last batch of sends that it is part of
	struct pending *in;    // the beginning of a frame or of the answer's head
	struct pending *out;   // what the socket did not take
	uint64_t sent, heard;  // sequence numbers of the next message either way
	char accept[ACCEPT_LEN];
};

struct group {
	int epoll;
	const char *path;
	struct conn *conns;
	uint32_t len, opened;
	uint64_t (*due)[INFLIGHT_MAX]; // echo only: when each message on the way was due
};

struct options {
	const char *host, *mode, *io;
	int port, size, inflight, burst, concurrency;
	uint32_t conns, fan_conns;
	double rate, fan_rate, seconds, warm, nap_us;
	const char *path, *fan_path;
	int pids[PIDS_MAX], pids_len;
};

struct client {
	struct options o;
	struct group groups[GROUPS];
	struct ring ring, *batches; // batches is null with plain system calls
	bool measuring, keep_open;
	bool reply;                 // an echo is followed by the next message at once (closed loop)
	uint64_t now, progress;     // ns; the clock is read once a pass
	uint32_t started;           // connections begun, which also picks the source address
	// results, counted while measuring
	uint64_t echoes, deliveries, handshakes, rounds, skipped, overruns;
	struct histogram echo_latency, fan_latency, spread;
	// always counted: any of these makes the run void
	uint64_t lost, duplicated, corrupt, closed, refused;
	uint64_t pings, naps;
	// a fan-out message on the way, by sequence number modulo FAN_OUTSTANDING_MAX
	struct { uint64_t due; uint32_t received; } fan[FAN_OUTSTANDING_MAX];
	char fan_hex[FAN_OUTSTANDING_MAX][SEQ_LEN];
	uint64_t fan_next, fan_done; // sequence numbers: next to publish, oldest incomplete
	// one frame, masked but for its sequence number
	uint8_t *frame, *filler;
	size_t frame_len, frame_payload;
	// sends of this pass
	uint8_t *stage;
	size_t stage_len, stage_max;
	struct op sends[BATCH_MAX];
	struct conn *senders[BATCH_MAX];
	unsigned sends_len;
	uint64_t batch;             // counts flushes, from 1
	// measured window
	uint64_t window_begin, window_end, server_cpu, client_cpu;
};

// client.c
void fail(struct client *c, const char *why) __attribute__((noreturn));
uint64_t clock_ns(clockid_t id);

// client-conn.c
void prepare(struct client *c);
void group_init(struct client *c, enum group_id id, const char *path, uint32_t n);
void group_open(struct client *c, enum group_id id, const char *path, uint32_t n); // init, and all handshakes
void start_conn(struct client *c, struct group *g, struct conn *k);
void drop_conn(struct group *g, struct conn *k);
// Reads from at most max ready connections of a group, sends what they answer, and returns how many were ready.
unsigned pass(struct client *c, enum group_id id, unsigned max);
// Writes one more message of k into the stage; flush sends all that is staged. due: ns, when it should have left.
void stage_message(struct client *c, struct group *g, struct conn *k, uint64_t due);
void flush(struct client *c);
// Ends a turn in which so many connections were ready: fails the run where it is broken, sleeps where there was little to do.
void nap(struct client *c, unsigned ready);
void put_seq(char out[SEQ_LEN], uint64_t seq);

// client-modes.c
void on_message(struct client *c, struct group *g, struct conn *k, const uint8_t *p, size_t n);
void run_mode(struct client *c);

// client-report.c
void window_start(struct client *c);
void window_stop(struct client *c);
void report(struct client *c, const char *error);

#endif
