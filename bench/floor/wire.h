// wire.h: the few pieces of RFC 6455 that the floor servers need.
#ifndef WIRE_H
#define WIRE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
	OP_CLOSE = 8,
	OP_PING = 9,
	OP_PONG = 10,
	KEY_LEN = 24,    // Sec-WebSocket-Key: 16 bytes in base64
	ACCEPT_LEN = 28, // Sec-WebSocket-Accept: a SHA-1 sum in base64
	HEADER_MAX = 14, // 2 bytes, 8 of length, 4 of mask
};

// Writes the ACCEPT_LEN bytes that answer a key (RFC 6455, 4.2.2), without a terminator.
void accept_key(const char key[KEY_LEN], char out[ACCEPT_LEN]);

// Writes 4*((n+2)/3) characters, without a terminator.
void base64(const uint8_t *p, size_t n, char *out);

// A frame as its header declares it.
struct frame {
	uint8_t opcode, fin, masked;
	size_t header;  // bytes in front of the payload, the mask among them
	uint64_t payload; // bytes behind it
};

// Reads the header at p. Returns 0 when n bytes do not hold a whole header.
static inline int frame_header(const uint8_t *p, size_t n, struct frame *f) {
	if (n < 2)
		return 0;
	f->opcode = p[0] & 15;
	f->fin = p[0] >> 7;
	f->masked = p[1] >> 7;
	uint8_t len = p[1] & 127;
	size_t header = 2;
	f->payload = len;
	if (len == 126) {
		header = 4;
		if (n < 4)
			return 0;
		f->payload = (uint64_t)p[2] << 8 | p[3];
	} else if (len == 127) {
		header = 10;
		if (n < 10)
			return 0;
		f->payload = 0;
		for (int i = 2; i < 10; i++)
			f->payload = f->payload << 8 | p[i];
	}
	f->header = header + (f->masked ? 4 : 0);
	return n >= f->header;
}

// Writes a final frame's header without mask bytes (masked only sets the bit) and returns its length.
static inline size_t put_header(uint8_t *p, uint8_t opcode, int masked, uint64_t n) {
	uint8_t bit = masked ? 0x80 : 0;
	p[0] = 0x80 | opcode;
	if (n < 126) {
		p[1] = bit | (uint8_t)n;
		return 2;
	}
	if (n < 65536) {
		p[1] = bit | 126;
		p[2] = (uint8_t)(n >> 8);
		p[3] = (uint8_t)n;
		return 4;
	}
	p[1] = bit | 127;
	for (int i = 0; i < 8; i++)
		p[2 + i] = (uint8_t)(n >> (56 - 8 * i));
	return 10;
}

// Masks or unmasks n bytes in place; key is the four mask bytes as they stand in memory.
static inline void mask(uint8_t *p, size_t n, uint32_t key) {
	uint64_t wide = key | (uint64_t)key << 32;
	size_t i = 0;
	for (; i + 8 <= n; i += 8) {
		uint64_t v;
		memcpy(&v, p + i, 8);
		v ^= wide;
		memcpy(p + i, &v, 8);
	}
	for (; i < n; i++)
		p[i] ^= (uint8_t)(key >> (8 * (i & 3)));
}

#endif
