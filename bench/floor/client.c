// client.c: the load client's options. It opens many WebSocket connections, drives them, counts, and prints one line of JSON.
//
// It never blocks in epoll_wait: a thread that sleeps there is woken by the server's send, and the wake-up is charged to the server. It looks,
// and sleeps a little (--nap) where there was little to do.
#include "client.h"

#include <getopt.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>

static const char usage[] =
	"usage: client --mode MODE --port PORT [options]\n"
	"modes:  idle        open --conns connections, print {\"ready\":true}, hold them until stdin ends or --seconds have passed\n"
	"        echo        --inflight messages on the way on each connection, or --rate messages a second over all of them\n"
	"        fan         the first of --conns connections publishes --burst messages, all receive them, and again\n"
	"        echo+fan    echo, and a fan-out to --fan-conns connections --fan-rate times a second\n"
	"        handshakes  connect, shake hands, close, --concurrency at a time\n"
	"options: --host 127.0.0.1  --conns 1000  --path /echo  --size 64  --inflight 1  --rate 0  --burst 1  --concurrency 64\n"
	"        --fan-conns 10000  --fan-path /broadcast  --fan-rate 10  --seconds 3  --warm 1  --nap 100 (microseconds)\n"
	"        --io auto|uring|syscall  --pid PID[,PID] (the server, whose CPU time is read)\n";

static struct client client;

uint64_t clock_ns(clockid_t id) {
	struct timespec t;
	if (clock_gettime(id, &t))
		fail(&client, "the server's CPU clock cannot be read: has it ended?");
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void fail(struct client *c, const char *why) {
	report(c, why);
	exit(1);
}

static void usage_error(const char *what, const char *value) {
	fprintf(stderr, "client: %s %s\n%s", what, value, usage);
	exit(2);
}

static double number(const char *s, double least, double most) {
	char *end;
	double v = strtod(s, &end);
	if (*end || end == s || !(v >= least && v <= most))
		usage_error("number out of range:", s);
	return v;
}

static void parse_pids(struct options *o, char *s) {
	for (char *p = strtok(s, ","); p; p = strtok(0, ",")) {
		if (o->pids_len == PIDS_MAX)
			usage_error("too many processes in", "--pid");
		o->pids[o->pids_len++] = (int)number(p, 1, 1 << 30);
	}
}

static void parse(struct options *o, int argc, char **argv) {
	*o = (struct options){.host = "127.0.0.1", .io = "auto", .mode = "", .size = 64, .inflight = 1, .burst = 1, .concurrency = 64, .conns = 1000,
		.fan_conns = 10000, .fan_rate = 10, .seconds = 3, .warm = 1, .nap_us = 100, .path = "", .fan_path = "/broadcast"};
	enum { HOST, PORT, MODE, CONNS, PATH, SIZE, INFLIGHT, RATE, BURST, CONCURRENCY, FAN_CONNS, FAN_PATH, FAN_RATE, SECONDS, WARM, NAP, IO, PID };
	static const struct option names[] = {
		{"host", 1, 0, HOST}, {"port", 1, 0, PORT}, {"mode", 1, 0, MODE}, {"conns", 1, 0, CONNS}, {"path", 1, 0, PATH}, {"size", 1, 0, SIZE},
		{"inflight", 1, 0, INFLIGHT}, {"rate", 1, 0, RATE}, {"burst", 1, 0, BURST}, {"concurrency", 1, 0, CONCURRENCY},
		{"fan-conns", 1, 0, FAN_CONNS}, {"fan-path", 1, 0, FAN_PATH}, {"fan-rate", 1, 0, FAN_RATE}, {"seconds", 1, 0, SECONDS},
		{"warm", 1, 0, WARM}, {"nap", 1, 0, NAP}, {"io", 1, 0, IO}, {"pid", 1, 0, PID}, {0},
	};
	for (int i; (i = getopt_long(argc, argv, "", names, 0)) != -1;) {
		switch (i) {
		case HOST: o->host = optarg; break;
		case PORT: o->port = (int)number(optarg, 1, 65535); break;
		case MODE: o->mode = optarg; break;
		case CONNS: o->conns = (uint32_t)number(optarg, 1, 1e6); break;
		case PATH: o->path = optarg; break;
		case SIZE: o->size = (int)number(optarg, SEQ_LEN, 32 * 1024); break;
		case INFLIGHT: o->inflight = (int)number(optarg, 1, INFLIGHT_MAX / 2); break;
		case RATE: o->rate = number(optarg, 0, 1e7); break;
		case BURST: o->burst = (int)number(optarg, 1, FAN_OUTSTANDING_MAX / 2); break;
		case CONCURRENCY: o->concurrency = (int)number(optarg, 1, 4096); break;
		case FAN_CONNS: o->fan_conns = (uint32_t)number(optarg, 1, 1e6); break;
		case FAN_PATH: o->fan_path = optarg; break;
		case FAN_RATE: o->fan_rate = number(optarg, 0.001, 1e6); break;
		case SECONDS: o->seconds = number(optarg, 0, 1e6); break;
		case WARM: o->warm = number(optarg, 0, 1e6); break;
		case NAP: o->nap_us = number(optarg, 0, 1e6); break;
		case IO: o->io = optarg; break;
		case PID: parse_pids(o, optarg); break;
		default: fputs(usage, stderr); exit(2);
		}
	}
	if (optind < argc)
		usage_error("unexpected argument", argv[optind]);
	if (!o->port)
		usage_error("missing", "--port");
	if (!*o->path)
		o->path = !strcmp(o->mode, "fan") || !strcmp(o->mode, "idle") ? "/broadcast" : "/echo";
}

int main(int argc, char **argv) {
	struct client *c = &client;
	parse(&c->o, argc, argv);
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_TIMERSLACK, 1); // or each nap is 50 µs longer
	struct rlimit files;
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	if (!strcmp(c->o.io, "uring") || !strcmp(c->o.io, "auto")) {
		int err = ring_open(&c->ring);
		if (err == 0)
			c->batches = &c->ring;
		else if (!strcmp(c->o.io, "uring"))
			usage_error("io_uring is not allowed here:", strerror(-err));
	} else if (strcmp(c->o.io, "syscall"))
		usage_error("unknown --io", c->o.io);
	prepare(c);
	run_mode(c);
	bool broken = c->lost || c->duplicated || c->corrupt || c->closed;
	report(c, broken ? "messages or connections were lost" : 0);
	return broken;
}
