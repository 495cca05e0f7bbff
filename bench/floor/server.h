// server.h: what both floor servers do alike: listen, accept, shake hands, turn frames round, keep the members of /broadcast.
//
// The floor is the least that a correct server must do, so that its cost is the limit of what can be reached: real handshakes, whole frames, no lost
// bytes; and no UTF-8 check, no fragments, no pings, no deadlines, no limits. A path that begins with /broadcast or /ws is a room in which a
// message from anyone goes to everyone; every other path is an echo.
#ifndef SERVER_H
#define SERVER_H

#include <stdbool.h>

#include "pending.h"
#include "wire.h"

enum {
	EVENTS_MAX = 512,       // ready connections taken in one epoll_wait
	FRAME_MAX = 32 * 1024,  // bytes of the largest frame and of all that one recv takes; a larger frame ends its connection
	NOT_A_MEMBER = 0xffffffff,
};

struct conn {
	struct pending *in;  // the beginning of a head or frame
	struct pending *out; // what the socket has not taken yet
	uint32_t member;     // its place in members, or NOT_A_MEMBER
	bool open;           // the handshake is done
};

// What one connection's input asks to be sent: to itself, or to all members when everyone is set.
struct run {
	uint8_t *bytes;
	size_t len;
	bool everyone;
};

extern int epoll, listener;
extern struct conn *conns; // by descriptor
extern int *members;       // descriptors in the room
extern uint32_t members_len;

// Reads -p PORT (0 takes a free one), listens on 127.0.0.1 and prints "listening on PORT".
void server_start(int argc, char **argv);

void server_accept(void);
void server_close(int fd);

// Copies what waits of an earlier read to the front of buf, which has room for FRAME_MAX bytes, and returns its length.
size_t server_resume(int fd, uint8_t *buf);

// Takes the n bytes at buf, those of server_resume among them, and turns whole frames into the reply in place.
struct run server_input(int fd, uint8_t *buf, size_t n);

// Takes the result of a send of n bytes and keeps what the socket did not take until server_writable.
void server_sent(int fd, const uint8_t *p, size_t n, int res);
void server_writable(int fd);

#endif
