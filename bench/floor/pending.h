// pending.h: bytes that had to wait: the beginning of a frame, or what a full socket did not take.
#ifndef PENDING_H
#define PENDING_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pending {
	size_t len;
	uint8_t bytes[];
};

// Adds n bytes behind those that wait already. *p may be null.
static inline void pending_add(struct pending **p, const void *bytes, size_t n) {
	size_t have = *p ? (*p)->len : 0;
	*p = realloc(*p, sizeof **p + have + n);
	if (!*p) {
		fputs("out of memory\n", stderr);
		exit(1);
	}
	memcpy((*p)->bytes + have, bytes, n);
	(*p)->len = have + n;
}

// Forgets the first n bytes, and the buffer with the last of them.
static inline void pending_drop(struct pending **p, size_t n) {
	if (n < (*p)->len) {
		(*p)->len -= n;
		memmove((*p)->bytes, (*p)->bytes + n, (*p)->len);
		return;
	}
	free(*p);
	*p = 0;
}

#endif
